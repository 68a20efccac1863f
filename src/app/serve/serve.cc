#include "app/serve/serve.h"

#include <cstdlib>
#include <filesystem>

#include "app/defaults.h"
#include "app/progress_bar.h"
#include "app/version.h"
#include "platform/file.h"
#include "server/service.h"

namespace folio::app {
namespace {

constexpr std::size_t kDefaultKvBytes = std::size_t{4} << 30;

capacity::KvSize kv_size(const ServeOptions& options) {
  if (options.kv_blocks) return capacity::KvBlocks{*options.kv_blocks};
  if (options.kv_bytes) return capacity::KvBytes{*options.kv_bytes};
  return capacity::KvAutomatic{.up_to_bytes = kDefaultKvBytes};
}

// A JSON text while it is read: an array of one-digit numbers takes 16 bytes for 2, and as it grows half as
// much again.
constexpr std::size_t kJsonGrowth = 12;

// What the server takes beside the engine. One long request is read at a time, and short ones beside it.
std::vector<capacity::Beside> beside_engine(const server::HttpLimits& limits) {
  return {{"connections", limits.most_connection_bytes(), "--max-connections"},
          {"request bodies", limits.most_body_bytes() + kJsonGrowth * limits.body_bytes,
           "--max-all-request-bytes or --max-request-bytes"}};
}

Result<std::unique_ptr<engine::Engine>> load_engine(const ServeOptions& options, const std::string& path) {
  engine::EngineOptions engine = options.engine;
  engine.model = path;
  engine.kv_size = kv_size(options);
  engine.queue = {.requests = options.max_queued_requests,
                  .text_bytes = options.http.limits.most_body_bytes()};
  engine.beside = beside_engine(options.http.limits);
  if (options.kv_metrics) engine.residency_share = options.kv_metrics_share;
  ProgressBar bar("loading " + std::filesystem::path(path).filename().string());
  engine.progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); };
  return engine::Engine::load(engine);
}

// "folder/SmolLM2-135M-Instruct.Q4_1.gguf" -> that without folder and .gguf
std::string name_of(const std::string& path) {
  std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  if (!clean.has_filename()) clean = clean.parent_path();
  return clean.extension() == ".gguf" ? clean.stem().string() : clean.filename().string();
}

Result<server::ServiceOptions> service_options(const ServeOptions& options, const std::string& path,
                                               const engine::Engine& engine) {
  FOLIO_TRY(defaults, choose_generation_defaults(options.generation_config, engine.generation_config()));
  server::ServiceOptions service{
      .model_names = options.model_names,
      .model_path = path,
      .version = std::string(kVersion),
      .defaults = defaults,
      .strictness = options.strictness,
      .tokenizer_info = options.tokenizer_info,
      .seed = options.seed,
      .gate = options.gate,
      .max_queued_requests = options.max_queued_requests,
      .pooling = options.pooling,
      .normalize = options.normalize,
      .max_logprobs = options.max_logprobs,
      .stream_interval = options.stream_interval,
      .mode = options.mode,
      .tenants = options.tenants,
      .priorities = options.engine.policy == scheduler::Policy::kPriority ? api::Priorities::kUse
                                                                          : api::Priorities::kRefuse,
      .cached_tokens = options.cached_tokens,
      .request_ids = options.request_ids,
      .on_second_signal = [] { std::_Exit(static_cast<int>(ExitCode::kInterrupted)); }};
  if (service.model_names.empty()) service.model_names = {name_of(path)};
  if (!options.chat_template_file.empty()) {
    FOLIO_TRY(source, platform::read_regular_file(options.chat_template_file, text::kMaxTemplateBytes));
    FOLIO_TRY(made, text::ChatTemplate::compile(source, text::template_tokens(engine.tokenizer())));
    service.chat_template = std::move(made);
  }
  return service;
}

std::string started_line(std::string_view name, std::string_view address, const engine::Engine& engine) {
  const std::size_t blocks = engine.kv_stats().blocks, block_tokens = engine.kv_geometry().block_tokens();
  return fmt::format("serving {} at {}: {} KV blocks of {} tokens = {} tokens, {} for one request at most",
                     name, address, blocks, block_tokens, blocks * block_tokens, engine.context_tokens());
}

Status serve(const ServeOptions& options, Console& console) {
  platform::keep_no_large_blocks();
  FOLIO_TRY(path, resolve_model(options.model));
  FOLIO_TRY(engine, load_engine(options, path));
  for (const std::string& warning : engine->tokenizer().description().warnings)
    console.note("warning: " + warning);
  if (const auto& problem = engine->chat_template().problem(); problem && options.chat_template_file.empty())
    console.note("warning: " + problem->message);
  if (options.verbosity == Verbosity::kVerbose) console.note(capacity::table_text(engine->memory_plan()));
  FOLIO_TRY(service_setup, service_options(options, path, *engine));
  service_setup.warn = [&console](const std::string& warning) { console.note("warning: " + warning); };
  const std::string name = service_setup.model_names.front();
  const std::string drawing = describe_sampling(service_setup.defaults);
  server::Service service(std::move(engine), std::move(service_setup));
  FOLIO_TRY(http, server::HttpServer::listen(options.http, service));
  if (http->reach() == server::Reach::kNetwork && options.gate.api_keys.empty())
    console.note(fmt::format("warning: whoever reaches {} may use this server; --api-key asks for a key",
                             http->address()));
  console.note(started_line(name, http->address(), service.engine()));
  console.note(fmt::format("chats without sampling fields use {} (--generation-config {})", drawing,
                           options.generation_config));
  service.run(*http);
  return {};
}

}  // namespace

ExitCode serve_command(const ServeOptions& options, Console& console) {
  for (const std::string& warning : options.warnings) console.note("warning: " + warning);
  const Status served = serve(options, console);
  if (!served) console.error(served.error().message);
  return served ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace folio::app
