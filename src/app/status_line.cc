#include "app/status_line.h"

namespace folio::app {
namespace {

std::string format_rate(double tokens_per_s) {
  return tokens_per_s > 0 ? fmt::format("{:.1f} tok/s", tokens_per_s) : std::string("-");
}

std::string plural(std::uint64_t count, std::string_view word) {
  return fmt::format("{} {}{}", format_count(count), word, count == 1 ? "" : "s");
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return value < 100 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                     : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  return seconds < 100 ? fmt::format("{:.2f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string format_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string format_stats(const engine::GenerationStats& stats) {
  return fmt::format(
      "prompt {}, {} from the cache; generated {}; first token after {}; prefill {}; decode {}; KV {}, {}",
      plural(stats.prompt_tokens, "token"), format_count(stats.cached_tokens),
      format_count(stats.generated_tokens),
      stats.generated_tokens > 0 ? format_seconds(stats.first_token_s) : std::string("-"),
      format_rate(stats.prefill_tokens_per_s()), format_rate(stats.decode_tokens_per_s()),
      plural(stats.kv_blocks, "block"), format_bytes(stats.kv_bytes));
}

std::string format_finish(const Answer& answer, std::size_t context_tokens) {
  const engine::GenerationStats& stats = answer.stats;
  switch (answer.finish) {
    case engine::FinishReason::kStop:
    case engine::FinishReason::kError:
      return {};
    case engine::FinishReason::kCancelled:
      return "; stopped by Ctrl-C";
    case engine::FinishReason::kDeadline:
      return "; its time was over";
    case engine::FinishReason::kLength:
      break;
  }
  if (stats.prompt_tokens + stats.generated_tokens >= context_tokens)
    return fmt::format("; the context of {} is full", plural(context_tokens, "token"));
  return "; stopped by --max-tokens";
}

std::string format_session(const engine::Engine& engine, const ChatSession& session) {
  const SessionTotals& totals = session.totals();
  const kv::KvStats kv = engine.kv_stats();
  const engine::MemoryUse memory = engine.memory_use();
  return fmt::format(
      "session   {}; {} of prompts, {} of them from the cache; {} generated\n"
      "KV cache  {} of {} in all: {} cached, {} in use, {} free; {} evicted so far\n"
      "memory    {} weights, {} reserved for KV; {} resident ({} in huge pages), {} at the peak\n"
      "context   {}; kernels {}, {}",
      plural(totals.answers, "answer"), plural(totals.prompt_tokens, "token"),
      format_count(totals.cached_tokens), format_count(totals.generated_tokens), plural(kv.blocks, "block"),
      format_bytes(kv.block_bytes * kv.blocks), format_count(kv.cached_blocks),
      format_count(kv.in_use_blocks), format_count(kv.free_blocks), format_count(kv.evicted_blocks),
      format_bytes(memory.weight_bytes), format_bytes(memory.kv_bytes), format_bytes(memory.resident_bytes),
      format_bytes(memory.huge_page_bytes), format_bytes(memory.peak_resident_bytes),
      plural(engine.context_tokens(), "token"), kernels::name(engine.isa()),
      plural(static_cast<std::uint64_t>(engine.threads()), "thread"));
}

std::string format_engine(const engine::Engine& engine, const std::string& model_path, double load_s) {
  const engine::MemoryUse memory = engine.memory_use();
  return fmt::format(
      "{}: loaded in {}; {} of weights; context {}; KV cache {} in blocks of {} tokens, {}; kernels {}, {}; "
      "chat template: {}",
      model_path, format_seconds(load_s), format_bytes(memory.weight_bytes),
      plural(engine.context_tokens(), "token"), kernels::name(engine.kv_geometry().shape().type),
      engine.kv_geometry().block_tokens(), format_bytes(memory.kv_bytes), kernels::name(engine.isa()),
      plural(static_cast<std::uint64_t>(engine.threads()), "thread"), engine.chat_template().name());
}

}  // namespace folio::app
