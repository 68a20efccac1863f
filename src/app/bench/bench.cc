#include "app/bench/bench.h"

#include <algorithm>
#include <filesystem>

#include "app/bench/overview.h"
#include "app/bench/plan.h"
#include "app/bench/report.h"
#include "app/defaults.h"
#include "app/progress_bar.h"
#include "app/status_line.h"
#include "platform/cpu.h"
#include "weights/open.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

// What stays the same over all runs.
struct BenchSession {
  const BenchOptions& options;
  Console& console;
  std::string path;
  model::ModelConfig config;
  std::vector<MatrixSpec> matrices;
  std::vector<kernels::MachineLimits> limits;  // by thread count, as they come up
  Json rows = Json::array();
};

Result<BenchSession> open_session(const BenchOptions& options, Console& console) {
  FOLIO_TRY(path, resolve_model(options.model));
  FOLIO_TRY(files, weights::open_model(path));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  BenchSession session{
      .options = options, .console = console, .path = path, .config = config, .matrices = {}, .limits = {}};
  session.matrices = std::visit([](const auto& model) { return matrices_of(model.tensors); }, files);
  return session;
}

// The limits for so many threads, measured when first asked for; nullptr with --no-probe.
Result<const kernels::MachineLimits*> limits_for(BenchSession& session, int threads) {
  if (session.options.probing == Probing::kSkip) return nullptr;
  auto known = std::ranges::find(session.limits, threads, &kernels::MachineLimits::threads);
  if (known == session.limits.end()) {
    FOLIO_TRY(isa, kernels::choose_isa());
    FOLIO_TRY(limits, kernels::measure_limits({.isa = isa, .threads = threads}));
    known = session.limits.insert(session.limits.end(), limits);
    if (session.options.format == BenchFormat::kText)
      session.console.answer(fmt::format("\n{}\n{}", limits_text(limits), table_header()));
  }
  return &*known;
}

Result<BenchEngine> load(const BenchSession& session, const BenchPlan& plan) {
  BenchEngineOptions options{
      .engine = session.options.engine, .context_tokens = plan.context_tokens, .kv_tokens = plan.kv_tokens};
  ProgressBar bar("loading " + std::filesystem::path(session.path).filename().string());
  options.engine.model = session.path;
  options.engine.threads = plan.setting.threads;
  options.engine.kv_type = plan.setting.kv_type;
  options.engine.arithmetic = plan.setting.arithmetic;
  options.engine.progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); };
  return BenchEngine::load(std::move(options));
}

void emit(BenchSession& session, BenchRow row, double tokens, std::vector<double> seconds) {
  std::ranges::sort(seconds, std::greater{});
  for (double s : seconds) row.tokens_per_s.push_back(tokens / s);
  row.seconds = seconds[seconds.size() / 2];
  if (session.options.format == BenchFormat::kText) session.console.answer(table_line(row));
  if (session.options.format == BenchFormat::kCsv) session.console.answer(csv_line(row));
  if (session.options.format == BenchFormat::kJson) session.rows.push_back(row_fields(row));
}

struct Measured {
  std::vector<double> prefill_s, decode_s;  // decode: for streams x generate tokens
};

// One repetition to warm up, then those that count.
Result<Measured> measure(BenchEngine& engine, const RunShape& shape, std::size_t repetitions) {
  FOLIO_TRY_STATUS(engine.prepare(shape));
  Measured measured;
  for (std::size_t i = 0; i <= repetitions; ++i) {
    FOLIO_TRY(times, engine.run(shape));
    if (shape.generate > 0 && times.decode_tokens == 0)
      return fail(ErrorKind::kInvalid,
                  "{} streams were never all generating at once; raise --gen {} or lower --batch",
                  shape.streams, shape.generate);
    if (i == 0) continue;
    const double decode_tokens = static_cast<double>(shape.streams * shape.generate);
    measured.prefill_s.push_back(times.prefill_s);
    measured.decode_s.push_back(times.decode_s * decode_tokens / static_cast<double>(times.decode_tokens));
  }
  return measured;
}

BenchRow row_of(BenchTest test, const BenchSetting& setting, const RunShape& shape,
                const Roofline& roofline) {
  BenchRow row{.test = test, .setting = setting, .shape = shape, .memory = roofline.memory};
  if (roofline.limits != nullptr) row.bandwidth = bandwidth(*roofline.limits, roofline.memory);
  return row;
}

Status run_shape(BenchSession& session, const BenchSetting& setting, BenchEngine& engine,
                 const RunShape& shape) {
  FOLIO_TRY(limits, limits_for(session, setting.threads));
  const ModelWork model =
      count_model(session.matrices, session.config, engine.engine().kv_geometry(), setting.arithmetic);
  FOLIO_TRY(measured, measure(engine, shape, session.options.repetitions));
  // A step's bytes decide which memory it is held against.
  const auto roofline = [&](const WorkTotals& step) {
    return Roofline{.limits = limits,
                    .memory = limiting_memory(step.bytes(), platform::cpu_features().last_level_cache_bytes)};
  };
  const std::size_t step_tokens = engine.engine().step_tokens();
  if (shape.prompt > 0) {
    RunShape one_step = shape;
    one_step.streams = 1;
    one_step.prompt = std::min(shape.prompt, step_tokens);
    const Roofline held = roofline(count_prefill(model, one_step, step_tokens, {}));
    BenchRow row = row_of(BenchTest::kPrefill, setting, shape, held);
    row.work = count_prefill(model, shape, step_tokens, held);
    emit(session, std::move(row), static_cast<double>(shape.streams * shape.prompt), measured.prefill_s);
  }
  if (shape.generate > 0) {
    RunShape one_step = shape;
    one_step.generate = 1;
    const Roofline held = roofline(count_decode(model, one_step, {}));
    BenchRow row = row_of(BenchTest::kDecode, setting, shape, held);
    row.work = count_decode(model, shape, held);
    emit(session, std::move(row), static_cast<double>(shape.streams * shape.generate), measured.decode_s);
  }
  return {};
}

Status run_plans(BenchSession& session) {
  FOLIO_TRY(plans, plan_bench(session.options, session.config));
  if (session.options.format == BenchFormat::kCsv) session.console.answer(csv_header());
  if (session.options.format == BenchFormat::kText) {
    session.console.answer(fmt::format("{}{}\n", machine_text(), session.path));
    if (session.options.probing == Probing::kSkip)
      session.console.answer(fmt::format("\n{}", table_header()));
  }
  for (const BenchPlan& plan : plans) {
    FOLIO_TRY_STATUS(limits_for(session, plan.setting.threads));  // before the model takes memory
    FOLIO_TRY(engine, load(session, plan));
    for (const RunShape& shape : plan.shapes) {
      FOLIO_TRY_STATUS(run_shape(session, plan.setting, engine, shape));
      if (session.console.failure()) return {};
    }
  }
  if (session.options.format == BenchFormat::kJson) {
    Json limits = Json::array();
    for (const kernels::MachineLimits& measured : session.limits) limits.push_back(limits_fields(measured));
    const Json report = {{"machine", machine_fields()},
                         {"model", session.path},
                         {"engine", engine_fields(session.options.engine)},
                         {"limits", limits},
                         {"rows", session.rows}};
    session.console.answer(report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  return {};
}

Status probe_only(const BenchOptions& options, Console& console) {
  FOLIO_TRY(isa, kernels::choose_isa());
  Json list = Json::array();
  if (options.format == BenchFormat::kText) console.answer(machine_text());
  for (int threads : options.threads) {
    FOLIO_TRY(limits, kernels::measure_limits(
                          {.isa = isa, .threads = threads == 0 ? platform::available_cpus() : threads}));
    if (options.format == BenchFormat::kText) console.answer(fmt::format("\n{}", limits_text(limits)));
    list.push_back(limits_fields(limits));
  }
  if (options.format == BenchFormat::kJson)
    console.answer(Json{{"machine", machine_fields()}, {"limits", list}}.dump(2) + "\n");
  return {};
}

Status run_bench(const BenchOptions& options, Console& console) {
  if (options.mode == BenchMode::kProbeOnly) return probe_only(options, console);
  if (options.mode == BenchMode::kOverview) return overview(options, console);
  FOLIO_TRY(session, open_session(options, console));
  return run_plans(session);
}

}  // namespace

ExitCode bench_command(const BenchOptions& options, Console& console) {
  const Status done = run_bench(options, console);
  if (done && !console.failure()) return ExitCode::kOk;
  console.error(done ? console.failure()->message : done.error().message);
  return ExitCode::kError;
}

}  // namespace folio::app
