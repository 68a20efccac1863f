#include "app/bench_paging.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "base/ids.h"
#include "engine/options.h"
#include "kernels/attention/attention.h"
#include "kernels/isa.h"
#include "kernels/kernel_set.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::app {
namespace {

constexpr std::size_t kLayers = 16, kHeads = 32, kKvHeads = 8, kDim = 64, kPositions = 4096;
constexpr std::size_t kPairs = 21;
constexpr std::size_t kTiles = kPositions / kernels::kTileTokens;

// Keys and values of one sequence, all layers of a block together as in the cache.
struct Kv {
  platform::Arena memory;
  kernels::KvLayerView view;
  std::size_t layer_bytes;
  std::vector<BlockId> blocks;

  kernels::KvLayerView layer(std::size_t i) const {
    kernels::KvLayerView at = view;
    at.memory += i * layer_bytes;
    return at;
  }
};

Result<Kv> make_kv(kernels::KvType type, std::size_t tiles_per_block, std::vector<BlockId> blocks) {
  Kv kv{.memory = {}, .view = {}, .layer_bytes = 0, .blocks = std::move(blocks)};
  kernels::KvLayerView& view = kv.view;
  view.tiles_per_block = tiles_per_block;
  view.key_tile_bytes = kernels::key_tile_bytes(type, kDim);
  view.value_tile_bytes = kernels::value_tile_bytes(type, kDim);
  view.key_head_bytes = tiles_per_block * view.key_tile_bytes;
  view.value_head_bytes = tiles_per_block * view.value_tile_bytes;
  view.key_offset = 0;
  view.value_offset = kKvHeads * view.key_head_bytes;
  kv.layer_bytes = kKvHeads * (view.key_head_bytes + view.value_head_bytes);
  view.block_bytes = kLayers * kv.layer_bytes;
  view.kv_heads = kKvHeads;
  view.key_dim = view.value_dim = kDim;
  view.type = type;
  FOLIO_TRY(memory, platform::Arena::create(kv.blocks.size() * view.block_bytes, "benchmark"));
  kv.memory = std::move(memory);
  view.memory = kv.memory.data();
  return kv;
}

// Where tile `tile` of a head lies: keys, then values.
std::pair<std::byte*, std::byte*> tile_of(const Kv& kv, std::size_t layer, std::size_t head,
                                          std::size_t tile) {
  const kernels::KvLayerView view = kv.layer(layer);
  std::byte* const block = view.memory + raw(kv.blocks[tile / view.tiles_per_block]) * view.block_bytes;
  const std::size_t in_block = tile % view.tiles_per_block;
  return {block + view.key_offset + head * view.key_head_bytes + in_block * view.key_tile_bytes,
          block + view.value_offset + head * view.value_head_bytes + in_block * view.value_tile_bytes};
}

// The same random numbers, of magnitudes from 2^-3 to 2 in any of the types, in both.
void fill(std::mt19937_64& rng, const Kv& a, const Kv& b) {
  const std::size_t bytes = a.view.key_tile_bytes, element = kernels::element_bytes(a.view.type);
  std::vector<std::byte> tile(bytes);
  const auto draw = [&] {
    for (std::size_t at = 0; at < bytes; at += element) {
      const auto random = static_cast<std::uint32_t>(rng());
      const std::uint32_t exponent =
          a.view.type == kernels::KvType::kF16 ? 12 + random % 4 : 124 + random % 4;
      const std::uint32_t number = a.view.type == kernels::KvType::kF16
                                       ? (random & 0x83ff0000u) >> 16 | exponent << 10
                                       : (random & 0x807f0000u) | exponent << 23;
      const std::uint32_t stored = a.view.type == kernels::KvType::kBF16 ? number >> 16 : number;
      std::memcpy(tile.data() + at, &stored, element);
    }
  };
  for (std::size_t layer = 0; layer < kLayers; ++layer)
    for (std::size_t head = 0; head < kKvHeads; ++head)
      for (std::size_t i = 0; i < kTiles; ++i) {
        const auto [a_keys, a_values] = tile_of(a, layer, head, i);
        const auto [b_keys, b_values] = tile_of(b, layer, head, i);
        for (const auto& [to, also] : {std::pair(a_keys, b_keys), std::pair(a_values, b_values)}) {
          draw();
          std::memcpy(to, tile.data(), bytes);
          std::memcpy(also, tile.data(), bytes);
        }
      }
}

class Runner {
 public:
  Runner(const kernels::AttentionKernels& kernels, kernels::AttentionPlan plan, int threads, std::size_t rows)
      : kernels_(kernels),
        plan_(std::move(plan)),
        pool_(threads),
        rows_(rows),
        queries_(rows * kHeads * kDim) {
    std::mt19937_64 rng(11);
    for (float& x : queries_) x = static_cast<float>(rng() % 2001) / 8000.0F - 0.125F;
  }

  // Seconds of a pass over all layers; `out` is the last layer's result.
  double pass(const Kv& kv, std::vector<float>& out) {
    out.resize(queries_.size());
    const kernels::AttentionSequence sequence{
        .blocks = kv.blocks.data(),
        .first_row = 0,
        .rows = rows_,
        .first_position = static_cast<std::uint32_t>(kPositions - rows_)};
    plan_.prepare({&sequence, 1}, kHeads, kKvHeads);
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t layer = 0; layer < kLayers; ++layer)
      plan_.run(kernels_, pool_, {.kv = kv.layer(layer), .queries = queries_.data(), .out = out.data()});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  const kernels::AttentionKernels& kernels_;
  kernels::AttentionPlan plan_;
  platform::ThreadPool pool_;
  std::size_t rows_;
  std::vector<float> queries_;
};

Status measure(PagingRow& row, Runner& runner, const Kv& paged, const Kv& whole) {
  std::vector<float> paged_out, whole_out;
  std::vector<double> paged_s;
  runner.pass(whole, whole_out);
  for (std::size_t pair = 0; pair < kPairs; ++pair) {
    double whole_s = pair % 2 == 0 ? 0 : runner.pass(whole, whole_out);
    paged_s.push_back(runner.pass(paged, paged_out));
    if (pair % 2 == 0) whole_s = runner.pass(whole, whole_out);
    row.ratios.push_back(paged_s.back() / whole_s);
  }
  if (std::memcmp(paged_out.data(), whole_out.data(), paged_out.size() * sizeof(float)) != 0)
    return fail(ErrorKind::kInvalid, "attention over blocks and over one run of memory differ: a bug");
  std::ranges::sort(row.ratios);
  std::ranges::sort(paged_s);
  row.paged_s = paged_s[paged_s.size() / 2];
  row.bytes = static_cast<double>(kLayers * paged.layer_bytes * paged.blocks.size());
  return {};
}

}  // namespace

Result<std::vector<PagingRow>> measure_paging(const BenchOptions& options) {
  FOLIO_TRY(isa, kernels::choose_isa());
  const int wanted = options.threads.front();
  const int threads = wanted == 0 ? platform::available_cpus() : wanted;
  const kernels::KvType type = options.kv_types.front().value_or(engine::default_kv_type(isa));
  std::mt19937_64 rng(7);
  std::vector<BlockId> anywhere;
  anywhere.reserve(kTiles);
  for (std::uint32_t i = 0; i < kTiles; ++i) anywhere.push_back(BlockId{i});
  for (std::size_t i = kTiles; i > 1; --i) std::swap(anywhere[i - 1], anywhere[rng() % i]);
  FOLIO_TRY(paged, make_kv(type, 1, std::move(anywhere)));
  FOLIO_TRY(whole, make_kv(type, kTiles, {BlockId{0}}));
  fill(rng, paged, whole);
  std::vector<PagingRow> rows = {
      {.name = "a decoded token", .rows = 1, .positions = kPositions, .ratios = {}},
      {.name = "32 of a prompt", .rows = 32, .positions = kPositions, .ratios = {}}};
  for (PagingRow& row : rows) {
    FOLIO_TRY(plan, kernels::AttentionPlan::create(threads, kDim, kPositions));
    Runner runner(kernels::kernel_set(isa).attention, std::move(plan), threads, row.rows);
    FOLIO_TRY_STATUS(measure(row, runner, paged, whole));
  }
  return rows;
}

}  // namespace folio::app
