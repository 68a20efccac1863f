// Linear layers over many rows on all threads: out = x W^T (+ bias), several matrices of the same input in
// one fork-join.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/kernel_set.h"
#include "kernels/linear/packed_matrix.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::kernels {

// The kernel that makes a row's codes for an arithmetic.
// Requires: not kFloat, which has none.
auto quantizer(const RowKernels& kernels, Arithmetic arithmetic) -> decltype(kernels.quantize_mixed);

// The inputs of linear layers: room for up to `max_rows` rows of `max_columns` floats' worth of codes, high
// bits and low bits apart, and, where the arithmetic rounds to them, of bfloat16. For kFloat, which takes
// neither, it holds nothing. One object serves all layers in turn; nothing is allocated after creation.
class QuantizedRows {
 public:
  [[nodiscard]] static Result<QuantizedRows> create(std::size_t max_rows, std::size_t max_columns,
                                                    Arithmetic arithmetic);

  // Of the arenas that create() takes.
  [[nodiscard]] static std::size_t bytes(std::size_t max_rows, std::size_t max_columns,
                                         Arithmetic arithmetic);

  // Quantises x [columns] as row `index`. Thread-safe on distinct rows. Requires: not kFloat.
  void fill_row(const RowKernels& kernels, const float* x, std::size_t index, std::size_t columns);
  QuantizedRow row(std::size_t index) const;
  // The same in bfloat16. Requires: rounds_to_bf16(arithmetic).
  void round_row(const RowKernels& kernels, const float* x, std::size_t index, std::size_t columns);
  // All but the floats of ActivationRows, which the caller adds.
  void describe(ActivationRows& rows) const;

 private:
  std::uint16_t* bfloats() const { return reinterpret_cast<std::uint16_t*>(bfloats_.data()); }

  platform::Arena codes_, scales_, sums_, half_sums_, wide_, bfloats_;
  std::size_t code_stride_ = 0, group_stride_ = 0, bfloat_stride_ = 0;
  Arithmetic arithmetic_ = Arithmetic::kMixed;
};

struct LinearCall {
  const PackedMatrix* matrix;
  const float* bias;  // [matrix rows], or nullptr
  float* out;         // [rows][out_stride]
  std::size_t out_stride;
  Epilogue epilogue = Epilogue::kStore;
};

// Scratch for expanding rows of kRows matrices: one row of floats per thread.
class RowScratch {
 public:
  RowScratch(int threads, std::size_t max_columns)
      : stride_(max_columns), floats_(max_columns * static_cast<std::size_t>(threads)) {}
  float* of_thread(int thread) { return floats_.data() + stride_ * static_cast<std::size_t>(thread); }

 private:
  std::size_t stride_;
  std::vector<float> floats_;
};

// Runs every call on the same input. Requires: 1 to 4 calls; all matrices have the same columns; x holds
// codes if takes_codes() of any matrix's format, bfloats if takes_bfloats(), floats if neither.
void linear(const LinearKernels& kernels, platform::ThreadPool& pool, RowScratch& scratch,
            const ActivationRows& x, std::span<const LinearCall> calls);

}  // namespace folio::kernels
