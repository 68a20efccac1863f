#include "app/status_line.h"
#include "app/serve/serve.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/defaults.h"
#include "app/progress_bar.h"
#include "app/version.h"
#include "kernels/isa.h"
#include "kv/kv_geometry.h"
#include "model/model.h"
#include "platform/file.h"
#include "platform/memory.h"
#include "server/service.h"
#include "weights/open.h"

namespace folio::app {
namespace {

constexpr std::size_t kDefaultKvBytes = std::size_t{4} << 30;

// Tokens that the asked-for memory or number of blocks holds; without either: kDefaultKvBytes, or half of
// what is there.
Result<std::size_t> kv_tokens(const ServeOptions& options, const std::string& path) {
  if (options.kv_blocks) return *options.kv_blocks * options.engine.block_tokens;
  FOLIO_TRY(isa, options.engine.isa ? Result<kernels::Isa>(*options.engine.isa) : kernels::choose_isa());
  FOLIO_TRY(files, weights::open_model(path));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  FOLIO_TRY(geometry, kv::KvGeometry::create(model::kv_shape(
                          config, options.engine.kv_type.value_or(engine::default_kv_type(isa)),
                          options.engine.block_tokens)));
  const std::size_t available = platform::available_bytes();
  const std::size_t bytes = options.kv_bytes.value_or(std::min(kDefaultKvBytes, available / 2));
  if (options.kv_bytes && bytes > available)
    return fail(ErrorKind::kTooLarge, "--kv-cache-memory-bytes asks for {} MB, {} MB of memory are available",
                bytes >> 20, available >> 20);
  return bytes / geometry.block_bytes() * geometry.block_tokens();
}

Result<std::unique_ptr<engine::Engine>> load_engine(const ServeOptions& options, const std::string& path) {
  engine::EngineOptions engine = options.engine;
  engine.model = path;
  FOLIO_TRY(tokens, kv_tokens(options, path));
  engine.kv_tokens = tokens;
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
  server::ServiceOptions service{
      .model_names = options.model_names,
      .model_path = path,
      .version = std::string(kVersion),
      .sampling = {},
      .seed = options.seed,
      .api_keys = options.api_keys,
      .allowed_origins = options.allowed_origins,
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
  if (options.generation_config != "vllm") {
    FOLIO_TRY(sampling,
              model_sampling(options.generation_config == "auto" ? path : options.generation_config, {}));
    service.sampling = sampling;
  }
  if (!options.chat_template_file.empty()) {
    FOLIO_TRY(source, platform::read_file(options.chat_template_file, text::kMaxTemplateBytes));
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
  FOLIO_TRY(path, resolve_model(options.model));
  FOLIO_TRY(engine, load_engine(options, path));
  for (const std::string& warning : model_warnings(*engine)) console.note("warning: " + warning);
  FOLIO_TRY(service_setup, service_options(options, path, *engine));
  const std::string name = service_setup.model_names.front();
  server::Service service(std::move(engine), std::move(service_setup));
  FOLIO_TRY(http, server::HttpServer::listen(options.http, service));
  console.note(started_line(name, http->address(), service.engine()));
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
