// Random weights in the storage types of GGUF files, with mean about 0 and a given standard deviation.
//
// A row's bytes are a function of (seed, tensor's name, row) alone, made of integers and of single roundings
// of IEEE arithmetic: the same on every machine, by any number of threads, in any order. A second model that
// names a tensor alike, with the same seed and width, has the same numbers in it.
//
// Float types are approximately normal (the sum of four uniform numbers: nothing beyond 3.46 deviations).
// Codes of quantised types are uniform over all their values, and every block has the same scale, so that
// nothing is to be quantised and making a model is a matter of writing it. They reach to two deviations,
// about where the largest of 32 normal weights lies, which sets a block's scale in real files; their own
// deviation is thus 1.15 of the one asked for. Q4_0's codes are -8 to 7, half a code below 0 on average,
// which makes a made model's activations flatter than a real one's. Thread rule: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/tensor_type.h"

namespace folio::model_maker {

// The types that fill_row() knows: F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K.
[[nodiscard]] bool can_fill(kernels::TensorType type);

struct RandomTensor {
  std::uint64_t seed = 0;
  std::string_view name;
  kernels::TensorType type = kernels::TensorType::kF32;
  std::size_t columns = 0;  // a multiple of the type's block
  double deviation = 1;     // of the weights; of quantised ones 1.15 times this
};

// Writes row_bytes(type, columns) bytes. Requires: can_fill(type). Cost: about a nanosecond a byte.
void fill_row(const RandomTensor& tensor, std::uint64_t row, std::byte* out);

}  // namespace folio::model_maker
