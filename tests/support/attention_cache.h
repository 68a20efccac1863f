// Sequences with random queries, keys and values, and a cache for them in which everything that was not
// stored is NaN.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/attention/attention.h"
#include "support/kernel_inputs.h"

namespace folio::test {

struct AttentionShape {
  kernels::KvType type;
  std::size_t group;  // query heads per KV head
  std::size_t kv_heads;
  std::size_t key_dim, value_dim;
  std::size_t block_tokens = 16;

  std::size_t heads() const { return group * kv_heads; }
};

inline constexpr kernels::KvType kAllKvTypes[] = {
#define ATTENTION_KERNEL(field, Type) kernels::KvType::Type,
#include "kernels/attention/kernels.inc"
#undef ATTENTION_KERNEL
};

// The numbers of one sequence, row by row of its positions; independent of where a cache keeps them.
struct SequenceData {
  SequenceData(const AttentionShape& shape, std::size_t positions, Random& random, float key_scale = 1)
      : length(static_cast<std::uint32_t>(positions)),
        queries(floats(Values::kNormal, positions * shape.heads() * shape.key_dim, random)),
        keys(floats(Values::kNormal, positions * shape.kv_heads * shape.key_dim, random)),
        values(floats(Values::kNormal, positions * shape.kv_heads * shape.value_dim, random)) {
    for (float& x : keys) x *= key_scale;
  }
  std::uint32_t length;
  std::vector<float> queries;  // [length][heads][key_dim]
  std::vector<float> keys;     // [length][kv_heads][key_dim]
  std::vector<float> values;   // [length][kv_heads][value_dim]
};

// Room for given sequences, their blocks in an order of the seed's choosing with unused ones between them.
// All memory is 0xff at first, which is NaN in every KV type: what a kernel uses without having been told to
// shows.
class AttentionCache {
 public:
  AttentionCache(const AttentionShape& shape, const std::vector<SequenceData>& sequences, std::uint64_t seed)
      : shape_(shape), sequences_(&sequences) {
    std::size_t used = 0;
    for (const SequenceData& sequence : sequences) used += blocks_for(sequence);
    const std::size_t blocks = used + 3;
    std::vector<BlockId> order(blocks);
    for (std::size_t i = 0; i < blocks; ++i) order[i] = BlockId{static_cast<std::uint32_t>(i)};
    Random random(seed);
    for (std::size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (const SequenceData& sequence : sequences) {
      const std::size_t count = blocks_for(sequence);
      tables_.emplace_back(order.end() - static_cast<std::ptrdiff_t>(count), order.end());
      order.resize(order.size() - count);
    }
    lay_out();
    memory_.assign(blocks * view_.block_bytes, std::byte{0xff});
    view_.memory = memory_.data();
  }
  AttentionCache(const AttentionCache&) = delete;
  AttentionCache& operator=(const AttentionCache&) = delete;

  const kernels::KvLayerView& view() const { return view_; }
  const AttentionShape& shape() const { return shape_; }
  const std::vector<SequenceData>& sequences() const { return *sequences_; }
  const BlockId* blocks(std::size_t sequence) const { return tables_[sequence].data(); }
  const std::vector<std::byte>& memory() const { return memory_; }

  // Stores the positions [first, end) of a sequence.
  void store(const kernels::AttentionKernels& kernels, platform::ThreadPool& pool, std::size_t sequence,
             std::uint32_t first, std::uint32_t end) {
    store_rows(kernels, pool, sequence, first, end, (*sequences_)[sequence]);
  }
  // Makes them NaN again.
  void poison(const kernels::AttentionKernels& kernels, platform::ThreadPool& pool, std::size_t sequence,
              std::uint32_t first, std::uint32_t end) {
    SequenceData nothing = (*sequences_)[sequence];
    std::fill(nothing.keys.begin(), nothing.keys.end(), std::nanf(""));
    std::fill(nothing.values.begin(), nothing.values.end(), std::nanf(""));
    store_rows(kernels, pool, sequence, first, end, nothing);
  }

 private:
  static constexpr std::size_t kPadding =
      64;  // more than the geometry of a real cache has, to show that strides count

  std::size_t blocks_for(const SequenceData& sequence) const {
    return (sequence.length + shape_.block_tokens - 1) / shape_.block_tokens;
  }

  void lay_out() {
    view_.tiles_per_block = shape_.block_tokens / kernels::kTileTokens;
    view_.key_tile_bytes = kernels::key_tile_bytes(shape_.type, shape_.key_dim) + kPadding;
    view_.value_tile_bytes = kernels::value_tile_bytes(shape_.type, shape_.value_dim) + kPadding;
    view_.key_head_bytes = view_.tiles_per_block * view_.key_tile_bytes + kPadding;
    view_.value_head_bytes = view_.tiles_per_block * view_.value_tile_bytes;
    view_.key_offset = 3 * kPadding;
    view_.value_offset = view_.key_offset + shape_.kv_heads * view_.key_head_bytes + kPadding;
    view_.block_bytes = view_.value_offset + shape_.kv_heads * view_.value_head_bytes + kPadding;
    view_.kv_heads = shape_.kv_heads;
    view_.key_dim = shape_.key_dim;
    view_.value_dim = shape_.value_dim;
    view_.type = shape_.type;
  }

  void store_rows(const kernels::AttentionKernels& kernels, platform::ThreadPool& pool, std::size_t sequence,
                  std::uint32_t first, std::uint32_t end, const SequenceData& data) {
    std::vector<kernels::KvSlot> slots;
    for (std::uint32_t p = first; p < end; ++p)
      slots.push_back({.block = tables_[sequence][p / shape_.block_tokens],
                       .offset = static_cast<std::uint32_t>(p % shape_.block_tokens)});
    const std::size_t key_stride = shape_.kv_heads * shape_.key_dim,
                      value_stride = shape_.kv_heads * shape_.value_dim;
    const kernels::StoreCall call{.kv = view_,
                                  .keys = data.keys.data() + first * key_stride,
                                  .values = data.values.data() + first * value_stride,
                                  .key_stride = key_stride,
                                  .value_stride = value_stride,
                                  .slots = slots};
    pool.run(slots.size(), [&](std::size_t row, int) { store_kv_row(kernels, call, row); });
  }

  AttentionShape shape_;
  const std::vector<SequenceData>* sequences_;
  std::vector<std::vector<BlockId>> tables_;
  std::vector<std::byte> memory_;
  kernels::KvLayerView view_{};
};

// Positions [first, first + rows) of one sequence as part of a batch.
struct Chunk {
  std::size_t sequence;
  std::uint32_t first, rows;
};

// A set of kernels with threads and a plan for them.
class AttentionRunner {
 public:
  AttentionRunner(kernels::Isa isa, int threads, const AttentionShape& shape, std::size_t max_context)
      : kernels_(kernel_set(isa).attention),
        pool_(threads),
        plan_(std::move(kernels::AttentionPlan::create(threads, shape.value_dim, max_context).value())) {}

  const kernels::AttentionKernels& kernels() const { return kernels_; }
  platform::ThreadPool& pool() { return pool_; }

  void store(AttentionCache& cache, const Chunk& chunk) {
    cache.store(kernels_, pool_, chunk.sequence, chunk.first, chunk.first + chunk.rows);
  }

  // The batch of all chunks: [rows][heads][value_dim], in their order.
  std::vector<float> attend(const AttentionCache& cache, std::uint32_t window,
                            const std::vector<Chunk>& chunks) {
    const AttentionShape& shape = cache.shape();
    const std::size_t query_floats = shape.heads() * shape.key_dim;
    std::vector<float> queries;
    std::vector<kernels::AttentionSequence> batch;
    std::size_t rows = 0;
    for (const Chunk& chunk : chunks) {
      const auto from = cache.sequences()[chunk.sequence].queries.begin() +
                        static_cast<std::ptrdiff_t>(chunk.first * query_floats);
      queries.insert(queries.end(), from, from + static_cast<std::ptrdiff_t>(chunk.rows * query_floats));
      batch.push_back({.blocks = cache.blocks(chunk.sequence),
                       .first_row = rows,
                       .rows = chunk.rows,
                       .first_position = chunk.first});
      rows += chunk.rows;
    }
    Guarded<float> out(rows * shape.heads() * shape.value_dim);
    plan_.prepare(batch, {.heads = shape.heads(), .kv_heads = shape.kv_heads, .window = window});
    plan_.run(kernels_, pool_,
              {.kv = cache.view(), .window = window, .queries = queries.data(), .out = out.data()});
    EXPECT_TRUE(out.intact());
    return {out.span().begin(), out.span().end()};
  }

 private:
  const kernels::AttentionKernels& kernels_;
  platform::ThreadPool pool_;
  kernels::AttentionPlan plan_;
};

}  // namespace folio::test
