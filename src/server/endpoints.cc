// The endpoints of Service that generate nothing.
#include "api/field_values.h"
#include "server/service.h"

namespace folio::server {
namespace {

constexpr std::string_view kModels = "/v1/models";

api::Json ids_json(const std::vector<TokenId>& tokens) {
  api::Json list = api::Json::array();
  for (const TokenId token : tokens) list.push_back(raw(token));
  return list;
}

// What /tokenize takes beside the fields of a chat or a completion.
struct TokenizeOptions {
  bool show_texts = false;
};

// /tokenize takes a prompt or messages; which says what else.
api::Checked<api::Request> parse_tokenize(std::string_view body, TokenizeOptions& options) {
  FOLIO_ASK(json, api::parse_json(body));
  if (!json.is_object()) return api::refuse("the body takes a JSON object, not {}", api::shown(json));
  if (const auto field = json.find("return_token_strs"); field != json.end()) {
    if (!field->is_null()) {
      FOLIO_ASK(show, api::read_flag(*field, "return_token_strs"));
      options.show_texts = show;
    }
    json.erase(field);
  }
  const bool chat = json.contains("messages");
  FOLIO_ASK(request, api::read_request(chat ? api::kChat : api::kCompletions, json, {}));
  if (!chat && (request.prompts.size() != 1 || !std::holds_alternative<std::string>(request.prompts[0])))
    return api::refuse_field("prompt", "takes one text");
  return request;
}

api::Json sampling_json(const api::Request& request) {
  const sampling::SamplingParams& s = request.sampling;
  api::Json json = {{"n", request.n},
                    {"temperature", s.temperature},
                    {"top_p", s.top_p},
                    {"top_k", s.top_k},
                    {"min_p", s.min_p},
                    {"repetition_penalty", s.repetition_penalty},
                    {"frequency_penalty", s.frequency_penalty},
                    {"presence_penalty", s.presence_penalty},
                    {"stop", std::vector<std::string>(request.stop.begin(), request.stop.end())},
                    {"ignore_eos", request.ignore_eos}};
  json["seed"] = request.seed ? api::Json(*request.seed) : api::Json(nullptr);
  json["max_tokens"] = request.max_tokens ? api::Json(*request.max_tokens) : api::Json(nullptr);
  return json;
}

}  // namespace

void Service::health(const CallPointer& call) {
  if (draining_)
    return respond(
        call,
        api::ApiError{.status = 503, .message = "The server is shutting down", .param = {}, .code = {}});
  respond(call, HttpResponse{.body = "{}", .headers = {}});
}

void Service::version(const CallPointer& call) {
  respond(call, HttpResponse{.body = api::to_text({{"version", options_.version}}), .headers = {}});
}

void Service::load(const CallPointer& call) {
  respond(
      call,
      HttpResponse{.body = api::to_text({{"server_load", replies_.size() + embeddings_.size() + preparing_}}),
                   .headers = {}});
}

void Service::models(const CallPointer& call) {
  api::Json cards = api::Json::array();
  for (const std::string& name : options_.model_names)
    cards.push_back({{"id", name},
                     {"object", "model"},
                     {"created", started_s_},
                     {"owned_by", "folio"},
                     {"root", options_.model_path},
                     {"parent", nullptr},
                     {"max_model_len", engine().context_tokens()},
                     {"permission", api::Json::array()}});
  const std::string& path = call->request.path;
  if (path == kModels)
    return respond(call,
                   HttpResponse{.body = api::to_text({{"object", "list"}, {"data", cards}}), .headers = {}});
  const std::string name = path.substr(kModels.size() + 1);
  for (const api::Json& card : cards)
    if (card["id"] == name) return respond(call, HttpResponse{.body = api::to_text(card), .headers = {}});
  respond(call, api::check_model(served(), name.empty() ? "/" : name).error());
}

void Service::metrics_text(const CallPointer& call) {
  respond(call, HttpResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                             .body = metrics_.text(
                                 {.engine = generator_.state(), .connections = server_->connections()}),
                             .headers = {}});
}

void Service::openapi(const CallPointer& call) {
  std::vector<api::Route> there;
  for (const Route& route : routes())
    if (is_there(route)) there.push_back(route);
  respond(call,
          HttpResponse{.body = api::openapi_document({.version = options_.version,
                                                      .most_logprobs = served().most_logprobs(),
                                                      .vocabulary = engine().config().vocab,
                                                      .unknown_fields = options_.strictness.unknown_fields},
                                                     there),
                       .headers = {}});
}

void Service::tokenizer_info(const CallPointer& call) {
  const text::Tokenizer& tokenizer = engine().tokenizer();
  const auto named = [&](std::optional<TokenId> token) {
    return token ? api::Json(std::string(tokenizer.decode(std::span(&*token, 1), text::SpecialText::kKeep)))
                 : api::Json(nullptr);
  };
  const auto& ends = tokenizer.description().end_of_generation;
  const api::ServedModel model = served();
  const api::Json json = {{"tokenizer_class", "folio"},
                          {"vocab_size", tokenizer.vocab_size()},
                          {"model_max_length", engine().context_tokens()},
                          {"bos_token", named(tokenizer.bos())},
                          {"eos_token", named(ends.empty() ? std::nullopt : std::optional(ends.front()))},
                          {"chat_template", std::string(model.chat_template.source())}};
  respond(call, HttpResponse{.body = api::to_text(json), .headers = {}});
}

void Service::reset_prefix_cache(const CallPointer& call) {
  call->exchange->on_gone = [call] { call->gone = true; };
  generator_.reset_prefix_cache([this, call](bool done) {
    server_->post([this, call, done] {
      if (done) return respond(call, HttpResponse{.body = "{}", .headers = {}});
      respond(call,
              api::ApiError{.status = 409,
                            .message = "Generations are running; the cache can be reset when they have ended",
                            .param = {},
                            .code = {}});
    });
  });
}

Service::Body Service::tokenize_body(const Call& call) const {
  TokenizeOptions options;
  FOLIO_ASK(request, parse_tokenize(call.request.body, options));
  FOLIO_ASK_STATUS(api::check_model(served(), request.model));
  api::PreparedPrompt prompt;
  if (request.endpoint == api::kChat) {
    FOLIO_ASK(encoded, api::encode_chat(served(&call), request));
    prompt = std::move(encoded);
  } else {
    FOLIO_ASK(encoded, api::encode_prompt(served(&call), request, request.prompts[0]));
    prompt = std::move(encoded);
  }
  api::Json json = {{"count", prompt.tokens.size()},
                    {"max_model_len", engine().context_tokens()},
                    {"tokens", ids_json(prompt.tokens)}};
  json["token_strs"] = nullptr;
  if (options.show_texts) {
    json["token_strs"] = api::Json::array();
    for (const TokenId token : prompt.tokens)
      json["token_strs"].push_back(std::string(generator_.engine().tokenizer().token_bytes(token)));
  }
  return api::to_text(json);
}

Service::Body Service::detokenize_body(const Call& call) const {
  FOLIO_ASK(json, api::parse_json(call.request.body));
  if (!json.is_object()) return api::refuse("the body takes a JSON object, not {}", api::shown(json));
  std::optional<std::vector<TokenId>> tokens;
  for (const auto& [name, value] : json.items()) {
    if (name == "tokens") {
      FOLIO_ASK(ids, api::read_tokens(value, name));
      tokens = std::move(ids);
    } else if (name == "model") {
      FOLIO_ASK(model, api::read_text(value, name));
      FOLIO_ASK_STATUS(api::check_model(served(), model));
    } else {
      return api::refuse_field(name, "is no field of /detokenize; leave it out");
    }
  }
  if (!tokens) return api::refuse_field("tokens", "is missing");
  const text::Tokenizer& tokenizer = generator_.engine().tokenizer();
  for (const TokenId token : *tokens)
    if (static_cast<std::size_t>(raw(token)) >= tokenizer.vocab_size())
      return api::refuse_field("tokens", "holds {}, outside the vocabulary of {}", raw(token),
                               tokenizer.vocab_size());
  return api::to_text({{"prompt", tokenizer.decode(*tokens, text::SpecialText::kKeep)}});
}

Service::Body Service::render_body(const Call& call, api::Endpoint endpoint) const {
  FOLIO_ASK(made, api::prepare_body(served(&call), endpoint, call.request.body));
  const api::Request& request = made.request;
  api::Json list = api::Json::array();
  for (const api::PreparedPrompt& prompt : made.prompts) {
    api::Json json;
    json["request_id"] = (endpoint == api::kChat ? "chatcmpl-" : "cmpl-") + call.id;
    json["model"] = model_name(request);
    json["token_ids"] = ids_json(prompt.tokens);
    json["prompt"] = prompt.text;
    json["sampling_params"] = sampling_json(request);
    json["stream"] = request.stream;
    json["cache_salt"] = request.cache_salt.empty() ? api::Json(nullptr) : api::Json(request.cache_salt);
    list.push_back(std::move(json));
  }
  return api::to_text(endpoint == api::kChat ? list[0] : list);
}

}  // namespace folio::server
