// TensorStore: the named tensors of one model, in mapped files; knows no architecture.
//
// Invariants: names are unique; every tensor's data is exactly its shape's bytes and lies in a mapping that
// the store owns (or, for a store made without files, in memory that outlives it). Threads: const use from
// any thread. Ownership: owns the mappings; move-only; moving keeps all spans valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "kernels/tensor_type.h"
#include "platform/mapped_file.h"

namespace folio::weights {

struct Tensor {
  std::string name;
  kernels::TensorType type;
  std::vector<std::uint64_t> shape;  // row-major, outermost first: [rows, columns]; never empty
  std::span<const std::byte> data;   // rows one after the other, any alignment

  std::uint64_t elements() const;  // product of the shape
  std::uint64_t columns() const { return shape.back(); }
  std::uint64_t rows() const;  // elements / columns; 0 if columns is 0
};

// A tensor of a type that folio has no weights of (integers, flags, FP8): it stands in the file and is of no
// use. Files hold such beside their weights, and a model that wants none of them loads.
struct ForeignTensor {
  std::string name;
  std::string type;                  // as the file calls it
  std::vector<std::uint64_t> shape;  // as Tensor::shape
};

// Largest number of tensors in one model, in any file format.
inline constexpr std::uint64_t kMaxTensors = 1u << 20;

class TensorStore {
 public:
  TensorStore() = default;
  TensorStore(TensorStore&&) = default;
  TensorStore& operator=(TensorStore&&) = default;
  TensorStore(const TensorStore&) = delete;
  TensorStore& operator=(const TensorStore&) = delete;

  // `source` is what messages call the model: a file or directory. Errors: two tensors of one name.
  static Result<TensorStore> make(std::string source, std::vector<platform::MappedFile> files,
                                  std::vector<Tensor> tensors, std::vector<ForeignTensor> foreign = {});

  const std::string& source() const { return source_; }
  std::span<const Tensor> all() const { return tensors_; }  // in file order
  // nullptr if absent or foreign
  const Tensor* find(std::string_view name) const;
  // Errors name model and tensor: kNotFound if absent, kUnsupported with its type if foreign.
  Result<const Tensor*> get(std::string_view name) const;
  bool contains(
      std::string_view name) const;  // foreign ones too: a model may not overlook what it would need
  std::span<const ForeignTensor> foreign() const { return foreign_; }
  std::uint64_t total_bytes() const { return total_bytes_; }  // of all tensors' data

  // Errors: kIo if the tensor's file was shortened, so that its data may hold zeros of no file. Asked after
  // reading it.
  [[nodiscard]] Status check_whole(const Tensor& tensor) const;

  // Gives back the memory of a tensor that will not be read soon: the OS pages that it covers alone are
  // dropped from the mapping. Reading the tensor again stays valid and goes to the file. No effect for a
  // store without files.
  void release(const Tensor& tensor) const;

 private:
  std::string source_;
  std::vector<platform::MappedFile> files_;
  std::vector<Tensor> tensors_;
  std::vector<ForeignTensor> foreign_;
  std::unordered_map<std::string_view, std::size_t>
      index_;  // of tensors_, and after them of foreign_; keys point into the names, which never move
  std::uint64_t total_bytes_ = 0;
};

}  // namespace folio::weights
