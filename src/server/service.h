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

#include "api/api_error.h"
#include "api/openapi.h"
#include "api/prepare.h"
#include "server/compress.h"
#include "server/embedding_reply.h"
#include "server/error_response.h"
#include "server/gate.h"
#include "server/generator.h"
#include "server/http.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/reply.h"

namespace folio::server {

enum class Mode { kNormal, kDevelopment };  // kDevelopment: /reset_prefix_cache
enum class Tenants { kShared, kByKey };     // kByKey: API keys never share cached blocks
enum class RequestIds { kHide, kShow };     // X-Request-Id in answers
enum class TokenizerInfo { kHide, kShow };  // /tokenizer_info

struct ServiceOptions {
  std::vector<std::string> model_names;  // at least one; the first is said in answers
  std::string model_path, version;
  std::optional<text::ChatTemplate> chat_template;  // instead of the model's
  api::GenerationDefaults defaults;
  api::Strictness strictness;
  TokenizerInfo tokenizer_info = TokenizerInfo::kHide;
  std::optional<std::uint64_t> seed;  // where the seeds of requests without one begin; unset: drawn
  GateOptions gate;
  std::size_t max_queued_requests = 1024;
  engine::Pooling pooling = engine::Pooling::kLast;  // of embeddings
  api::Normalize normalize = api::Normalize::kYes;
  std::uint32_t max_logprobs = api::kDefaultMaxLogprobs;
  std::size_t stream_interval = 1;  // tokens of an answer in one event, after the first
  Mode mode = Mode::kNormal;
  Tenants tenants = Tenants::kShared;
  api::Priorities priorities = api::Priorities::kRefuse;
  api::CachedTokens cached_tokens = api::CachedTokens::kShow;
  RequestIds request_ids = RequestIds::kShow;
  std::function<void(const std::string&)> warn;  // one line for whoever runs the server
  std::function<void()> on_second_signal;        // ends the process at once
};

// A request under way. Its body is the worker's thread's between begin_work() and that thread's end; until
// then it can be dropped.
struct Call {
  bool begin_work() { return take(Work::kBegun); }   // false: it was dropped
  bool drop_work() { return take(Work::kDropped); }  // false: it has begun

  std::shared_ptr<Exchange> exchange;
  HttpRequest request;
  std::string id;               // the client's X-Request-Id, or drawn
  std::string_view route;       // for metrics
  std::vector<Header> headers;  // of every answer to it
  Coding coding = Coding::kPlain;
  std::string salt;          // of its tenant; empty: none
  std::uint64_t tenant = 0;  // whose key it has, from 1; 0: none is needed
  Clock::time_point came = Clock::now();
  std::shared_ptr<void> place;    // among those that are prepared, given back with it
  std::atomic<bool> gone{false};  // nobody waits for the answer

 private:
  enum class Work { kWaits, kBegun, kDropped };
  bool take(Work next) {
    Work waits = Work::kWaits;
    return work.compare_exchange_strong(waits, next);
  }
  std::atomic<Work> work{Work::kWaits};
};
using CallPointer = std::shared_ptr<Call>;

class Service final : public Handler {
 public:
  Service(std::unique_ptr<engine::Engine> engine, ServiceOptions options);
  ~Service() override;

  // Serves until a signal has come and every request before it is answered.
  void run(HttpServer& server);
  const engine::Engine& engine() const { return generator_.engine(); }  // what is immutable of it

  Admission admit(const HttpRequest& head) override;
  void handle(std::shared_ptr<Exchange> exchange, HttpRequest request) override;
  HttpResponse protocol_error(int status, std::string_view message) override;
  void on_signal(int count) override;

  struct Route : api::Route {
    void (Service::*answer)(const CallPointer&);
  };
  static std::span<const Route> routes();

 private:
  using Made = api::PreparedRequest;
  using Body = api::Checked<std::string>;

  // Who asks, and for what.
  void identify(Call& call) const;
  api::Checked<void> check_caller(Call& call, const Route* route) const;
  bool is_there(const Route& route) const;  // some are in one mode only
  const Route* find_route(const HttpRequest& request, api::ApiError& error) const;

  void respond(const CallPointer& call, HttpResponse response);
  void respond(const CallPointer& call, const api::ApiError& error) {
    respond(call, error_response(error, api::shape_of(call->request.path)));
  }
  // `work` runs on a worker's thread, `then` after it on this one, if the client is still there.
  void work_on(const CallPointer& call, std::function<void()> work, std::function<void()> then);
  // `make` runs on a worker's thread; what it returns is the answer.
  void respond_later(const CallPointer& call, Body (Service::*make)(const Call&) const);

  // Endpoints.
  void health(const CallPointer& call);
  void version(const CallPointer& call);
  void load(const CallPointer& call);
  void models(const CallPointer& call);
  void metrics_text(const CallPointer& call);
  void openapi(const CallPointer& call);
  void chat(const CallPointer& call) { generate(call, api::kChat); }
  void completions(const CallPointer& call) { generate(call, api::kCompletions); }
  void embeddings(const CallPointer& call) { generate(call, api::kEmbeddings); }
  void tokenize(const CallPointer& call) { respond_later(call, &Service::tokenize_body); }
  void detokenize(const CallPointer& call) { respond_later(call, &Service::detokenize_body); }
  void render_chat(const CallPointer& call) { respond_later(call, &Service::render_chat_body); }
  void render_completions(const CallPointer& call) { respond_later(call, &Service::render_completions_body); }
  void tokenizer_info(const CallPointer& call);
  void reset_prefix_cache(const CallPointer& call);

  Body tokenize_body(const Call& call) const;
  Body detokenize_body(const Call& call) const;
  Body render_chat_body(const Call& call) const { return render_body(call, api::kChat); }
  Body render_completions_body(const Call& call) const { return render_body(call, api::kCompletions); }
  Body render_body(const Call& call, api::Endpoint endpoint) const;

  // Generations.
  void generate(const CallPointer& call, api::Endpoint endpoint);
  void start(const CallPointer& call, Made made);
  void tell(Call& call, const api::Notes& notes);
  void start_embeddings(const CallPointer& call, Made made);
  api::Checked<void> check_queue(std::size_t more) const;
  std::uint64_t draw_seed();
  void pump();

  api::ServedModel served(const Call* call = nullptr) const;  // `call`: for whom; its end ends the work
  std::string model_name(const api::Request& request) const;

  ServiceOptions options_;
  Generator generator_;
  std::optional<Gate> gate_;  // from run() on
  std::size_t longest_token_bytes_;
  std::int64_t started_s_;
  std::uint64_t next_seed_;
  Metrics metrics_;
  HttpServer* server_ = nullptr;
  std::unordered_set<std::shared_ptr<Reply>> replies_;
  std::unordered_set<std::shared_ptr<EmbeddingReply>> embeddings_;
  std::unordered_set<std::string> warned_of_;  // ignored fields, at most kMostWarnings
  std::size_t preparing_ = 0;                  // generations that wait for a worker's thread, or are on it
  std::atomic<bool> pump_is_due_{false};
  bool draining_ = false;
};

}  // namespace folio::server
