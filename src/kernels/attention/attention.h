// Attention of a batch of sequences over their cache blocks on all threads, and the writing of K and V into
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kernels/kernel_set.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::kernels {

// One layer of the cache's memory in plain numbers (kv/kv_view.h fills it): tile i of head h of block b
// begins at
//   memory + b * block_bytes + key_offset + h * key_head_bytes + i * key_tile_bytes, values likewise.
struct KvLayerView {
  std::byte* memory;
  std::size_t block_bytes;
  std::size_t tiles_per_block;
  std::size_t key_offset, value_offset;
  std::size_t key_head_bytes, value_head_bytes;
  std::size_t key_tile_bytes, value_tile_bytes;
  std::size_t kv_heads;
  std::size_t key_dim, value_dim;
  KvType type;
};

// One head of the layer for a sequence of these blocks.
KvHeadView head_view(const KvLayerView& kv, std::size_t kv_head, const BlockId* blocks);

// Consecutive tokens of one sequence that are rows [first_row, first_row + rows) of the batch.
struct AttentionSequence {
  const BlockId* blocks;  // of positions [0, first_position + rows)
  std::size_t first_row;
  std::size_t rows;
  std::uint32_t first_position;  // of the first row
};

inline constexpr std::uint32_t kFullWindow = std::numeric_limits<std::uint32_t>::max();

// Splits of a sequence's past that any of its rows sees through a window of so many positions.
std::size_t visible_splits(const AttentionSequence& sequence, std::uint32_t window);

// What the layers of one step have in common.
struct AttentionHeads {
  std::size_t heads, kv_heads;         // heads is a multiple of kv_heads
  std::uint32_t window = kFullWindow;  // the widest of the layers' windows
};

struct AttentionCall {
  KvLayerView kv;
  std::uint32_t window = kFullWindow;  // a query at position p sees positions (p - window, p]
  const float* queries;                // [rows][heads * key_dim], multiplied by the attention scale
  float* out;                          // [rows][heads * value_dim]
};

// How the rows of one batch are shared out, and the scratch for it. Built once per step, used by every layer.
// The shares decide who computes what, never what is computed (attention_kernels.h).
class AttentionPlan {
 public:
  // Errors: kTooLarge when the scratch cannot be reserved.
  [[nodiscard]] static Result<AttentionPlan> create(int threads, std::size_t max_value_dim,
                                                    std::size_t max_context);

  // Of the arenas that create() takes.
  [[nodiscard]] static std::size_t bytes(int threads, std::size_t max_value_dim, std::size_t max_context);

  // Requires: the sequences' data outlives the layers' calls.
  // Allocates only when the batch needs more tasks than any before.
  void prepare(std::span<const AttentionSequence> sequences, const AttentionHeads& heads);

  void run(const AttentionKernels& kernels, platform::ThreadPool& pool, const AttentionCall& call);

 private:
  // What goes through a sequence's splits together: consecutive queries, (row, head) pairs, of each of some
  // neighbouring KV heads. A split's K and V stay in the cache for all queries of a head, and the next
  // head's lie behind them.
  struct Task {
    const AttentionSequence* sequence;
    std::size_t first_head, heads;                          // KV heads
    std::size_t first_query, queries;                       // of each of them
    std::size_t states() const { return heads * queries; }  // [head][query]
  };
  struct Item {  // one split of one task, where splits are shared out too
    std::size_t task;
    std::uint32_t split;
    std::size_t first_state;  // in partial_
  };
  struct Part {  // what one call of a kernel does of a task: from `query` on as many as it takes
    std::uint32_t step, steps;
    std::size_t head = 0, query = 0;
  };
  struct Head {  // one head of one task
    std::size_t task, head;
  };

  // With fewer tasks, their splits are shared out too.
  static constexpr std::size_t enough_tasks(int threads) { return 3 * static_cast<std::size_t>(threads); }
  std::size_t enough_tasks() const { return enough_tasks(threads_); }
  static std::size_t max_items(int threads, std::size_t max_context);
  static std::size_t max_partial_states(int threads, std::size_t padded_dim, std::size_t max_context);
  void add_task(const Task& task);
  void attend_split(const AttentionTypeKernels& kernels, const AttentionCall& call, const Task& task,
                    std::uint32_t split, AttentionState* states) const;
  void attend(const AttentionTypeKernels& kernels, const AttentionCall& call, const Task& task,
              const Part& part, AttentionState* states) const;
  void run_task(const AttentionKernels& kernels, const AttentionCall& call, const Task& task, int thread);
  void run_item(const AttentionKernels& kernels, const AttentionCall& call, const Item& item);
  void merge_head(const AttentionKernels& kernels, const AttentionCall& call, const Head& head);
  bool list_items(const AttentionCall& call);
  void finish(const AttentionKernels& kernels, const AttentionCall& call, const Task& task, std::size_t head,
              AttentionState* totals) const;

  int threads_ = 1;
  std::size_t group_ = 1;  // query heads per KV head
  std::size_t heads_ = 0;
  std::vector<Task> tasks_;
  std::vector<Item> items_;
  std::vector<Head> task_heads_;         // of all tasks
  std::vector<AttentionState> states_;   // [thread][kTaskQueries totals, as many parts]
  std::vector<AttentionState> partial_;  // [item][Task::states()]
  platform::Arena state_values_, partial_values_;
};

// One row's place in the cache.
struct KvSlot {
  BlockId block;
  std::uint32_t offset;  // token within the block
};

// Where K and V of a batch's rows are and where they go: keys [rows][kv_heads * key_dim] and values
// [rows][kv_heads * value_dim] (strides in floats) to the rows' slots.
struct StoreCall {
  KvLayerView kv;
  const float* keys;
  const float* values;
  std::size_t key_stride, value_stride;
  std::span<const KvSlot> slots;  // [rows]
};
// Writes one row. Thread-safe on rows of distinct slots.
void store_kv_row(const AttentionKernels& kernels, const StoreCall& call, std::size_t row);

}  // namespace folio::kernels
