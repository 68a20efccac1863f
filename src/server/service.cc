#include "server/service.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "base/hash.h"
#include "server/api_path.h"

namespace folio::server {
namespace {

constexpr std::size_t kMaxRequestIdBytes = 128;
constexpr std::size_t kMaxOpenBodyBytes = 4096;  // of a request that needs no key, where others do
constexpr std::size_t kMostWarnings = 256;       // names of ignored fields, of which each is warned of once

// What clients of other servers ask for, and where to go instead.
struct MissingRoom {
  std::string_view prefix, why;
  int status = 404;
};
constexpr MissingRoom kMissing[] = {
    {"/api/", "folio speaks OpenAI's API, not Ollama's: use /v1/chat/completions or /v1/completions"},
    {"/v1/responses", "the Responses API is not supported yet; use /v1/chat/completions"},
    {"/v1/messages", "the Messages API is not supported yet; use /v1/chat/completions", 501},
    {"/v1/audio", "folio serves text models only"},
    {"/v1/images", "folio serves text models only"},
    {"/v1/load_lora_adapter", "adapters are not supported yet"},
    {"/v1/unload_lora_adapter", "adapters are not supported yet"},
};

std::uint64_t random_bits() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

// Errors: 415 for a compressed body, which could be any times as long.
api::Checked<void> check_coding(const HttpRequest& head) {
  const std::string* coding = head.find("content-encoding");
  if (coding == nullptr || equal_ignoring_case(*coding, "identity")) return {};
  return std::unexpected(api::ApiError{
      .status = 415,
      .message = fmt::format("bodies are taken as they are, not by the coding {}; leave the header "
                             "'Content-Encoding' out",
                             api::quoted(coding->substr(0, kMaxRequestIdBytes))),
      .param = {},
      .code = {}});
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

api::ApiError out_of_memory() {
  return {.status = 500, .message = "The server ran out of memory", .param = {}, .code = {}};
}

MetricFacts facts_of(const engine::Engine& engine, const ServiceOptions& options) {
  return {.model_name = options.model_names.front(),
          .longest_tokens = engine.context_tokens(),
          .block_tokens = engine.kv_geometry().block_tokens(),
          .blocks = engine.kv_stats().blocks,
          .kv_type = std::string(kernels::name(engine.kv_geometry().shape().type))};
}

}  // namespace

Service::Service(std::unique_ptr<engine::Engine> engine, ServiceOptions options)
    : options_(std::move(options)),
      generator_(std::move(engine)),
      longest_token_bytes_(api::longest_token(generator_.engine().tokenizer())),
      started_s_(std::time(nullptr)),
      next_seed_(options_.seed.value_or(random_bits())),
      metrics_(facts_of(generator_.engine(), options_)) {}

Service::~Service() = default;

std::span<const Service::Route> Service::routes() {
  using enum api::Access;
  static constexpr Route kRoutes[] = {
      {{"GET", "/health", kOpen}, &Service::health},
      {{"GET", "/ping", kOpen}, &Service::health},
      {{"POST", "/ping", kOpen}, &Service::health},
      {{"GET", "/version", kOpen}, &Service::version},
      {{"GET", "/load", kOpen}, &Service::load},
      {{"GET", "/metrics", kOpen}, &Service::metrics_text},
      {{"GET", "/openapi.json", kOpen}, &Service::openapi},
      {{"GET", "/v1/models", kKey}, &Service::models},
      {{"POST", "/v1/chat/completions", kKey}, &Service::chat},
      {{"POST", "/v1/completions", kKey}, &Service::completions},
      {{"POST", "/v1/embeddings", kKey}, &Service::embeddings},
      {{"POST", "/v1/chat/completions/render", kKey}, &Service::render_chat},
      {{"POST", "/v1/completions/render", kKey}, &Service::render_completions},
      {{"POST", "/tokenize", kKey}, &Service::tokenize},
      {{"POST", "/detokenize", kKey}, &Service::detokenize},
      {{"GET", "/tokenizer_info", kKey}, &Service::tokenizer_info},
      {{"POST", "/reset_prefix_cache", kKey}, &Service::reset_prefix_cache},
  };
  return kRoutes;
}

void Service::run(HttpServer& server) {
  server_ = &server;
  gate_.emplace(options_.gate, server.reach());
  generator_.start([this] {
    if (!pump_is_due_.exchange(true)) server_->post([this] { pump(); });
  });
  server.every(std::chrono::seconds(1), [this] {
    for (const auto& reply : replies_) reply->ping(Clock::now());
  });
  server.run();
  // Both threads end before the server that they post to, and before the replies that they fill.
  server.finish_work();
  generator_.stop();
  replies_.clear();
  embeddings_.clear();
}

// ---- every request

Admission Service::admit(const HttpRequest& head) {
  Call call;
  call.request.method = head.method;
  call.request.path = api_path(head.path);
  call.request.host = head.host;
  call.request.headers = head.headers;
  api::ApiError no_route;
  const Route* route = find_route(call.request, no_route);
  Admission admission;
  api::Checked<void> may = check_caller(call, route);
  if (may) may = check_coding(head);
  if (!may) {
    identify(call);
    admission.refusal = error_response(may.error(), api::shape_of(call.request.path));
    metrics_.answered(route == nullptr ? "other" : route->path, admission.refusal->status);
    std::ranges::copy(call.headers, std::back_inserter(admission.refusal->headers));
  }
  const bool asks = route != nullptr && route->access == api::Access::kKey && head.method != "OPTIONS";
  if (!asks && !options_.gate.api_keys.empty()) admission.body_bytes = kMaxOpenBodyBytes;
  return admission;
}

// After admit() of the same head.
void Service::handle(std::shared_ptr<Exchange> exchange, HttpRequest request) {
  auto call = std::make_shared<Call>();
  call->exchange = std::move(exchange);
  call->request = std::move(request);
  call->route = "other";
  call->request.path = api_path(call->request.path);
  call->coding = coding_of(call->request.find("accept-encoding"));
  identify(*call);
  if (call->request.method == "OPTIONS")
    return respond(call, HttpResponse{.status = 204, .body = {}, .headers = {}});
  api::ApiError error;
  const Route* route = find_route(call->request, error);
  if (const auto may = check_caller(*call, route); !may) return respond(call, may.error());
  if (route == nullptr) return respond(call, error);
  call->route = route->path;
  (this->*route->answer)(call);
}

// Errors: 403 for a page or a host that may not ask, 401 without a key where one is needed.
api::Checked<void> Service::check_caller(Call& call, const Route* route) const {
  FOLIO_ASK_STATUS(gate_->check_page(call.request));
  const auto key = gate_->key_of(call.request);
  call.tenant = key.value_or(0);
  if (call.tenant > 0 && options_.tenants == Tenants::kByKey)
    call.salt = fmt::format("key {}:", call.tenant - 1);
  const bool open =
      call.request.method == "OPTIONS" || (route != nullptr && route->access == api::Access::kOpen);
  if (key || open) return {};
  return std::unexpected(api::ApiError{
      .status = 401,
      .message = "The API key is missing or wrong; send it as 'Authorization: Bearer KEY' or 'api-key: KEY'",
      .param = {},
      .code = "invalid_api_key"});
}

void Service::identify(Call& call) const {
  const std::string* id = call.request.find("x-request-id");
  const bool usable = id != nullptr && !id->empty() && id->size() <= kMaxRequestIdBytes && is_plain(*id);
  call.id = usable ? *id : fmt::format("{:016x}{:016x}", random_bits(), random_bits());
  if (options_.request_ids == RequestIds::kShow) call.headers.push_back({"X-Request-Id", call.id});
  std::ranges::copy(gate_->cors_headers(call.request), std::back_inserter(call.headers));
}

bool Service::is_there(const Route& route) const {
  if (route.path == "/tokenizer_info") return options_.tokenizer_info == TokenizerInfo::kShow;
  return route.path != "/reset_prefix_cache" || options_.mode == Mode::kDevelopment;
}

const Service::Route* Service::find_route(const HttpRequest& request, api::ApiError& error) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::string allowed;
  for (const Route& route : routes()) {
    const bool models = route.path == "/v1/models" && request.path.starts_with("/v1/models/");
    if (route.path != request.path && !models) continue;
    if (!is_there(route)) break;
    if (route.method == method) return &route;
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  if (!allowed.empty()) {
    error = {.status = 405,
             .message = fmt::format("{} takes {}, not {}", request.path, allowed,
                                    api::shown(api::Json(request.method))),
             .param = {},
             .code = {},
             .allowed = allowed};
    return nullptr;
  }
  error = {.status = 404,
           .message = fmt::format("There is no {}; GET /openapi.json lists what there is",
                                  api::shown(api::Json(request.path))),
           .param = {},
           .code = {}};
  for (const MissingRoom& room : kMissing)
    if (request.path.starts_with(room.prefix)) {
      error.status = room.status;
      error.message = fmt::format("There is no {}: {}", api::shown(api::Json(request.path)), room.why);
    }
  if (request.path == "/tokenizer_info")
    error.message = "/tokenizer_info is there with --enable-tokenizer-info-endpoint only";
  if (request.path == "/reset_prefix_cache")
    error.message =
        "/reset_prefix_cache is there in development mode only: VLLM_SERVER_DEV_MODE=1 or --dev-mode";
  return nullptr;
}

void Service::respond(const CallPointer& call, HttpResponse response) {
  if (call->gone) return;
  metrics_.answered(call->route, response.status);
  compress(response, call->coding);
  response.headers.insert(response.headers.begin(), call->headers.begin(), call->headers.end());
  call->exchange->respond(std::move(response));
}

// A client that has gone takes with it what it sent, unless a worker is at it: then that ends soon.
void Service::work_on(const CallPointer& call, std::function<void()> work, std::function<void()> then) {
  call->exchange->on_gone = [call] {
    call->gone = true;
    if (!call->drop_work()) return;
    const HttpRequest dropped = std::move(call->request);  // an assignment would keep the body's memory
    call->exchange = nullptr;
    call->place = nullptr;
  };
  const auto begin = [this, call, work = std::move(work), then = std::move(then)]() mutable {
    if (!call->begin_work()) return;
    work();
    std::string().swap(call->request.body);
    // With all that it holds: a connection ends on its own thread.
    server_->post([call = std::move(call), work = std::move(work), then = std::move(then)] {
      call->place = nullptr;
      if (!call->gone) then();
    });
  };
  server_->work(call->request.body.size(), begin);
}

void Service::respond_later(const CallPointer& call, Body (Service::*make)(const Call&) const) {
  auto body = std::make_shared<Body>();
  const auto work = [this, call, make, body] {
    try {
      *body = (this->*make)(*call);
    } catch (const std::exception&) {
      *body = std::unexpected(out_of_memory());
    }
  };
  work_on(call, work, [this, call, body] {
    if (*body)
      respond(call, HttpResponse{.body = std::move(**body), .headers = {}});
    else
      respond(call, body->error());
  });
}

HttpResponse Service::protocol_error(int status, std::string_view message) {
  metrics_.answered("none", status);
  const bool passes = status == 429 || status == 503;
  return error_response({.status = status,
                         .message = std::string(message),
                         .param = {},
                         .code = {},
                         .retry_after_s = passes ? api::kRetryAfterS : 0});
}

void Service::on_signal(int count) {
  if (count > 1 && options_.on_second_signal) options_.on_second_signal();
  draining_ = true;
  server_->close_idle([this] { server_->stop(); });
}

// ---- generations

void Service::generate(const CallPointer& call, api::Endpoint endpoint) {
  if (draining_)
    return respond(call, api::ApiError{.status = 503,
                                       .message = "The server is shutting down",
                                       .param = {},
                                       .code = {},
                                       .retry_after_s = api::kRetryAfterS});
  if (auto room = check_queue(1); !room) return respond(call, room.error());
  ++preparing_;
  call->place = std::shared_ptr<void>(&preparing_, [](void* count) { --*static_cast<std::size_t*>(count); });
  auto made = std::make_shared<api::Checked<Made>>();
  const auto work = [this, call, endpoint, made] {
    try {
      *made = api::prepare_body(served(call.get()), endpoint, call->request.body);
      if (*made) (*made)->request.tenant = call->tenant;
    } catch (const std::exception&) {
      *made = std::unexpected(out_of_memory());
    }
  };
  work_on(call, work, [this, call, made] {
    if (*made)
      start(call, std::move(**made));
    else
      respond(call, made->error());
  });
}

api::Checked<void> Service::check_queue(std::size_t more) const {
  std::size_t unfinished = preparing_;
  for (const auto& reply : replies_) unfinished += reply->generation().sources.size();
  for (const auto& reply : embeddings_) unfinished += reply->running();
  const std::size_t running = generator_.state().running;
  const std::size_t waiting = unfinished > running ? unfinished - running : 0;
  if (waiting + more <= std::max(more, options_.max_queued_requests)) return {};
  return std::unexpected(
      api::ApiError{.status = 429,
                    .message = fmt::format("{} requests are waiting already; try again later", waiting),
                    .param = {},
                    .code = "queue_full",
                    .retry_after_s = api::kRetryAfterS});
}

void Service::tell(Call& call, const api::Notes& notes) {
  if (const std::string ignored = notes.ignored_header(); !ignored.empty())
    call.headers.push_back({"x-folio-ignored", ignored});
  if (const std::string clamped = notes.clamped_header(); !clamped.empty())
    call.headers.push_back({"x-folio-clamped", clamped});
  for (const std::string& field : notes.ignored)
    if (options_.warn && warned_of_.size() < kMostWarnings && warned_of_.insert(field).second)
      options_.warn(fmt::format("requests hold the field {}, which is ignored (--strict-fields refuses it)",
                                api::quoted(field)));
}

void Service::start(const CallPointer& call, Made made) {
  api::Request& request = made.request;
  tell(*call, request.notes);
  request.prompts.clear();  // what was made of them is enough
  request.messages = nullptr;
  if (!call->salt.empty() || !request.cache_salt.empty())
    request.cache_salt = call->salt + request.cache_salt;
  if (request.endpoint == api::kEmbeddings) return start_embeddings(call, std::move(made));
  std::vector<std::vector<TokenId>> prompts;
  for (const api::PreparedPrompt& prompt : made.prompts) prompts.push_back(prompt.tokens);
  auto generation =
      generator_.submit(request, std::move(prompts), request.seed ? *request.seed : draw_seed());
  if (!generation) {
    const bool full = generation.error().kind == ErrorKind::kTooLarge;
    return respond(call, api::ApiError{.status = full ? 429 : 400,
                                       .message = generation.error().message,
                                       .param = !full && request.n > 1 ? "n" : "",
                                       .code = full ? "queue_full" : "",
                                       .retry_after_s = full ? api::kRetryAfterS : 0});
  }
  metrics_.answered(call->route, 200);
  const std::string& id = request.request_id.empty() ? call->id : request.request_id;
  auto reply = std::make_shared<Reply>(
      Reply::Parts{.head = {.endpoint = request.endpoint,
                            .id = (request.endpoint == api::kChat ? "chatcmpl-" : "cmpl-") + id,
                            .model = model_name(request),
                            .created_s = std::time(nullptr),
                            .cached_tokens = options_.cached_tokens},
                   .request = std::move(request),
                   .prompts = std::move(made.prompts),
                   .tokenizer = &generator_.engine().tokenizer(),
                   .generation = std::move(*generation),
                   .stream_interval = options_.stream_interval,
                   .headers = call->headers,
                   .coding = call->coding,
                   .came = call->came,
                   .share = std::move(call->request.share),
                   .exchange = call->exchange});
  replies_.insert(reply);
  call->exchange->on_gone = [this, reply] {
    reply->abandon();
    generator_.cancel(reply->generation());
  };
}

void Service::start_embeddings(const CallPointer& call, Made made) {
  const std::string& id = made.request.request_id.empty() ? call->id : made.request.request_id;
  EmbeddingReply::Parts parts;
  parts.head = {.endpoint = api::kEmbeddings,
                .id = "embd-" + id,
                .model = model_name(made.request),
                .created_s = std::time(nullptr),
                .cached_tokens = options_.cached_tokens};
  parts.request = std::move(made.request);
  parts.prompts = std::move(made.prompts);
  parts.generator = &generator_;
  parts.came = call->came;
  parts.respond = [this, call](HttpResponse response) { respond(call, std::move(response)); };
  auto reply = std::make_shared<EmbeddingReply>(std::move(parts));
  call->exchange->on_gone = [call, reply] {
    call->gone = true;
    reply->abandon();
  };
  if (reply->pump(metrics_) == EmbeddingReply::State::kRunning) embeddings_.insert(reply);
}

void Service::pump() {
  pump_is_due_ = false;
  std::erase_if(replies_,
                [this](const auto& reply) { return reply->pump(metrics_) == Reply::State::kEnded; });
  std::erase_if(embeddings_,
                [this](const auto& reply) { return reply->pump(metrics_) == EmbeddingReply::State::kEnded; });
}

std::uint64_t Service::draw_seed() {
  next_seed_ += 0x9e3779b97f4a7c15u;  // every seed once before any returns
  return next_seed_;
}

api::ServedModel Service::served(const Call* call) const {
  const engine::Engine& engine = generator_.engine();
  return {.engine = engine,
          .chat_template = options_.chat_template ? *options_.chat_template : engine.chat_template(),
          .names = options_.model_names,
          .longest_tokens = engine.context_tokens(),
          .defaults = options_.defaults,
          .strictness = options_.strictness,
          .priorities = options_.priorities,
          .max_logprobs = options_.max_logprobs,
          .pooling = options_.pooling,
          .normalize = options_.normalize,
          .longest_token_bytes = longest_token_bytes_,
          .abandoned = call == nullptr ? nullptr : &call->gone};
}

std::string Service::model_name(const api::Request& request) const {
  return request.model.empty() ? options_.model_names.front() : request.model;
}

}  // namespace folio::server
