#include "kernels/attention/attention.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kTaskQueries = 64;
constexpr std::size_t kTasksPerThread = 3;  // with fewer, the splits of a task are shared out as well
constexpr std::size_t kPartialBytes = std::size_t{64} << 20;  // address space; touched only as far as used

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

Result<AttentionPlan> AttentionPlan::create(int threads, std::size_t max_value_dim, std::size_t max_context) {
  AttentionPlan plan;
  plan.threads_ = threads;
  const std::size_t padded = padded_value_dim(max_value_dim);
  const std::size_t per_thread = kTaskQueries + kQueryTile;
  FOLIO_TRY(state_values,
            platform::Arena::create(static_cast<std::size_t>(threads) * per_thread * padded * sizeof(float),
                                    "attention scratch"));
  FOLIO_TRY(partial_values, platform::Arena::create(kPartialBytes, "attention scratch"));
  plan.state_values_ = std::move(state_values);
  plan.partial_values_ = std::move(partial_values);
  plan.states_.resize(static_cast<std::size_t>(threads) * per_thread);
  for (std::size_t i = 0; i < plan.states_.size(); ++i)
    plan.states_[i].values = reinterpret_cast<float*>(plan.state_values_.data()) + i * padded;
  const std::size_t max_items =
      kTasksPerThread * static_cast<std::size_t>(threads) * (max_context / kSplitTokens + 1);
  plan.items_.reserve(max_items);
  plan.partial_.reserve(std::min(max_items * kTaskQueries, kPartialBytes / (padded * sizeof(float))));
  return plan;
}

void AttentionPlan::prepare(std::span<const AttentionSequence> sequences, std::size_t heads,
                            std::size_t kv_heads) {
  FOLIO_CHECK(kv_heads > 0 && heads % kv_heads == 0, "query heads are a multiple of KV heads");
  heads_ = heads;
  group_ = heads / kv_heads;
  tasks_.clear();
  for (const AttentionSequence& sequence : sequences) {
    const std::size_t queries = sequence.rows * group_;
    for (std::size_t kv_head = 0; kv_head < kv_heads; ++kv_head)
      for (std::size_t first = 0; first < queries; first += kTaskQueries)
        tasks_.push_back({.sequence = &sequence,
                          .kv_head = kv_head,
                          .first_query = first,
                          .queries = std::min(kTaskQueries, queries - first)});
  }
}

void AttentionPlan::run(const AttentionKernels& kernels, platform::ThreadPool& pool,
                        const AttentionCall& call) {
  const bool share_splits =
      tasks_.size() < kTasksPerThread * static_cast<std::size_t>(threads_) && list_items(call);
  if (!share_splits) {
    pool.run(tasks_.size(), [&](std::size_t i, int thread) { run_task(kernels, call, tasks_[i], thread); });
    return;
  }
  pool.run(items_.size(), [&](std::size_t i, int) { run_item(kernels, call, items_[i]); });
  pool.run(tasks_.size(), [&](std::size_t i, int) { merge_task(kernels, call, i); });
}

// Lists every split of every task; false where there is nothing to share or the scratch is too small for it.
bool AttentionPlan::list_items(const AttentionCall& call) {
  if (threads_ == 1) return false;
  const std::size_t padded = padded_value_dim(call.kv.value_dim);
  const std::size_t max_states = kPartialBytes / (padded * sizeof(float));
  items_.clear();
  std::size_t states = 0;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const Task& task = tasks_[i];
    const SplitRange range = splits_of(*task.sequence, task.first_query / group_,
                                       (task.first_query + task.queries - 1) / group_, call.window);
    for (std::uint32_t split = range.first; split < range.end; ++split, states += task.queries)
      items_.push_back({.task = i, .split = split, .first_state = states});
  }
  if (items_.size() == tasks_.size() || states > max_states) return false;
  partial_.resize(states);
  for (std::size_t i = 0; i < states; ++i)
    partial_[i].values = reinterpret_cast<float*>(partial_values_.data()) + i * padded;
  return true;
}

// The task's queries [first, first + queries), at most kQueryTile of them, over one split.
void AttentionPlan::attend(const AttentionTypeKernels& kernels, const AttentionCall& call, const Task& task,
                           std::uint32_t split, std::size_t first, std::size_t queries,
                           AttentionState* states) const {
  const KvLayerView& kv = call.kv;
  const auto* memory = reinterpret_cast<const std::uint8_t*>(kv.memory);
  AttendArgs args{.kv = {.keys = memory + kv.key_offset + task.kv_head * kv.key_head_bytes,
                         .values = memory + kv.value_offset + task.kv_head * kv.value_head_bytes,
                         .blocks = task.sequence->blocks,
                         .block_bytes = kv.block_bytes,
                         .tiles_per_block = kv.tiles_per_block,
                         .key_tile_bytes = kv.key_tile_bytes,
                         .value_tile_bytes = kv.value_tile_bytes,
                         .key_dim = kv.key_dim,
                         .value_dim = kv.value_dim},
                  .queries = queries,
                  .query = {},
                  .first = {},
                  .end = {},
                  .split = split};
  for (std::size_t i = 0; i < queries; ++i) {
    const std::size_t query = task.first_query + first + i;
    const std::size_t row = query / group_;
    const std::size_t head = task.kv_head * group_ + query % group_;
    args.query[i] = call.queries + ((task.sequence->first_row + row) * heads_ + head) * kv.key_dim;
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
  AttentionState* totals = states_.data() + static_cast<std::size_t>(thread) * (kTaskQueries + kQueryTile);
  AttentionState* parts = totals + kTaskQueries;
  for (std::size_t i = 0; i < task.queries; ++i) clear(totals[i], padded);
  const SplitRange range = splits_of(*task.sequence, task.first_query / group_,
                                     (task.first_query + task.queries - 1) / group_, call.window);
  for (std::uint32_t split = range.first; split < range.end; ++split)
    for (std::size_t first = 0; first < task.queries; first += kQueryTile) {
      const std::size_t queries = std::min(kQueryTile, task.queries - first);
      attend(typed, call, task, split, first, queries, parts);
      for (std::size_t i = 0; i < queries; ++i) kernels.merge(&totals[first + i], &parts[i], padded);
    }
  finish(kernels, call, task, totals);
}

void AttentionPlan::run_item(const AttentionKernels& kernels, const AttentionCall& call, const Item& item) {
  const AttentionTypeKernels& typed = type_kernels(kernels, call.kv.type);
  const Task& task = tasks_[item.task];
  for (std::size_t first = 0; first < task.queries; first += kQueryTile)
    attend(typed, call, task, item.split, first, std::min(kQueryTile, task.queries - first),
           &partial_[item.first_state + first]);
}

// Merges a task's splits in ascending order into an empty state, as run_task() does.
void AttentionPlan::merge_task(const AttentionKernels& kernels, const AttentionCall& call, std::size_t task) {
  const std::size_t padded = padded_value_dim(call.kv.value_dim);
  AttentionState* totals = nullptr;
  for (const Item& item : items_) {
    if (item.task != task) continue;
    AttentionState* parts = &partial_[item.first_state];
    if (totals == nullptr) {
      totals = parts;
      continue;
    }
    for (std::size_t i = 0; i < tasks_[task].queries; ++i) kernels.merge(&totals[i], &parts[i], padded);
  }
  finish(kernels, call, tasks_[task], totals);
}

void AttentionPlan::finish(const AttentionKernels& kernels, const AttentionCall& call, const Task& task,
                           AttentionState* totals) const {
  for (std::size_t i = 0; i < task.queries; ++i) {
    const std::size_t query = task.first_query + i;
    const std::size_t row = task.sequence->first_row + query / group_;
    const std::size_t head = task.kv_head * group_ + query % group_;
    kernels.finish(&totals[i], call.out + (row * heads_ + head) * call.kv.value_dim, call.kv.value_dim);
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
