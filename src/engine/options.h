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

struct EngineOptions {
  std::string model;  // a GGUF file or a Hugging Face directory
  std::size_t context_tokens =
      0;                      // longest sequence; 0: the model's, or less where memory does not allow that
  std::size_t kv_tokens = 0;  // tokens the block pool holds; 0: one context
  std::optional<kernels::KvType>
      kv_type;  // unset: f16 where the kernels expand it for free, f32 on the reference path
  std::uint32_t block_tokens = 16;
  std::size_t step_tokens = 512;  // rows in one step: a longer prompt takes several
  int threads = 0;                // 0: as many as affinity and cgroup allow
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kInteger;
  std::optional<kernels::TensorType> quantize;  // turn wider weights into Q8_0 or Q4_0 while loading
  KvUse kv_use = KvUse::kCache;
  std::optional<kernels::Isa> isa;  // unset: FOLIO_ISA, else the fastest
  std::function<void(std::size_t done_bytes, std::size_t total_bytes)> progress;  // of loading
};

}  // namespace folio::engine
