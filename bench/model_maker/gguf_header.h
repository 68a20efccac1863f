// The head of a GGUF file (version 3): metadata and the table of tensors, whose data follow it in order.
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor_type.h"

namespace folio::model_maker {

inline constexpr std::size_t kGgufAlignment = 32;

class GgufHeader {
 public:
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, std::span<const std::string> values);
  void add(std::string_view key, std::span<const std::int32_t> values);

  // `dims`: the contiguous one first. Its data begin at the next multiple of kGgufAlignment behind the tensor
  // before it.
  void add_tensor(std::string_view name, std::span<const std::uint64_t> dims, kernels::TensorType type,
                  std::uint64_t bytes);

  // Everything before the first tensor's data, padded.
  [[nodiscard]] std::string bytes() const;
  // Of all tensors, the last one padded too.
  [[nodiscard]] std::uint64_t data_bytes() const { return data_bytes_; }

 private:
  void begin_entry(std::string_view key, std::uint32_t type);

  std::string entries_, table_;
  std::uint64_t entry_count_ = 0, tensor_count_ = 0, data_bytes_ = 0;
};

[[nodiscard]] constexpr std::uint64_t gguf_padded(std::uint64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

}  // namespace folio::model_maker
