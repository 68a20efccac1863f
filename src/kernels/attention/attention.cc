#include "kernels/attention/attention.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kTaskQueries = 64;                         // of all its heads
constexpr std::size_t kThreadStates = 2 * kTaskQueries;          // totals, and one split's
constexpr std::size_t kMaxPartialBytes = std::size_t{64} << 20;  // with more, splits are not shared out

struct Visible {
  std::uint32_t first, end;
};

Visible visible(const AttentionSequence& sequence, std::size_t row, std::uint32_t window) {
  const std::uint32_t end = sequence.first_position + static_cast<std::uint32_t>(row) + 1;
  return {.first = end > window ? end - window : 0, .end = end};
}

// The splits that any of the task's queries sees: queries are in ascending order of position.
struct SplitRange {
  std::uint32_t first, end;
};

SplitRange splits_of(const AttentionSequence& sequence, std::size_t first_row, std::size_t last_row,
                     std::uint32_t window) {
  return {.first = visible(sequence, first_row, window).first / kSplitTokens,
          .end = (visible(sequence, last_row, window).end - 1) / kSplitTokens + 1};
}

void clear(AttentionState& state, std::size_t padded) {
  state.maximum = -std::numeric_limits<float>::infinity();
  state.weight = 0;
  std::fill_n(state.values, padded, 0.0f);
}

}  // namespace

KvHeadView head_view(const KvLayerView& kv, std::size_t kv_head, const BlockId* blocks) {
  const auto* memory = reinterpret_cast<const std::uint8_t*>(kv.memory);
  return {.keys = memory + kv.key_offset + kv_head * kv.key_head_bytes,
          .values = memory + kv.value_offset + kv_head * kv.value_head_bytes,
          .blocks = blocks,
          .block_bytes = kv.block_bytes,
          .tiles_per_block = kv.tiles_per_block,
          .key_tile_bytes = kv.key_tile_bytes,
          .value_tile_bytes = kv.value_tile_bytes,
          .key_dim = kv.key_dim,
          .value_dim = kv.value_dim};
}

// Splits are shared out where tasks are few.
std::size_t AttentionPlan::max_items(int threads, std::size_t max_context) {
  return enough_tasks(threads) * (max_context / kSplitTokens + 1);
}

std::size_t AttentionPlan::max_partial_states(int threads, std::size_t padded_dim, std::size_t max_context) {
  return std::min(max_items(threads, max_context) * kTaskQueries,
                  kMaxPartialBytes / (padded_dim * sizeof(float)));
}

std::size_t AttentionPlan::bytes(int threads, std::size_t max_value_dim, std::size_t max_context) {
  const std::size_t padded = padded_value_dim(max_value_dim);
  return (static_cast<std::size_t>(threads) * kThreadStates +
          max_partial_states(threads, padded, max_context)) *
         padded * sizeof(float);
}

Result<AttentionPlan> AttentionPlan::create(int threads, std::size_t max_value_dim, std::size_t max_context) {
  AttentionPlan plan;
  plan.threads_ = threads;
  const std::size_t padded = padded_value_dim(max_value_dim), row = padded * sizeof(float);
  const std::size_t states = static_cast<std::size_t>(threads) * kThreadStates;
  const std::size_t partial_states = max_partial_states(threads, padded, max_context);
  FOLIO_TRY(state_values, platform::Arena::create(states * row, "attention scratch"));
  FOLIO_TRY(partial_values, platform::Arena::create(partial_states * row, "attention scratch"));
  plan.state_values_ = std::move(state_values);
  plan.partial_values_ = std::move(partial_values);
  plan.states_.resize(states);
  for (std::size_t i = 0; i < plan.states_.size(); ++i)
    plan.states_[i].values = reinterpret_cast<float*>(plan.state_values_.data()) + i * padded;
  plan.items_.reserve(max_items(threads, max_context));
  plan.partial_.reserve(partial_states);
  return plan;
}

std::size_t visible_splits(const AttentionSequence& sequence, std::uint32_t window) {
  const SplitRange range = splits_of(sequence, 0, sequence.rows - 1, window);
  return range.end - range.first;
}

void AttentionPlan::prepare(std::span<const AttentionSequence> sequences, const AttentionHeads& heads) {
  const std::size_t kv_heads = heads.kv_heads;
  FOLIO_CHECK(kv_heads > 0 && heads.heads % kv_heads == 0, "query heads are a multiple of KV heads");
  heads_ = heads.heads;
  group_ = heads.heads / kv_heads;
  tasks_.clear();
  task_heads_.clear();
  std::size_t splits = 0;
  for (const AttentionSequence& s : sequences) splits += visible_splits(s, heads.window);
  for (const AttentionSequence& sequence : sequences) {
    const std::size_t queries = sequence.rows * group_, together = std::min(kTaskQueries, queries);
    // Heads stay together where sequences and splits are enough to share out.
    const std::size_t most = splits < enough_tasks() ? 1 : std::min(kTaskQueries / together, kv_heads);
    for (std::size_t head = 0; head < kv_heads; head += most)
      for (std::size_t first = 0; first < queries; first += together)
        add_task({.sequence = &sequence,
                  .first_head = head,
                  .heads = std::min(most, kv_heads - head),
                  .first_query = first,
                  .queries = std::min(together, queries - first)});
  }
}

void AttentionPlan::add_task(const Task& task) {
  for (std::size_t head = 0; head < task.heads; ++head)
    task_heads_.push_back({.task = tasks_.size(), .head = head});
  tasks_.push_back(task);
}

void AttentionPlan::run(const AttentionKernels& kernels, platform::ThreadPool& pool,
                        const AttentionCall& call) {
  if (tasks_.size() >= enough_tasks() || !list_items(call)) {
    pool.run(tasks_.size(), [&](std::size_t i, int thread) { run_task(kernels, call, tasks_[i], thread); });
    return;
  }
  pool.run(items_.size(), [&](std::size_t i, int) { run_item(kernels, call, items_[i]); });
  pool.run(task_heads_.size(), [&](std::size_t i, int) { merge_head(kernels, call, task_heads_[i]); });
}

// Lists every split of every task; false where there is nothing to share or the scratch is too small for it.
bool AttentionPlan::list_items(const AttentionCall& call) {
  if (threads_ == 1) return false;
  const std::size_t padded = padded_value_dim(call.kv.value_dim);
  const std::size_t max_states = partial_values_.size() / (padded * sizeof(float));
  items_.clear();
  std::size_t states = 0;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const Task& task = tasks_[i];
    const SplitRange range = splits_of(*task.sequence, task.first_query / group_,
                                       (task.first_query + task.queries - 1) / group_, call.window);
    for (std::uint32_t split = range.first; split < range.end; ++split, states += task.states())
      items_.push_back({.task = i, .split = split, .first_state = states});
  }
  if (items_.size() == tasks_.size() || states > max_states) return false;
  partial_.resize(states);
  for (std::size_t i = 0; i < states; ++i)
    partial_[i].values = reinterpret_cast<float*>(partial_values_.data()) + i * padded;
  return true;
}

// All of the task over one split, into states [head][query]. Where a head's queries fit one call the heads
// take turns step by step, so that blocks are read from end to end: keys lie head behind head, and so do
// values.
void AttentionPlan::attend_split(const AttentionTypeKernels& kernels, const AttentionCall& call,
                                 const Task& task, std::uint32_t split, AttentionState* states) const {
  const std::uint32_t first_step = split * kSplitSteps;
  const std::uint32_t last_row = static_cast<std::uint32_t>((task.first_query + task.queries - 1) / group_);
  const std::uint32_t seen = visible(*task.sequence, last_row, call.window).end;
  const std::uint32_t end_step = std::min(first_step + kSplitSteps, (seen - 1) / kStepTokens + 1);
  const std::uint32_t at_once = task.queries <= kQueryTile && task.heads > 1 ? 1 : kSplitSteps;
  for (Part part{.step = first_step, .steps = at_once}; part.step < end_step; part.step += at_once)
    for (part.head = 0; part.head < task.heads; ++part.head)
      for (part.query = 0; part.query < task.queries; part.query += kQueryTile)
        attend(kernels, call, task, part, states + part.head * task.queries + part.query);
}

void AttentionPlan::attend(const AttentionTypeKernels& kernels, const AttentionCall& call, const Task& task,
                           const Part& part, AttentionState* states) const {
  const std::size_t kv_head = task.first_head + part.head;
  const std::size_t queries = std::min(kQueryTile, task.queries - part.query);
  // Next come the head's other queries, then the next head, then the first one's next steps.
  const bool head_ends = part.query + queries == task.queries;
  const bool steps_end = head_ends && part.head + 1 == task.heads;
  const std::size_t next_head = !head_ends ? kv_head : steps_end ? task.first_head : kv_head + 1;
  const KvHeadView next = head_view(call.kv, next_head, task.sequence->blocks);
  AttendArgs args{.kv = head_view(call.kv, kv_head, task.sequence->blocks),
                  .queries = queries,
                  .query = {},
                  .first = {},
                  .end = {},
                  .step = part.step,
                  .steps = part.steps,
                  .next_keys = next.keys,
                  .next_values = next.values,
                  .next_step = part.step + (steps_end ? part.steps : 0)};
  for (std::size_t i = 0; i < queries; ++i) {
    const std::size_t query = task.first_query + part.query + i;
    const std::size_t row = query / group_;
    const std::size_t of_row = (task.sequence->first_row + row) * heads_ + kv_head * group_ + query % group_;
    args.query[i] = call.queries + of_row * call.kv.key_dim;
    const Visible seen = visible(*task.sequence, row, call.window);
    args.first[i] = seen.first;
    args.end[i] = seen.end;
  }
  kernels.attend(args, states);
}

void AttentionPlan::run_task(const AttentionKernels& kernels, const AttentionCall& call, const Task& task,
                             int thread) {
  const AttentionTypeKernels& typed = type_kernels(kernels, call.kv.type);
  const std::size_t padded = padded_value_dim(call.kv.value_dim);
  AttentionState* totals = states_.data() + static_cast<std::size_t>(thread) * 2 * kTaskQueries;
  AttentionState* parts = totals + kTaskQueries;
  for (std::size_t i = 0; i < task.states(); ++i) clear(totals[i], padded);
  const SplitRange range = splits_of(*task.sequence, task.first_query / group_,
                                     (task.first_query + task.queries - 1) / group_, call.window);
  for (std::uint32_t split = range.first; split < range.end; ++split) {
    attend_split(typed, call, task, split, parts);
    for (std::size_t i = 0; i < task.states(); ++i) kernels.merge(&totals[i], &parts[i], padded);
  }
  for (std::size_t head = 0; head < task.heads; ++head)
    finish(kernels, call, task, head, totals + head * task.queries);
}

void AttentionPlan::run_item(const AttentionKernels& kernels, const AttentionCall& call, const Item& item) {
  attend_split(type_kernels(kernels, call.kv.type), call, tasks_[item.task], item.split,
               &partial_[item.first_state]);
}

// Merges the splits of a task's head in ascending order into an empty state, as run_task() does.
void AttentionPlan::merge_head(const AttentionKernels& kernels, const AttentionCall& call, const Head& of) {
  const std::size_t padded = padded_value_dim(call.kv.value_dim);
  const Task& task = tasks_[of.task];
  AttentionState* totals = nullptr;
  for (const Item& item : items_) {
    if (item.task != of.task) continue;
    AttentionState* parts = &partial_[item.first_state + of.head * task.queries];
    if (totals == nullptr) {
      totals = parts;
      continue;
    }
    for (std::size_t i = 0; i < task.queries; ++i) kernels.merge(&totals[i], &parts[i], padded);
  }
  finish(kernels, call, task, of.head, totals);
}

// Writes what the states of one head of a task come to.
void AttentionPlan::finish(const AttentionKernels& kernels, const AttentionCall& call, const Task& task,
                           std::size_t head, AttentionState* totals) const {
  for (std::size_t i = 0; i < task.queries; ++i) {
    const std::size_t query = task.first_query + i;
    const std::size_t row = task.sequence->first_row + query / group_;
    const std::size_t query_head = (task.first_head + head) * group_ + query % group_;
    kernels.finish(&totals[i], call.out + (row * heads_ + query_head) * call.kv.value_dim, call.kv.value_dim);
  }
}

void store_kv_row(const AttentionKernels& kernels, const StoreCall& call, std::size_t row) {
  const AttentionTypeKernels& typed = type_kernels(kernels, call.kv.type);
  const KvLayerView& kv = call.kv;
  const KvSlot& slot = call.slots[row];
  const std::size_t tile = slot.offset / kTileTokens, t = slot.offset % kTileTokens;
  auto* block =
      reinterpret_cast<std::uint8_t*>(kv.memory) + static_cast<std::size_t>(slot.block) * kv.block_bytes;
  for (std::size_t head = 0; head < kv.kv_heads; ++head) {
    typed.store_key(call.keys + row * call.key_stride + head * kv.key_dim, kv.key_dim,
                    block + kv.key_offset + head * kv.key_head_bytes + tile * kv.key_tile_bytes, t);
    typed.store_value(call.values + row * call.value_stride + head * kv.value_dim, kv.value_dim,
                      block + kv.value_offset + head * kv.value_head_bytes + tile * kv.value_tile_bytes, t);
  }
}

}  // namespace folio::kernels
