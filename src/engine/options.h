// How an engine is set up. Everything with a default may be left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "capacity/wish.h"
#include "kernels/attention/kv_type.h"
#include "kernels/isa.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/tensor_type.h"
#include "kv/eviction.h"
#include "scheduler/scheduler_options.h"

namespace folio::engine {

// What an engine takes at most. Flags, fields and their descriptions are bounded by these.
inline constexpr std::size_t kMaxSequences = 1024;  // running and waiting together, each choice counted
inline constexpr std::size_t kMaxChoices = 128;     // of one request
inline constexpr std::size_t kMaxStepTokens = 8192;
inline constexpr int kMaxThreads = 256;

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
  // The block pool. With less than the model's context, no sequence is longer than that.
  capacity::KvSize kv_size = capacity::KvAutomatic{};
  // Unset: default_kv_type().
  std::optional<kernels::KvType> kv_type;
  std::uint32_t block_tokens = 16;
  // Which cached blocks are lost first when room is needed.
  kv::Eviction eviction = kv::Eviction::kLru;
  // Share of the cached blocks whose lifetimes are measured, 0 to 1; see kv/block_residency.h.
  double residency_share = 0;
  // RAM for the blocks of preempted sequences, where bringing them back is predicted to be faster than
  // computing them again; 0: none.
  std::size_t swap_bytes = 0;
  // Rows in one step: a longer prompt takes several. The upper bound of what the time budget allows.
  std::size_t step_tokens = 512;
  // Sequences that run at the same time; 0: 64, or one per row of a step if that is less.
  std::size_t max_num_seqs = 0;
  // Tokens of one prompt in one step; 0: as many as there is room for.
  std::size_t long_prefill_token_threshold = 0;
  scheduler::ChunkedPrefill chunked_prefill = scheduler::ChunkedPrefill::kOn;
  scheduler::Policy policy = scheduler::Policy::kFcfs;
  scheduler::Fairness fairness = scheduler::Fairness::kNone;
  // Predicted time of a step in which prompts are computed beside others' tokens; 0: no limit.
  double step_budget_ms = 250;
  // 0: as many as affinity and cgroup allow.
  int threads = 0;
  // Of all together at most; 0: what is available. What the caller has waiting, and takes beside the engine,
  // is planned with it.
  std::size_t memory_bytes = 0;
  capacity::Queue queue;
  std::vector<capacity::Beside> beside;
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
  // Turns wider weights into Q8_0 or Q4_0 while loading.
  std::optional<kernels::TensorType> quantize;
  KvUse kv_use = KvUse::kCache;
  // Unset: FOLIO_ISA, else the fastest.
  std::optional<kernels::Isa> isa;
  // Called while loading, with the bytes of the file read so far and in all.
  std::function<void(std::size_t done_bytes, std::size_t total_bytes)> progress;
};

}  // namespace folio::engine
