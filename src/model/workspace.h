// Workspace: every buffer that a forward pass writes, taken once. One per engine; a pass uses it alone.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "kernels/attention/attention.h"
#include "kernels/linear/linear.h"
#include "model/model_config.h"
#include "platform/memory.h"

namespace folio::model {

struct WorkspaceLimits {
  std::size_t rows;         // tokens in one step
  std::size_t output_rows;  // of them, with logits
  std::size_t context;      // longest sequence
  int threads;
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
};

// What a workspace takes, by the tags of its arenas.
struct WorkspaceBytes {
  std::size_t activations, logits, attention_scratch;
  std::size_t tables;  // beside the arenas, on the heap
};

class Workspace {
 public:
  [[nodiscard]] static Result<Workspace> create(const ModelConfig& config, const WorkspaceLimits& limits);
  // Asked before anything is taken. Cost: some arithmetic.
  [[nodiscard]] static WorkspaceBytes bytes(const ModelConfig& config, const WorkspaceLimits& limits);

  const WorkspaceLimits& limits() const { return limits_; }

  float* hidden() const { return at(hidden_); }      // [rows, hidden] the residual stream
  float* normed() const { return at(normed_); }      // [rows, hidden]
  float* queries() const { return at(queries_); }    // [rows, heads * head_dim]
  float* keys() const { return at(keys_); }          // [rows, kv_heads * head_dim]
  float* values() const { return at(values_); }      // [rows, kv_heads * head_dim]
  float* attended() const { return at(attended_); }  // [rows, heads * head_dim]
  float* gate() const { return at(gate_); }          // [rows, ffn]
  float* up() const { return at(up_); }              // [rows, ffn]
  float* cosines() const { return at(cosines_); }    // [rows, rope pairs]
  float* sines() const { return at(sines_); }        // [rows, rope pairs]
  float* logits() const { return reinterpret_cast<float*>(logits_.data()); }  // [output_rows, vocab]

  kernels::QuantizedRows quantized;
  kernels::RowScratch row_scratch;
  kernels::AttentionPlan attention;

 private:
  Workspace(const WorkspaceLimits& limits, kernels::QuantizedRows rows, kernels::RowScratch scratch,
            kernels::AttentionPlan plan, platform::Arena floats, platform::Arena logits)
      : quantized(std::move(rows)),
        row_scratch(std::move(scratch)),
        attention(std::move(plan)),
        limits_(limits),
        floats_(std::move(floats)),
        logits_(std::move(logits)) {}

  float* at(std::size_t offset) const { return reinterpret_cast<float*>(floats_.data()) + offset; }

  WorkspaceLimits limits_;
  platform::Arena floats_, logits_;
  // Offsets in floats_.
  std::size_t hidden_ = 0, normed_ = 0, queries_ = 0, keys_ = 0, values_ = 0, attended_ = 0, gate_ = 0,
              up_ = 0, cosines_ = 0, sines_ = 0;
};

}  // namespace folio::model
