#include "table.h"

#include <algorithm>
#include <vector>

#include "app/bench/report.h"
#include "app/defaults.h"
#include "crowd.h"
#include "kernels/isa.h"
#include "kernels/probe/machine_probe.h"
#include "paging.h"
#include "platform/cpu.h"
#include "serving.h"
#include "trace.h"

namespace folio::experiments {
namespace {

using Json = nlohmann::ordered_json;

// One line of the table, and the same by name.
struct Row {
  std::string what, figure, aim;
  Json fields;
};
using Rows = std::vector<Row>;

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

// The least time of a step of 64 decoding sequences of the shape of Llama-3.2-1B in Q4_0: its weights read
// once, or its dots done, whichever takes longer.
double least_1b_step_s(const kernels::MachineLimits& limits) {
  constexpr double kWeightBytes = 826'441'728, kRowOperations = 2 * 60'817'408.0 * 16;
  return std::max(kWeightBytes / limits.memory.all_threads,
                  64 * kRowOperations / limits.int8_peak().all_threads);
}

Status add_upkeep(Rows& rows, const kernels::MachineLimits* limits) {
  FOLIO_TRY(upkeep, measure_upkeep());
  rows.push_back({"KV bytes in use that hold live tokens, sequences of 1,000 and more",
                  percent(upkeep.live_share),
                  ">= 99 %",
                  {{"name", "live_kv_share"}, {"value", upkeep.live_share}}});
  const auto share = [&](double us) {
    return limits == nullptr ? Json() : Json(us / 1e6 / least_1b_step_s(*limits));
  };
  const Json median = share(upkeep.median_step_us), mean = share(upkeep.mean_step_us);
  rows.push_back({"scheduler, look-ups, blocks, streams: a step of 64 that decode",
                  fmt::format("{:.0f} us", upkeep.median_step_us),
                  "",
                  {{"name", "upkeep_decode_us"}, {"value", upkeep.median_step_us}}});
  rows.push_back({"  the same with admissions and prompts in it, mean",
                  fmt::format("{:.0f} us", upkeep.mean_step_us),
                  "",
                  {{"name", "upkeep_mean_us"}, {"value", upkeep.mean_step_us}, {"steps", upkeep.steps}}});
  rows.push_back({"  of the least time of such a step of a 1B model",
                  median.is_null() ? "-" : percent(median.get<double>()),
                  "<= 0.1 %",
                  {{"name", "upkeep_share_of_1b_step"}, {"value", median}, {"mean", mean}}});
  return {};
}

Status add_slots(Rows& rows) {
  FOLIO_TRY(slots, measure_slots());
  rows.push_back({fmt::format("sequences in the KV memory of {} slots of {}, lengths of chats", slots.slots,
                              slots.slot_tokens),
                  fmt::format("{:.1f}: {:.1f}x", slots.mean_sequences, slots.ratio()),
                  ">= 4x",
                  {{"name", "slots"},
                   {"value", slots.ratio()},
                   {"mean_sequences", slots.mean_sequences},
                   {"slots", slots.slots},
                   {"slot_tokens", slots.slot_tokens},
                   {"requests", slots.requests},
                   {"preemptions", slots.preemptions}}});
  return {};
}

Status add_together(Rows& rows, engine::Engine& engine) {
  FOLIO_TRY(together, measure_together(engine));
  rows.push_back(
      {fmt::format("{} requests together against one at a time: tok/s generated", together.requests),
       fmt::format("{:.0f} / {:.0f}: {:.1f}x", together.tokens_per_s, together.alone_tokens_per_s,
                   together.ratio()),
       ">= 8x",
       {{"name", "together"},
        {"value", together.ratio()},
        {"tokens_per_s", together.tokens_per_s},
        {"alone_tokens_per_s", together.alone_tokens_per_s}}});
  return {};
}

Status add_first_token(Rows& rows, engine::Engine& engine) {
  FOLIO_TRY(first, measure_first_token(engine));
  rows.push_back(
      {fmt::format("first token of a prompt of {}: cold", first.prompt_tokens),
       fmt::format("{:.0f} ms", 1000 * first.cold_s),
       "",
       {{"name", "first_token_cold_s"}, {"value", first.cold_s}, {"prompt_tokens", first.prompt_tokens}}});
  rows.push_back({"  found in the cache",
                  fmt::format("{:.1f} ms", 1000 * first.warm_s),
                  "",
                  {{"name", "first_token_warm_s"}, {"value", first.warm_s}}});
  rows.push_back({"  against one step at that context and the tokenisation",
                  fmt::format("{:.1f} + {:.1f} ms: {:.2f}x", 1000 * first.decode_s, 1000 * first.tokenise_s,
                              first.ratio()),
                  "<= 1.15x",
                  {{"name", "first_token_ratio"},
                   {"value", first.ratio()},
                   {"decode_step_s", first.decode_s},
                   {"tokenise_s", first.tokenise_s}}});
  return {};
}

Status add_saved_blocks(Rows& rows, engine::Engine& engine) {
  for (const auto& [branching, name, what] :
       {std::tuple(Branching::kSamples, "saved_by_samples", "sampled answers"),
        std::tuple(Branching::kBeams, "saved_by_beams", "beams")}) {
    FOLIO_TRY(branches, measure_branches(engine, branching));
    rows.push_back({fmt::format("blocks saved by {} {}, {} + {} tokens", branches.answers, what,
                                branches.prompt_tokens, branches.generated_tokens),
                    percent(branches.saved_share),
                    branching == Branching::kSamples ? "paper: 16-30 %" : "paper: 44-66 %",
                    {{"name", name}, {"value", branches.saved_share}}});
  }
  return {};
}

Status add_shared_prompt(Rows& rows) {
  FOLIO_TRY(shared, measure_shared_prompt());
  rows.push_back({fmt::format("blocks saved by {} requests with {} tokens in common, {} of their own",
                              shared.requests, shared.shared_tokens, shared.own_tokens),
                  percent(shared.saved_share),
                  "",
                  {{"name", "saved_by_system_prompt"}, {"value", shared.saved_share}}});
  return {};
}

Status add_trace(Rows& rows, const std::string& path) {
  if (path.empty()) return {};
  FOLIO_TRY(trace, read_trace(path));
  FOLIO_TRY(whole, replay(trace, trace.blocks, kv::Eviction::kLru));
  rows.push_back({fmt::format("trace of {} requests, {} blocks: found with room for all",
                              trace.requests.size(), trace.blocks),
                  percent(whole.rate(trace)),
                  "",
                  {{"name", "trace_infinite"}, {"value", whole.rate(trace)}, {"blocks", trace.blocks}}});
  for (const std::size_t percentage : {10u, 30u, 100u})
    for (const kv::Eviction eviction : {kv::Eviction::kLru, kv::Eviction::kCost}) {
      const std::size_t blocks = std::max<std::size_t>(1, trace.blocks * percentage / 100);
      FOLIO_TRY(part, replay(trace, blocks, eviction));
      const char* order = eviction == kv::Eviction::kLru ? "lru" : "cost";
      const double of_infinite = whole.hit_blocks == 0 ? 0
                                                       : static_cast<double>(part.hit_blocks) /
                                                             static_cast<double>(whole.hit_blocks);
      rows.push_back({fmt::format("  {:>3} % of that, {}", percentage, order),
                      fmt::format("{}: {} of it", percent(part.rate(trace)), percent(of_infinite)),
                      "",
                      {{"name", "trace"},
                       {"capacity_percent", percentage},
                       {"eviction", order},
                       {"value", part.rate(trace)},
                       {"hit_blocks", part.hit_blocks},
                       {"share_of_infinite", of_infinite}}});
    }
  return {};
}

void print(const Rows& rows, Json head, const Options& options, app::Console& console) {
  if (options.format == Format::kJson) {
    for (const Row& row : rows) {
      Json fields = row.fields;
      if (!row.aim.empty()) fields["aim"] = row.aim;
      head["rows"].push_back(std::move(fields));
    }
    console.answer(head.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return;
  }
  std::string text = head.contains("model")
                         ? fmt::format("{}{}\n\n", app::machine_text(), head["model"].get<std::string>())
                         : std::string();
  for (const Row& row : rows) text += fmt::format("{:<68} {:>26}  {}\n", row.what, row.figure, row.aim);
  console.answer(text);
}

}  // namespace

Status engine_table(const Options& options, app::Console& console) {
  FOLIO_TRY(path, app::resolve_model(options.model));
  Rows rows;
  FOLIO_TRY(engine, load_for_serving(options, path));
  std::optional<kernels::MachineLimits> limits;
  if (options.probing == Probing::kMeasure) {
    FOLIO_TRY(measured, kernels::measure_limits({.isa = engine->isa(), .threads = engine->threads()}));
    limits = measured;
  }
  FOLIO_TRY_STATUS(add_upkeep(rows, limits ? &*limits : nullptr));
  FOLIO_TRY_STATUS(add_slots(rows));
  FOLIO_TRY_STATUS(add_together(rows, *engine));
  FOLIO_TRY_STATUS(add_first_token(rows, *engine));
  FOLIO_TRY_STATUS(add_saved_blocks(rows, *engine));
  FOLIO_TRY_STATUS(add_shared_prompt(rows));
  FOLIO_TRY_STATUS(add_trace(rows, options.trace));
  print(rows, {{"machine", app::machine_fields()}, {"model", path}}, options, console);
  return {};
}

Status paging_table(const Options& options, app::Console& console) {
  FOLIO_TRY(measured, measure_paging(options));
  Rows rows;
  for (const PagingRow& row : measured)
    rows.push_back(
        {fmt::format("attention over blocks against one run, {} behind {}", row.name, row.positions),
         fmt::format("{:+.2f} % ({:+.1f} to {:+.1f}), {:.1f} GB/s", 100 * (row.median() - 1),
                     100 * (row.ratios.front() - 1), 100 * (row.ratios.back() - 1),
                     row.bytes / row.paged_s / 1e9),
         "<= 1 %",
         {{"name", "paging"},
          {"value", row.median()},
          {"rows", row.rows},
          {"positions", row.positions},
          {"ratios", row.ratios},
          {"bytes_per_s", row.bytes / row.paged_s}}});
  print(rows, {{"machine", app::machine_fields()}}, options, console);
  return {};
}

Status crowd_table(const Options& options, app::Console& console) {
  Rows rows;
  std::optional<kernels::MachineLimits> limits;
  if (options.probing == Probing::kMeasure) {
    FOLIO_TRY(isa, kernels::choose_isa());
    const int threads = options.threads == 0 ? platform::available_cpus() : options.threads;
    FOLIO_TRY(measured, kernels::measure_limits({.isa = isa, .threads = threads}));
    limits = measured;
  }
  FOLIO_TRY_STATUS(add_upkeep(rows, limits ? &*limits : nullptr));
  FOLIO_TRY_STATUS(add_slots(rows));
  FOLIO_TRY_STATUS(add_shared_prompt(rows));
  print(rows, Json::object(), options, console);
  return {};
}

Status trace_table(const Options& options, app::Console& console) {
  if (options.trace.empty())
    return fail(ErrorKind::kInvalid,
                "trace takes the file of a trace: JSON lines with \"hash_ids\", as Mooncake's");
  Rows rows;
  FOLIO_TRY_STATUS(add_trace(rows, options.trace));
  print(rows, Json::object(), options, console);
  return {};
}

}  // namespace folio::experiments
