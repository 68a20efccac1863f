#include "simulation/fake_model.h"

#include <algorithm>
#include <cstring>

namespace folio::simulation {
namespace {

constexpr std::uint32_t kValueMask = 0x5A5A'5A5A;  // V is another pattern than K, so that a mix-up shows

std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58'476D'1CE4'E5B9U;
  value = (value ^ (value >> 27)) * 0x94D0'49BB'1331'11EBU;
  return value ^ (value >> 31);
}

std::uint64_t add(std::uint64_t hash, std::uint32_t id) { return mix(hash ^ (id + 0x9E37'79B9'7F4A'7C15U)); }

std::uint64_t hash_of(std::span<const TokenId> tokens) {
  std::uint64_t hash = 0;
  for (TokenId token : tokens) hash = add(hash, static_cast<std::uint32_t>(raw(token)));
  return hash;
}

void write_logits(std::uint64_t hash, float* logits) {
  for (std::uint32_t i = 0; i < kVocab; ++i)
    logits[i] = static_cast<float>(mix(hash + i) >> 40) * 0x1p-22F;  // [0, 4)
}

void write_hidden(std::uint64_t hash, float* hidden) {
  for (std::uint32_t i = 0; i < kHidden; ++i)
    hidden[i] = static_cast<float>(mix(hash - i - 1) >> 40) * 0x1p-23F - 1;  // [-1, 1)
}

std::byte* key_of(const kv::KvGeometry& geometry, std::span<std::byte> memory, BlockId block,
                  std::size_t offset) {
  return memory.data() + raw(block) * geometry.block_bytes() + geometry.key_offset(0, 0) + offset * 4;
}

std::byte* value_of(const kv::KvGeometry& geometry, std::span<std::byte> memory, BlockId block,
                    std::size_t offset) {
  return memory.data() + raw(block) * geometry.block_bytes() + geometry.value_offset(0, 0) + offset * 4;
}

}  // namespace

std::vector<float> logits_after(std::span<const TokenId> tokens) {
  std::vector<float> logits(kVocab);
  write_logits(hash_of(tokens), logits.data());
  return logits;
}

std::vector<float> hidden_after(std::span<const TokenId> tokens) {
  std::vector<float> hidden(kHidden);
  write_hidden(hash_of(tokens), hidden.data());
  return hidden;
}

FakeModel::FakeModel(std::uint32_t context)
    : Model({.architecture = "fake",
             .layers = 1,
             .hidden = kHidden,
             .heads = 1,
             .kv_heads = 1,
             .head_dim = 2,
             .ffn = 16,
             .vocab = kVocab,
             .context = context,
             .max_context = context}) {}

void FakeModel::forward(const model::Batch& batch, const kv::KvGeometry& geometry,
                        std::span<std::byte> memory, model::Workspace& workspace,
                        platform::ThreadPool&) const {
  for (std::size_t row = 0; row < batch.tokens.size(); ++row) {
    const auto key = static_cast<std::uint32_t>(raw(batch.tokens[row])), value = key ^ kValueMask;
    const auto [block, offset] = batch.slots[row];
    std::memcpy(key_of(geometry, memory, block, offset), &key, 4);
    std::memcpy(value_of(geometry, memory, block, offset), &value, 4);
  }
  std::size_t output = 0, hidden = 0;
  for (const kernels::AttentionSequence& sequence : batch.sequences) {
    std::uint64_t hash = 0;
    const std::size_t end_row = sequence.first_row + sequence.rows;
    for (std::size_t p = 0; p < sequence.first_position + sequence.rows; ++p) {
      std::uint32_t key = 0, value = 0;
      const BlockId block = sequence.blocks[p / geometry.block_tokens()];
      std::memcpy(&key, key_of(geometry, memory, block, p % geometry.block_tokens()), 4);
      std::memcpy(&value, value_of(geometry, memory, block, p % geometry.block_tokens()), 4);
      hash = add(hash, key == (value ^ kValueMask) ? key : ~key);
      const bool in_step = p >= sequence.first_position;
      const std::size_t row = sequence.first_row + p - sequence.first_position;
      if (in_step && row < end_row && output < batch.output_rows.size() && batch.output_rows[output] == row)
        write_logits(hash, workspace.logits() + output++ * kVocab);
      if (in_step && hidden < batch.hidden_rows.size() && batch.hidden_rows[hidden] == row) {
        write_hidden(hash, workspace.hidden() + row * kHidden);
        ++hidden;
      }
    }
  }
}

}  // namespace folio::simulation
