#include "capacity/plan.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <variant>

#include "capacity/refusal.h"
#include "kv/block_pool.h"
#include "kv/block_residency.h"
#include "kv/kv_cache.h"
#include "model/workspace.h"

namespace folio::capacity {
namespace {

constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kDefaultSequences = 64;
constexpr std::size_t kLogitRows = 64;  // of one step, where a request wants logits over its prompt
// What a thread touches of its stack and of glibc's heap for it.
constexpr std::size_t kThreadBytes = std::size_t{256} << 10;
// Of what is available, that much stays free under sizes that nobody asked for: others take memory, too.
constexpr std::size_t kSpareShare = 32;

std::size_t product(std::size_t a, std::size_t b) {
  std::size_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? kMost : result;
}

std::size_t sum(std::size_t a, std::size_t b) { return a > kMost - b ? kMost : a + b; }

// More blocks than can be numbered are refused, whatever their index would take.
std::size_t index_bytes(const Question& q, std::size_t blocks, std::size_t swap_blocks) {
  constexpr std::size_t kMostBlocks = kv::BlockPool::kMaxBlocks;
  const std::size_t counted = std::min(blocks, kMostBlocks);
  const std::size_t lifetimes = q.wish.residency_share > 0 ? kv::BlockResidency::bytes_per_block() : 0;
  return counted * lifetimes +
         kv::KvCache::metadata_bytes({.geometry = q.shape.geometry,
                                      .blocks = counted,
                                      .eviction = q.wish.eviction,
                                      .swap_blocks = std::min(swap_blocks, kMostBlocks)});
}

void add_workspace(const Question& q, Plan& plan) {
  const model::WorkspaceBytes bytes =
      model::Workspace::bytes(q.shape.config, {.rows = plan.rows,
                                               .output_rows = plan.output_rows,
                                               .context = plan.context_tokens,
                                               .threads = q.machine.threads,
                                               .arithmetic = q.shape.arithmetic});
  plan.lines.push_back({"activations", bytes.activations, Line::Kind::kArena});
  plan.lines.push_back({"logits", bytes.logits, Line::Kind::kArena});
  plan.lines.push_back({"attention scratch", bytes.attention_scratch, Line::Kind::kArena});
  const std::size_t threads = static_cast<std::size_t>(q.machine.threads);
  plan.lines.push_back({"threads", threads * kThreadBytes + bytes.tables});
}

// The tokens of all requests: of those that wait their prompts, of those that run a context each.
std::size_t queue_bytes(const Question& q, const Plan& plan) {
  constexpr std::size_t kTokenBytes =
      10;  // the request's copy, the sequence's, and its share of a block's entry
  const Queue& queue = q.wish.queue;
  if (queue.requests == 0) return 0;
  const std::size_t waiting = std::min(product(queue.requests, plan.context_tokens), queue.text_bytes);
  return product(kTokenBytes, sum(waiting, product(plan.sequences, plan.context_tokens)));
}

// What the file's pages of one tensor take beyond all that comes after the weights and is not there yet.
std::size_t loading_bytes(const Question& q, std::size_t later_bytes) {
  return q.shape.largest_tensor_bytes > later_bytes ? q.shape.largest_tensor_bytes - later_bytes : 0;
}

// The largest n up to `most` with fits(n), which holds for every smaller one too; 0 where none does.
template <typename Fits>
std::size_t largest(std::size_t most, Fits fits) {
  std::size_t good = 0, bad = most + 1;
  while (good + 1 < bad) {
    const std::size_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

// The bound that counts: the machine's tightest, or --memory.
Result<Bound> choose_bound(const Machine& machine, const Wish& wish) {
  const Bound& tightest = machine.tightest();
  if (wish.memory_bytes == 0) return tightest;
  for (const Bound& bound : machine.bounds)
    if (wish.memory_bytes > bound.limit_bytes)
      return fail(ErrorKind::kTooLarge,
                  "--memory {} is more than the {} that {} gives; give less, or leave it out",
                  size_text(wish.memory_bytes), size_text(bound.limit_bytes), bound.who);
  if (wish.memory_bytes >= tightest.available_bytes) return tightest;
  return Bound{.who = "--memory", .limit_bytes = wish.memory_bytes, .available_bytes = wish.memory_bytes};
}

// The pool that was asked for by its size. nullopt: automatic.
std::optional<std::size_t> wished_blocks(const Question& q) {
  const kv::KvGeometry& geometry = q.shape.geometry;
  if (const auto* bytes = std::get_if<KvBytes>(&q.wish.kv)) return bytes->bytes / geometry.block_bytes();
  if (const auto* blocks = std::get_if<KvBlocks>(&q.wish.kv)) return blocks->blocks;
  if (const auto* tokens = std::get_if<KvTokens>(&q.wish.kv)) return geometry.blocks_for(tokens->tokens);
  return std::nullopt;
}

Result<Sizes> sizes_asked_for(const Question& q, std::size_t blocks) {
  const kv::KvGeometry& geometry = q.shape.geometry;
  const std::size_t context = q.wish.context_tokens;
  if (blocks == 0)
    return fail(ErrorKind::kInvalid, "{} holds not even one KV block of {} tokens, which takes {} bytes",
                asked_text(q), geometry.block_tokens(), geometry.block_bytes());
  if (geometry.blocks_for(context) > blocks)
    return fail(
        ErrorKind::kInvalid,
        "--ctx-size {} and {} contradict each other: a context of {} tokens takes {} KV blocks = {}, all "
        "blocks together are {} = {}",
        context, asked_text(q), context, geometry.blocks_for(context),
        size_text(product(geometry.blocks_for(context), geometry.block_bytes())), blocks,
        size_text(product(blocks, geometry.block_bytes())));
  return Sizes{.context = context == 0 ? q.shape.config.context : context, .blocks = blocks};
}

// Context and pool that nobody sized: half of what is free at most, and no more than fits.
Result<Sizes> choose_sizes(const Question& q) {
  const kv::KvGeometry& geometry = q.shape.geometry;
  const std::size_t wanted = q.wish.context_tokens;
  const std::size_t available = q.bound.available_bytes;
  const std::size_t free = available - std::min(available, q.machine.resident_bytes);
  Sizes sizes{.context = wanted == 0 ? q.shape.config.context : wanted, .blocks = 0};
  std::size_t fitting = most_blocks(q, sizes.context, available - available / kSpareShare);
  if (fitting == 0) fitting = std::min<std::size_t>(1, most_blocks(q, sizes.context, available));
  const std::size_t half = std::max<std::size_t>(1, free / 2 / geometry.block_bytes());
  const std::size_t most = std::min(half, fitting);
  if (wanted == 0) sizes.context = std::min(sizes.context, product(most, geometry.block_tokens()));
  const std::size_t up_to = std::get<KvAutomatic>(q.wish.kv).up_to_bytes;
  const std::size_t context_blocks = geometry.blocks_for(sizes.context);
  sizes.blocks = up_to == 0    ? context_blocks
                 : wanted == 0 ? std::min(up_to / geometry.block_bytes(), most)
                               : std::max(context_blocks, std::min(up_to / geometry.block_bytes(), most));
  if (sizes.blocks == 0) return std::unexpected(refusal(q, {.context = q.shape.config.context, .blocks = 1}));
  return sizes;
}

}  // namespace

Plan lay_out(const Question& q, const Sizes& sizes) {
  const ModelShape& shape = q.shape;
  const std::size_t block_bytes = shape.geometry.block_bytes();
  Plan plan{.lines = {},
            .context_tokens = sizes.context,
            .blocks = sizes.blocks,
            .swap_blocks = q.wish.swap_bytes / block_bytes,
            .bound = q.bound};
  const Wish& wish = q.wish;
  plan.sequences = wish.max_num_seqs == 0 ? std::min(kDefaultSequences, wish.step_tokens) : wish.max_num_seqs;
  // More rows than all sequences together could want are never used.
  plan.rows = std::min(wish.step_tokens, product(plan.sequences, sizes.context + 1));
  plan.output_rows = std::max(plan.sequences, std::min(kLogitRows, plan.rows));

  add_workspace(q, plan);
  plan.lines.push_back({"KV blocks", product(sizes.blocks, block_bytes), Line::Kind::kArena});
  plan.lines.push_back({"KV swap area", product(plan.swap_blocks, block_bytes), Line::Kind::kArena});
  plan.lines.push_back({"KV index", index_bytes(q, sizes.blocks, plan.swap_blocks)});
  plan.lines.push_back({"prompts and answers", queue_bytes(q, plan)});
  for (const Beside& beside : wish.beside) plan.lines.push_back({beside.tag, beside.bytes});
  const std::size_t loading = loading_bytes(q, plan.total_bytes());
  plan.lines.insert(plan.lines.begin(), {{"program and vocabulary", q.machine.resident_bytes},
                                         {"weights", shape.weight_bytes, Line::Kind::kArena},
                                         {"norms and biases", shape.vector_bytes}});
  plan.lines.push_back({"while loading", loading, Line::Kind::kLoading});
  std::erase_if(plan.lines, [](const Line& line) { return line.bytes == 0; });
  return plan;
}

std::size_t most_blocks(const Question& q, std::size_t context, std::size_t available_bytes) {
  return largest(kv::BlockPool::kMaxBlocks, [&](std::size_t blocks) {
    return lay_out(q, {.context = context, .blocks = blocks}).total_bytes() <= available_bytes;
  });
}

Result<Plan> plan(const Machine& machine, const ModelShape& shape, const Wish& wish) {
  FOLIO_TRY(bound, choose_bound(machine, wish));
  const Question q{.machine = machine, .shape = shape, .wish = wish, .bound = bound};
  if (wish.context_tokens > shape.config.max_context)
    return fail(ErrorKind::kTooLarge, "--ctx-size {} is longer than the model's context of {} tokens",
                wish.context_tokens, shape.config.max_context);
  const std::optional<std::size_t> blocks = wished_blocks(q);
  FOLIO_TRY(sizes, blocks ? sizes_asked_for(q, *blocks) : choose_sizes(q));
  const std::size_t swap_blocks = wish.swap_bytes / shape.geometry.block_bytes();
  Plan made = lay_out(q, sizes);
  if (made.total_bytes() > bound.available_bytes ||
      std::max(sizes.blocks, swap_blocks) > kv::BlockPool::kMaxBlocks)
    return std::unexpected(refusal(q, sizes));
  return made;
}

std::size_t Plan::total_bytes() const {
  std::size_t total = 0;
  for (const Line& line : lines) total = sum(total, line.bytes);
  return total;
}

std::size_t Plan::bytes_of(std::string_view tag) const {
  const auto line = std::ranges::find(lines, tag, &Line::tag);
  return line == lines.end() ? 0 : line->bytes;
}

Status check_taken(const Plan& plan, std::span<const platform::TaggedBytes> before,
                   std::span<const platform::TaggedBytes> after) {
  const auto held = [](std::span<const platform::TaggedBytes> arenas, std::string_view tag) {
    const auto found = std::ranges::find(arenas, tag, &platform::TaggedBytes::tag);
    return found == arenas.end() ? std::size_t{0} : found->bytes;
  };
  const auto check = [&](std::string_view tag) -> Status {
    std::size_t planned = 0;
    for (const Line& line : plan.lines)
      if (line.kind == Line::Kind::kArena && line.tag == tag) planned += line.bytes;
    const std::size_t taken = held(after, tag) - held(before, tag);
    if (taken == planned) return {};
    return fail(ErrorKind::kInvalid,
                "{} bytes of {} were planned and {} were taken; this is a bug in folio, please report it",
                planned, tag, taken);
  };
  for (const Line& line : plan.lines)
    if (line.kind == Line::Kind::kArena) FOLIO_TRY_STATUS(check(line.tag));
  for (const platform::TaggedBytes& arena : after) FOLIO_TRY_STATUS(check(arena.tag));
  return {};
}

}  // namespace folio::capacity
