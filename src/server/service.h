// Service: the API. Takes HTTP requests, checks who asks, and answers them from the engine.
//
// Thread rule: the I/O thread of its server; what takes long (JSON, templates, tokens) is done on the
// server's worker thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "server/api_error.h"
#include "server/embedding_reply.h"
#include "server/generator.h"
#include "server/http.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/modes.h"
#include "server/prepare.h"
#include "server/reply.h"

namespace folio::server {

struct ServiceOptions {
  std::vector<std::string> model_names;  // at least one; the first is said in answers
  std::string model_path, version;
  std::optional<text::ChatTemplate> chat_template;  // instead of the model's
  sampling::SamplingParams sampling;                // of requests that do not say
  std::optional<std::uint64_t> seed;  // where the seeds of requests without one begin; unset: drawn
  std::vector<std::string> api_keys;  // none: everybody may
  std::vector<std::string> allowed_origins = {"*"};
  std::size_t max_queued_requests = 1024;
  engine::Pooling pooling = engine::Pooling::kLast;  // of embeddings
  Normalize normalize = Normalize::kYes;
  std::uint32_t max_logprobs = kDefaultMaxLogprobs;
  std::size_t stream_interval = 1;  // tokens of an answer in one event, after the first
  Mode mode = Mode::kNormal;
  Tenants tenants = Tenants::kShared;
  Priorities priorities = Priorities::kRefuse;
  CachedTokens cached_tokens = CachedTokens::kShow;
  RequestIds request_ids = RequestIds::kShow;
  std::function<void()> on_second_signal;  // ends the process at once
};

// A request under way.
struct Call {
  std::shared_ptr<Exchange> exchange;
  HttpRequest request;
  std::string id;               // the client's X-Request-Id, or drawn
  std::string_view route;       // for metrics
  std::vector<Header> headers;  // of every answer to it
  std::string salt;             // of its tenant; empty: none
  std::uint64_t tenant = 0;     // whose key it has, from 1; 0: none is needed
  Clock::time_point came = Clock::now();
  bool gone = false;
};
using CallPointer = std::shared_ptr<Call>;

class Service final : public Handler {
 public:
  Service(std::unique_ptr<engine::Engine> engine, ServiceOptions options);
  ~Service() override;

  // Serves until a signal has come and every request before it is answered.
  void run(HttpServer& server);
  std::size_t kv_blocks() const { return kv_blocks_; }
  std::size_t longest_tokens() const { return longest_tokens_; }

  void handle(std::shared_ptr<Exchange> exchange, HttpRequest request) override;
  HttpResponse protocol_error(int status, std::string_view message) override;
  void on_signal(int count) override;

  struct Route {
    std::string_view method, path;
    enum class Access { kOpen, kKey } access;
    void (Service::*answer)(const CallPointer&);
  };
  static std::span<const Route> routes();

 private:
  using Made = PreparedRequest;
  using Body = Checked<std::string>;

  // Who asks, and for what.
  void identify(Call& call) const;
  bool has_key(Call& call) const;
  const Route* find_route(const HttpRequest& request, ApiError& error) const;

  void respond(const CallPointer& call, HttpResponse response);
  void respond(const CallPointer& call, const ApiError& error) { respond(call, error_response(error)); }
  // `make` runs on the worker thread; what it returns is the answer.
  void respond_later(const CallPointer& call, Body (Service::*make)(const Call&) const);

  // Endpoints.
  void health(const CallPointer& call);
  void version(const CallPointer& call);
  void load(const CallPointer& call);
  void models(const CallPointer& call);
  void metrics_text(const CallPointer& call);
  void openapi(const CallPointer& call);
  void chat(const CallPointer& call) { generate(call, kChat); }
  void completions(const CallPointer& call) { generate(call, kCompletions); }
  void embeddings(const CallPointer& call) { generate(call, kEmbeddings); }
  void tokenize(const CallPointer& call) { respond_later(call, &Service::tokenize_body); }
  void detokenize(const CallPointer& call) { respond_later(call, &Service::detokenize_body); }
  void render_chat(const CallPointer& call) { respond_later(call, &Service::render_chat_body); }
  void render_completions(const CallPointer& call) { respond_later(call, &Service::render_completions_body); }
  void reset_prefix_cache(const CallPointer& call);

  Body tokenize_body(const Call& call) const;
  Body detokenize_body(const Call& call) const;
  Body render_chat_body(const Call& call) const { return render_body(call, kChat); }
  Body render_completions_body(const Call& call) const { return render_body(call, kCompletions); }
  Body render_body(const Call& call, Endpoint endpoint) const;

  // Generations.
  void generate(const CallPointer& call, Endpoint endpoint);
  void start(const CallPointer& call, Made made);
  void start_embeddings(const CallPointer& call, Made made);
  Checked<void> check_queue(std::size_t more) const;
  std::uint64_t draw_seed();
  void pump();

  ServedModel served() const;
  std::string model_name(const Request& request) const;

  ServiceOptions options_;
  std::unique_ptr<engine::Engine> engine_;  // until run()
  std::size_t kv_blocks_, longest_tokens_;
  std::int64_t started_s_;
  std::uint64_t next_seed_;
  Metrics metrics_;
  HttpServer* server_ = nullptr;
  std::unique_ptr<Generator> generator_;
  std::unordered_set<std::shared_ptr<Reply>> replies_;
  std::unordered_set<std::shared_ptr<EmbeddingReply>> embeddings_;
  std::size_t preparing_ = 0;  // generations on the worker thread
  std::atomic<bool> pump_is_due_{false};
  bool draining_ = false;
};

// The description of the API for /openapi.json.
struct ApiFacts {
  std::string version;
  Mode mode = Mode::kNormal;
  std::size_t most_logprobs = kDefaultMaxLogprobs, vocabulary = 0;
};
[[nodiscard]] std::string openapi_document(const ApiFacts& facts);

}  // namespace folio::server
