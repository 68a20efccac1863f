#include "paging.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "base/ids.h"
#include "engine/options.h"
#include "kernels/attention/attention.h"
#include "kernels/isa.h"
#include "kernels/kernel_set.h"
#include "kv/kv_geometry.h"
#include "kv/kv_view.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::experiments {
namespace {

constexpr std::size_t kLayers = 16, kHeads = 32, kKvHeads = 8, kDim = 64, kPositions = 4096;
constexpr std::size_t kPairs = 21;
constexpr std::size_t kBlocks = kPositions / kv::kDefaultBlockTokens;

// Between -0.125 and 0.125.
float random_number(std::mt19937_64& rng) { return static_cast<float>(rng() % 2001) / 8000.0F - 0.125F; }

// Keys and values of one sequence: in blocks of the cache, or each layer's in one run.
struct Kv {
  platform::Arena memory;
  kernels::KvLayerView first_layer;
  std::size_t layer_bytes;
  std::vector<BlockId> blocks;

  kernels::KvLayerView layer(std::size_t i) const {
    kernels::KvLayerView at = first_layer;
    at.memory += i * layer_bytes;
    return at;
  }
  kernels::KvSlot slot(std::size_t position) const {
    const std::size_t block_tokens = first_layer.tiles_per_block * kernels::kTileTokens;
    return {.block = blocks[position / block_tokens],
            .offset = static_cast<std::uint32_t>(position % block_tokens)};
  }
};

Result<Kv> in_blocks(const kv::KvGeometry& geometry, std::vector<BlockId> blocks) {
  FOLIO_TRY(memory, platform::Arena::create(blocks.size() * geometry.block_bytes(), "benchmark"));
  const std::span<std::byte> bytes(memory.data(), memory.size());
  return Kv{.memory = std::move(memory),
            .first_layer = kv::layer_view(geometry, bytes, 0),
            .layer_bytes = geometry.layer_bytes(),
            .blocks = std::move(blocks)};
}

// As if a block held all positions.
Result<Kv> in_one_run(const kv::KvGeometry& geometry) {
  FOLIO_TRY(kv, in_blocks(geometry, std::vector<BlockId>(kBlocks, BlockId{0})));
  kernels::KvLayerView& view = kv.first_layer;
  view.tiles_per_block *= kBlocks;
  view.block_bytes *= kBlocks;
  view.key_head_bytes *= kBlocks;
  view.value_head_bytes *= kBlocks;
  view.value_offset *= kBlocks;
  kv.layer_bytes *= kBlocks;
  return kv;
}

// Random keys and values, the same in both.
void fill(const kernels::AttentionKernels& kernels, const Kv& a, const Kv& b) {
  std::mt19937_64 rng(7);
  std::vector<float> keys(kKvHeads * kDim), values(kKvHeads * kDim);
  for (std::size_t layer = 0; layer < kLayers; ++layer)
    for (std::size_t position = 0; position < kPositions; ++position) {
      for (float& x : keys) x = random_number(rng);
      for (float& x : values) x = random_number(rng);
      for (const Kv* kv : {&a, &b}) {
        const kernels::KvSlot slot = kv->slot(position);
        kernels::store_kv_row(kernels,
                              {.kv = kv->layer(layer),
                               .keys = keys.data(),
                               .values = values.data(),
                               .key_stride = keys.size(),
                               .value_stride = values.size(),
                               .slots = {&slot, 1}},
                              0);
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
    for (float& x : queries_) x = random_number(rng);
  }

  // Seconds of a pass over all layers; `out` is the last layer's result.
  double pass(const Kv& kv, std::vector<float>& out) {
    out.resize(queries_.size());
    const kernels::AttentionSequence sequence{
        .blocks = kv.blocks.data(),
        .first_row = 0,
        .rows = rows_,
        .first_position = static_cast<std::uint32_t>(kPositions - rows_)};
    plan_.prepare({&sequence, 1}, {.heads = kHeads, .kv_heads = kKvHeads});
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
  row.bytes = static_cast<double>(paged.memory.size());
  return {};
}

}  // namespace

Result<std::vector<PagingRow>> measure_paging(const Options& options) {
  FOLIO_TRY(isa, kernels::choose_isa());
  const int wanted = options.threads;
  const int threads = wanted == 0 ? platform::available_cpus() : wanted;
  const kernels::KvType type = options.kv_type.value_or(engine::default_kv_type(isa));
  const kernels::AttentionKernels& kernels = kernels::kernel_set(isa).attention;
  FOLIO_TRY(geometry, kv::KvGeometry::create({.layers = kLayers,
                                              .kv_heads = kKvHeads,
                                              .key_dim = kDim,
                                              .value_dim = kDim,
                                              .type = type,
                                              .block_tokens = kv::kDefaultBlockTokens}));
  std::vector<BlockId> anywhere;
  anywhere.reserve(kBlocks);
  for (std::uint32_t i = 0; i < kBlocks; ++i) anywhere.push_back(BlockId{i});
  std::ranges::shuffle(anywhere, std::mt19937_64(7));
  FOLIO_TRY(paged, in_blocks(geometry, std::move(anywhere)));
  FOLIO_TRY(whole, in_one_run(geometry));
  fill(kernels, paged, whole);
  std::vector<PagingRow> rows = {
      {.name = "a decoded token", .rows = 1, .positions = kPositions, .ratios = {}},
      {.name = "32 of a prompt", .rows = 32, .positions = kPositions, .ratios = {}}};
  for (PagingRow& row : rows) {
    FOLIO_TRY(plan, kernels::AttentionPlan::create(threads, kDim, kPositions));
    Runner runner(kernels, std::move(plan), threads, row.rows);
    FOLIO_TRY_STATUS(measure(row, runner, paged, whole));
  }
  return rows;
}

}  // namespace folio::experiments
