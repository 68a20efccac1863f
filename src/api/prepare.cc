#include "api/prepare.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace folio::api {
namespace {

const char* prompt_field(const Request& request) {
  if (request.endpoint == kEmbeddings) return "input";
  return request.endpoint == kChat ? "messages" : "prompt";
}

ApiError prompt_error(const Request& request, const Error& error) {
  return {.message = fmt::format("'{}' cannot be used: {}", prompt_field(request), error.message),
          .param = prompt_field(request)};
}

void truncate(const ServedModel& served, const Request& request, std::vector<TokenId>& tokens) {
  if (!request.truncate_prompt_tokens) return;
  const std::size_t room = served.longest_tokens - (request.endpoint == kEmbeddings ? 0 : 1);
  const std::size_t keep = std::min(*request.truncate_prompt_tokens, room);
  if (tokens.size() > keep) tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(keep));
}

// An answer has a token at least, unless it is asked to have none.
std::size_t least_answer(const Request& request) {
  return std::min<std::size_t>(request.max_tokens.value_or(1), 1);
}

Checked<void> check_length(const ServedModel& served, const Request& request,
                           const std::vector<TokenId>& tokens) {
  if (tokens.empty())
    return refuse_field(prompt_field(request),
                        "is empty, and this model has no BOS token to begin with; give a text");
  const std::size_t vocabulary = served.engine.config().vocab;
  for (const TokenId token : tokens)
    if (static_cast<std::size_t>(raw(token)) >= vocabulary)
      return refuse_field(prompt_field(request), "holds token {}, outside the vocabulary of {}", raw(token),
                          vocabulary);
  const std::size_t most = served.longest_tokens;
  if (tokens.size() + least_answer(request) <= most) return {};
  const bool vectors = request.endpoint == kEmbeddings;
  return std::unexpected(ApiError{
      .message =
          fmt::format("This model's maximum context length is {} tokens. The {} has {}; shorten it, or "
                      "let truncate_prompt_tokens cut it",
                      most, vectors ? "input" : "prompt", tokens.size()),
      .param = prompt_field(request),
      .code = "context_length_exceeded"});
}

// A max_tokens that the context has no room for. The words of the refusal are vLLM's: clients read the
// numbers out of them.
Checked<void> fit_answer(const ServedModel& served, Request& request, std::size_t prompt_tokens) {
  const std::size_t most = served.longest_tokens, room = most - prompt_tokens;
  if (request.max_tokens == kWholeContext) request.max_tokens.reset();
  if (!request.max_tokens || *request.max_tokens <= room) return {};
  if (served.strictness.long_answers == LongAnswers::kRefuse)
    return std::unexpected(ApiError{
        .message =
            fmt::format("'max_tokens' or 'max_completion_tokens' is too large: {0}. This model's maximum "
                        "context length is {1} tokens and your request has {2} input tokens ({0} > {1} "
                        "- {2}).",
                        *request.max_tokens, most, prompt_tokens),
        .param = "max_tokens",
        .code = "context_length_exceeded"});
  request.notes.max_tokens = std::min(request.notes.max_tokens.value_or(room), room);
  return {};
}

// More than the API gives is asked for with the whole vocabulary in mind; what that takes is bounded by this.
constexpr std::size_t kMaxLogprobEntries = std::size_t{1} << 24;

Checked<void> check_logprobs(const ServedModel& served, Request& request,
                             const std::vector<PreparedPrompt>& prompts) {
  const char* field = request.endpoint == kChat ? "top_logprobs" : "logprobs";
  const std::size_t most = served.most_logprobs();
  std::size_t widest = 0;
  for (auto& [name, count] :
       {std::pair{field, &request.logprobs}, std::pair{"prompt_logprobs", &request.prompt_logprobs}}) {
    if (!*count) continue;
    const std::size_t asked = **count == kAllLogprobs ? served.engine.config().vocab : **count;
    if (asked > most)
      return refuse_field(
          name, "asks for {} of the most likely tokens; this server gives {} (--max-logprobs)", asked, most);
    *count = static_cast<std::uint32_t>(asked);
    if (asked > widest) {
      widest = asked;
      field = name;
    }
  }
  if (widest <= kDefaultMaxLogprobs) return {};
  std::size_t positions = 0;
  for (const PreparedPrompt& prompt : prompts) {
    const std::size_t room = served.longest_tokens - prompt.tokens.size();
    positions += prompt.tokens.size() + request.n * std::min(request.max_tokens.value_or(room), room);
  }
  if (positions <= kMaxLogprobEntries / (widest + 1)) return {};
  return refuse_field(field,
                      "asks for {} tokens at up to {} positions; {} in all are the limit: lower max_tokens",
                      widest, positions, kMaxLogprobEntries);
}

// What cannot become few enough tokens is not tokenised; what is cut anyway may be as long as it likes.
Checked<void> check_bytes(const ServedModel& served, const Request& request, std::size_t bytes) {
  if (served.abandoned != nullptr && *served.abandoned)
    return std::unexpected(
        ApiError{.status = kAbandoned, .message = "The client has gone", .param = {}, .code = {}});
  const std::size_t most = served.longest_token_bytes * served.longest_tokens;
  if (most == 0 || bytes <= most || request.truncate_prompt_tokens) return {};
  return std::unexpected(ApiError{
      .message =
          fmt::format("This model's maximum context length is {} tokens, which no more than {} bytes of "
                      "text can fit into. The prompt has {} bytes; shorten it",
                      served.longest_tokens, most, bytes),
      .param = prompt_field(request),
      .code = "context_length_exceeded"});
}

std::size_t bytes_of(const Json& messages) {
  std::size_t bytes = 0;
  for (const Json& message : messages)
    if (const auto content = message.find("content"); content != message.end() && content->is_string())
      bytes += content->get_ref<const std::string&>().size();
  return bytes;
}

// Each answer takes a place in the engine, which has kMaxSequences: more could never be taken.
Checked<void> check_answers(const Request& request) {
  const std::size_t answers = request.n * request.prompts.size();
  if (request.endpoint != kCompletions || answers <= engine::kMaxSequences) return {};
  return refuse_field("n",
                      "is {}, for {} prompts: {} answers, but a request may have {}; send several requests",
                      request.n, request.prompts.size(), answers, engine::kMaxSequences);
}

// The first token at least can be chosen. (What later ones may be depends on those before.)
Checked<void> check_choice(const ServedModel& served, const Request& request) {
  const sampling::SamplingParams& s = request.sampling;
  std::vector<TokenId> never;
  for (const std::vector<TokenId>& word : s.bad_words)
    if (word.size() == 1) never.push_back(word.front());
  const char* field = "bad_words";
  if (s.min_tokens > 0) {
    field = "min_tokens";
    never.insert(never.end(), s.stop_token_ids.begin(), s.stop_token_ids.end());
    const auto& ends = served.engine.tokenizer().description().end_of_generation;
    if (!request.ignore_eos) never.insert(never.end(), ends.begin(), ends.end());
  }
  if (never.empty() || request.use_beam_search) return {};
  const sampling::TokenSet excluded(std::move(never));
  const bool left = s.allowed_token_ids.empty()
                        ? excluded.size() < served.engine.config().vocab
                        : std::ranges::any_of(
                              s.allowed_token_ids, [&](TokenId token) { return !excluded.contains(token); });
  if (left) return {};
  return refuse_field(s.allowed_token_ids.empty() ? field : "allowed_token_ids",
                      "leaves no token to choose: all that are allowed are excluded by {}", field);
}

// The model's, if an answer may be that long at all.
std::optional<std::size_t> default_length(const Request& request, const GenerationDefaults& defaults) {
  if (!defaults.max_new_tokens) return std::nullopt;
  return std::max(*defaults.max_new_tokens, request.sampling.min_tokens);
}

}  // namespace

std::size_t longest_token(const text::Tokenizer& tokenizer) {
  std::size_t longest = 0;
  for (std::size_t id = 0; id < tokenizer.vocab_size(); ++id)
    longest = std::max(longest, tokenizer.token_bytes(static_cast<TokenId>(id)).size());
  return longest;
}

Checked<PreparedRequest> prepare_body(const ServedModel& served, Endpoint endpoint, std::string_view body) {
  FOLIO_ASK(json, parse_json(body));
  return prepare_request(served, endpoint, json);
}

Checked<PreparedRequest> prepare_request(const ServedModel& served, Endpoint endpoint, const Json& body) {
  const GenerationDefaults& defaults = served.defaults;
  FOLIO_ASK(request, read_request(endpoint, body,
                                  {.sampling = endpoint == kChat ? defaults.chat : defaults.text,
                                   .unknown_fields = served.strictness.unknown_fields}));
  const bool says_no_length = endpoint == kChat && !request.max_tokens;
  if (request.priority != 0 && served.priorities == Priorities::kRefuse)
    return refuse_field("priority", "needs --scheduling-policy priority; leave it out");
  if (endpoint == kEmbeddings) {
    request.pooling = served.pooling;
    request.normalize = request.normalize.value_or(served.normalize);
  }
  FOLIO_ASK_STATUS(check_answers(request));
  FOLIO_ASK(prompts, prepare(served, request));
  // Nobody asked for it: where the context leaves less, the answer ends there without a word.
  if (says_no_length) request.max_tokens = default_length(request, defaults);
  FOLIO_ASK_STATUS(prepare_sampling(served, request));
  FOLIO_ASK_STATUS(check_logprobs(served, request, prompts));
  return PreparedRequest{std::move(request), std::move(prompts)};
}

Checked<void> check_model(const ServedModel& served, const std::string& name) {
  if (name.empty() || served.names.empty() || std::ranges::find(served.names, name) != served.names.end())
    return {};
  return std::unexpected(ApiError{.status = 404,
                                  .message = fmt::format("The model {} does not exist; this server has: {}",
                                                         shown(Json(name)), fmt::join(served.names, ", ")),
                                  .param = "model",
                                  .code = "model_not_found"});
}

Checked<PreparedPrompt> encode_chat(const ServedModel& served, const Request& request) {
  FOLIO_ASK_STATUS(check_bytes(served, request, bytes_of(request.messages)));
  const auto encoded = served.chat_template.encode(
      served.engine.tokenizer(),
      {.messages_json = to_text(request.messages),
       .documents_json = request.documents,
       .kwargs_json = request.kwargs,
       .generation_prompt =
           request.add_generation_prompt ? text::GenerationPrompt::kAdd : text::GenerationPrompt::kOmit});
  if (!encoded) return std::unexpected(prompt_error(request, encoded.error()));
  PreparedPrompt prompt{.tokens = encoded->tokens, .text = encoded->text};
  const auto bos = served.engine.tokenizer().bos();
  if (request.add_special_tokens.value_or(false) && bos) prompt.tokens.insert(prompt.tokens.begin(), *bos);
  truncate(served, request, prompt.tokens);
  return prompt;
}

Checked<PreparedPrompt> encode_prompt(const ServedModel& served, const Request& request,
                                      const Prompt& prompt) {
  const text::Tokenizer& tokenizer = served.engine.tokenizer();
  PreparedPrompt made;
  if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
    made.tokens = *tokens;
    if (request.echo) made.text = tokenizer.decode(*tokens, text::SpecialText::kSkip);
  } else {
    made.text = std::get<std::string>(prompt);
    FOLIO_ASK_STATUS(check_bytes(served, request, made.text.size()));
    const bool special = request.add_special_tokens.value_or(true);
    auto tokens_of =
        tokenizer.encode(made.text, {.special = text::SpecialInput::kParse,
                                     .add = special ? text::AddTokens::kYes : text::AddTokens::kNo});
    if (!tokens_of) return std::unexpected(prompt_error(request, tokens_of.error()));
    made.tokens = std::move(*tokens_of);
  }
  truncate(served, request, made.tokens);
  return made;
}

Checked<std::vector<PreparedPrompt>> prepare(const ServedModel& served, Request& request) {
  FOLIO_ASK_STATUS(check_model(served, request.model));
  const std::size_t width = served.engine.config().hidden;
  if (request.dimensions && *request.dimensions != width)
    return refuse_field("dimensions", "is {}, but the model's vectors have {} numbers and are not cut",
                        *request.dimensions, width);
  std::vector<PreparedPrompt> prompts;
  if (request.endpoint == kChat) {
    FOLIO_ASK(prompt, encode_chat(served, request));
    prompts.push_back(std::move(prompt));
  }
  for (const Prompt& prompt : request.prompts) {
    FOLIO_ASK(made, encode_prompt(served, request, prompt));
    prompts.push_back(std::move(made));
  }
  for (const PreparedPrompt& prompt : prompts) {
    FOLIO_ASK_STATUS(check_length(served, request, prompt.tokens));
    FOLIO_ASK_STATUS(fit_answer(served, request, prompt.tokens.size()));
  }
  return prompts;
}

// Each word as it begins a text and as it follows others.
Checked<void> prepare_sampling(const ServedModel& served, Request& request) {
  const text::Tokenizer& tokenizer = served.engine.tokenizer();
  std::vector<std::vector<TokenId>> words;
  for (const std::string& word : request.bad_words)
    for (const char* before : {"", " "}) {
      auto tokens =
          tokenizer.encode(before + word.substr(std::min(word.find_first_not_of(' '), word.size())));
      if (!tokens) return refuse_field("bad_words", "cannot be used: {}", tokens.error().message);
      if (!tokens->empty() && std::ranges::find(words, *tokens) == words.end())
        words.push_back(std::move(*tokens));
    }
  request.sampling.bad_words = std::move(words);
  auto valid = request.sampling.validate();
  if (valid) valid = request.sampling.validate_tokens(served.engine.config().vocab);
  if (valid) return check_choice(served, request);
  ApiError error{.message = valid.error().message, .param = {}, .code = {}};
  for (const char* field : {"logit_bias", "allowed_token_ids", "stop_token_ids", "bad_words", "min_tokens"})
    if (error.message.find(field) != std::string::npos) error.param = field;
  return std::unexpected(std::move(error));
}

}  // namespace folio::api
