#include "capacity/refusal.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "kv/block_pool.h"

namespace folio::capacity {
namespace {

constexpr std::size_t kKB = std::size_t{1} << 10, kMB = kKB << 10, kGB = kMB << 10, kTB = kGB << 10;

// Sums are in tenths of TB or GB, in MB or in KB: figures that people can add up.
struct Unit {
  const char* name;
  double step;
  bool tenths;

  long long steps(std::size_t bytes) const { return std::llround(static_cast<double>(bytes) / step); }
  std::string text(long long n) const {
    return tenths ? fmt::format("{}.{}", n / 10, n % 10) : fmt::format("{}", n);
  }
  std::string text_of(std::size_t bytes) const { return fmt::format("{} {}", text(steps(bytes)), name); }
};
constexpr Unit kUnits[] = {
    {"TB", 0.1 * kTB, true}, {"GB", 0.1 * kGB, true}, {"MB", 1.0 * kMB, false}, {"KB", 1.0 * kKB, false}};

// That of a size, or a finer one where it tells `other` from it.
const Unit& unit_for(std::size_t bytes, std::size_t other) {
  const Unit* unit = bytes >= 4 * kTB   ? kUnits
                     : bytes >= 4 * kGB ? kUnits + 1
                     : bytes >= kMB     ? kUnits + 2
                                        : kUnits + 3;
  while (bytes != other && unit + 1 != std::end(kUnits) && unit->steps(bytes) == unit->steps(other)) ++unit;
  return *unit;
}

// "weights 8.5 + KV blocks 12.0 + the rest 0.3 = 20.8 GB"; lines below a sixtieth of the sum are the rest.
std::string sum_text(const Plan& plan, const Unit& unit) {
  const std::size_t total = plan.total_bytes();
  std::vector<Line> large;
  for (const Line& line : plan.lines)
    if (line.bytes >= total / 60) large.push_back(line);
  std::ranges::stable_sort(large, std::ranges::greater(), &Line::bytes);
  std::string text;
  long long left = unit.steps(total);
  for (const Line& line : large) {
    const long long steps = unit.steps(line.bytes);
    left -= steps;
    text += fmt::format("{}{} {}", text.empty() ? "" : " + ", line.tag, unit.text(steps));
  }
  const long long rest = std::max(left, 0LL);
  if (rest > 0) text += " + the rest " + unit.text(rest);
  return fmt::format("{} = {} {}", text, unit.text(unit.steps(total) - left + rest), unit.name);
}

// The largest size up to `bytes` that is said in few digits, as flags take it: "6G", "512M".
std::string flag_size(std::size_t bytes) {
  if (bytes >= 4 * kGB) return fmt::format("{}G", bytes / kGB);
  if (bytes >= 4 * kMB) return fmt::format("{}M", bytes / kMB);
  return fmt::format("{}", bytes);
}

// The wish with a pool of so many blocks, in the words in which it was made.
std::string fitting_text(const Question& q, std::size_t blocks) {
  const kv::KvGeometry& geometry = q.shape.geometry;
  const std::size_t tokens = blocks * geometry.block_tokens();
  const bool shorter = tokens < q.wish.context_tokens;
  const std::string context = fmt::format("--ctx-size {}", tokens);
  std::string pool;
  if (std::holds_alternative<KvBytes>(q.wish.kv))
    pool = "--kv-cache-memory-bytes " + flag_size(blocks * geometry.block_bytes());
  else if (std::holds_alternative<KvBlocks>(q.wish.kv))
    pool = fmt::format("--num-gpu-blocks-override {}", blocks);
  else if (std::holds_alternative<KvTokens>(q.wish.kv))
    pool = fmt::format("--kv-tokens {}", tokens);
  if (pool.empty()) return context + " fits";
  return shorter ? fmt::format("{} with {} fits", pool, context) : pool + " fits";
}

// Where not one block fits: what else could be less.
std::string advice_text(const Question& q) {
  std::vector<std::string> ways;
  for (const Beside& beside : q.wish.beside)
    if (beside.bytes > 0 && !beside.lowered_by.empty()) ways.push_back("lower " + beside.lowered_by);
  if (q.wish.swap_bytes > 0) ways.push_back("lower --swap-space");
  if (q.wish.memory_bytes > 0) ways.push_back("raise --memory");
  if (!q.shape.quantizes) ways.push_back("try --weights q4_0");
  ways.push_back("use a smaller model");
  return fmt::format("not even one KV block fits beside the rest: {}", fmt::join(ways, ", or "));
}

}  // namespace

std::string size_text(std::size_t bytes) { return unit_for(bytes, bytes).text_of(bytes); }

std::string asked_text(const Question& q) {
  if (const auto* bytes = std::get_if<KvBytes>(&q.wish.kv))
    return fmt::format("--kv-cache-memory-bytes {}", bytes->bytes);
  if (const auto* blocks = std::get_if<KvBlocks>(&q.wish.kv))
    return fmt::format("--num-gpu-blocks-override {}", blocks->blocks);
  if (const auto* tokens = std::get_if<KvTokens>(&q.wish.kv))
    return fmt::format("--kv-tokens {}", tokens->tokens);
  return "the automatic size";
}

Error refusal(const Question& q, const Sizes& sizes) {
  constexpr std::size_t kMostBlocks = kv::BlockPool::kMaxBlocks;
  const Plan plan = lay_out(q, sizes);
  const Bound& bound = q.bound;
  std::string text;
  if (std::max(sizes.blocks, plan.swap_blocks) > kMostBlocks)
    text = fmt::format("{} blocks of {} bytes are more than the {} that can be addressed: ",
                       std::max(sizes.blocks, plan.swap_blocks), q.shape.geometry.block_bytes(), kMostBlocks);
  const Unit& unit = unit_for(plan.total_bytes(), bound.available_bytes);
  // In the unit of the sum, or smaller where that would be nearly nothing.
  const auto beside = [&](std::size_t bytes) {
    return unit.steps(bytes) < 10 ? size_text(bytes) : unit.text_of(bytes);
  };
  text += sum_text(plan, unit);
  if (bound.who == "--memory")
    text += fmt::format(", but --memory allows {}", beside(bound.limit_bytes));
  else
    text += fmt::format(", but {} are available ({}: {})", beside(bound.available_bytes), bound.who,
                        beside(bound.limit_bytes));
  const std::size_t context = q.wish.context_tokens == 0 ? sizes.context : q.wish.context_tokens;
  const std::size_t fits = most_blocks(q, context, bound.available_bytes);
  return {.kind = ErrorKind::kTooLarge,
          .message = text + "; " + (fits == 0 ? advice_text(q) : fitting_text(q, fits))};
}

std::string table_text(const Plan& plan) {
  const auto line = [](std::string_view name, std::size_t bytes) {
    return fmt::format("  {:<24}{:>12.1f} MB\n", name, static_cast<double>(bytes) / static_cast<double>(kMB));
  };
  std::string text = "memory, at most:\n";
  for (const Line& of : plan.lines) text += line(of.tag, of.bytes);
  text += line("in all", plan.total_bytes()) + line("available", plan.bound.available_bytes);
  return text + fmt::format("  bounded by {}: {}", plan.bound.who, size_text(plan.bound.limit_bytes));
}

}  // namespace folio::capacity
