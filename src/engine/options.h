// How an engine is set up. Everything with a default may be left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "kernels/attention/kv_type.h"
#include "kernels/isa.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/tensor_type.h"

namespace folio::engine {

enum class KvUse {
  kCache,      // keys and values are computed once
  kRecompute,  // every step computes the whole sequence again: shows what the cache is worth, O(n^2)
};

// The KV type where none is asked for: f16, which vector kernels expand for free; f32 on the plain C++ path.
kernels::KvType default_kv_type(kernels::Isa isa);

struct EngineOptions {
  // A GGUF file or a Hugging Face directory.
  std::string model;
  // Longest sequence; 0: the model's, or less where memory does not allow that.
  std::size_t context_tokens = 0;
  // Tokens the block pool holds; 0: one context.
  std::size_t kv_tokens = 0;
  // Unset: default_kv_type().
  std::optional<kernels::KvType> kv_type;
  std::uint32_t block_tokens = 16;
  // Rows in one step: a longer prompt takes several.
  std::size_t step_tokens = 512;
  // 0: as many as affinity and cgroup allow.
  int threads = 0;
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kInteger;
  // Turns wider weights into Q8_0 or Q4_0 while loading.
  std::optional<kernels::TensorType> quantize;
  KvUse kv_use = KvUse::kCache;
  // Unset: FOLIO_ISA, else the fastest.
  std::optional<kernels::Isa> isa;
  // Called while loading, with the bytes of the file read so far and in all.
  std::function<void(std::size_t done_bytes, std::size_t total_bytes)> progress;
};

}  // namespace folio::engine
