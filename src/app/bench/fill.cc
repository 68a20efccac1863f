#include "app/bench/fill.h"

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "kv/kv_view.h"

namespace folio::app {
namespace {

// Numbers in [-1, 1): finite scores, no equal weights.
std::vector<float> random_rows(std::size_t count, std::uint64_t stream) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(2 * uniform({.seed = 1, .stream = stream, .position = i}) - 1);
  return values;
}

}  // namespace

// One block is stored through the kernels, in whatever layout they keep; the others are copies of it: what is
// read costs the same whatever it says.
Status fill_context(const FillParts& parts, std::string_view salt, std::span<const TokenId> tokens) {
  kv::KvCache& cache = *parts.cache;
  const kv::KvGeometry& geometry = cache.geometry();
  tokens = tokens.first(geometry.full_blocks(tokens.size()) * geometry.block_tokens());
  for (TokenId token : tokens)
    if (raw(token) < 0 || static_cast<std::uint32_t>(raw(token)) >= parts.vocab)
      return fail(ErrorKind::kInvalid, "the context holds token {}, outside the vocabulary of {}", raw(token),
                  parts.vocab);
  kv::SequenceKv kv = cache.open(SequenceId{0}, salt, tokens.size());
  const std::size_t first = cache.match(kv, tokens) / geometry.block_tokens();
  if (cache.reserve(kv, tokens.size()) != kv::Reserve::kDone)
    return fail(ErrorKind::kTooLarge, "a context of {} tokens does not fit the {} blocks of the KV cache",
                tokens.size(), cache.blocks());
  const std::span<const BlockId> blocks = kv.blocks().subspan(first);
  if (blocks.empty()) return {};

  const kv::KvShape& shape = geometry.shape();
  const std::size_t key_width = std::size_t{shape.kv_heads} * shape.key_dim,
                    value_width = std::size_t{shape.kv_heads} * shape.value_dim;
  std::vector<kernels::KvSlot> slots(shape.block_tokens);
  for (std::uint32_t t = 0; t < shape.block_tokens; ++t) slots[t] = {.block = blocks.front(), .offset = t};
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const std::vector<float> keys = random_rows(slots.size() * key_width, 2 * layer),
                             values = random_rows(slots.size() * value_width, 2 * layer + 1);
    const kernels::StoreCall call{.kv = kv::layer_view(geometry, cache.memory(), layer),
                                  .keys = keys.data(),
                                  .values = values.data(),
                                  .key_stride = key_width,
                                  .value_stride = value_width,
                                  .slots = slots};
    for (std::size_t t = 0; t < slots.size(); ++t) kernels::store_kv_row(parts.kernels->attention, call, t);
  }
  const auto block_at = [&](BlockId id) {
    return cache.memory().data() + static_cast<std::size_t>(raw(id)) * geometry.block_bytes();
  };
  parts.pool->run(blocks.size() - 1, [&](std::size_t i, int) {
    std::memcpy(block_at(blocks[i + 1]), block_at(blocks.front()), geometry.block_bytes());
  });
  cache.commit(kv, tokens, tokens.size());
  cache.release(kv);
  return {};
}

}  // namespace folio::app
