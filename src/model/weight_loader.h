// WeightLoader: tensors of a file -> matrices packed for the kernels and vectors of floats, in memory of our
// own. It knows which tensors were asked for, so that none is overlooked, and names what it read.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "kernels/linear/packed_matrix.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"
#include "weights/tensor_store.h"

namespace folio::model {

struct LoadOptions {
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
  // Matrices stored wider than this become this type while loading (Q8_0 or Q4_0). With Q4_0 the embedding
  // and the output matrix become Q8_0, as in files that are quantised for distribution: they lose the most at
  // four bits.
  std::optional<kernels::TensorType> quantize;
  // Called with the bytes of the file read so far and in all, from the loading thread; may be empty.
  std::function<void(std::size_t done_bytes, std::size_t total_bytes)> progress;
};

// All packed weights of one model; matrices point into it. Move-only.
struct WeightMemory {
  platform::Arena arena;
  std::size_t used_bytes = 0;  // of weights in their packed form
  Hash128 digest;              // of the names and contents of all tensors read, in this order
};

// An architecture asks for its tensors twice, by the same code: of a checking() loader, which says in no time
// what is missing, misshapen or left over, and of one that packs.
class WeightLoader {
 public:
  // Looks at names and shapes only: matrices have no data, vectors are empty.
  static WeightLoader checking(const weights::TensorStore& store, const LoadOptions& options);
  // Reserves address space for all tensors in packed form, but those that may stay unread; memory is
  // committed as tensors are packed, and the file's pages are dropped tensor by tensor, so the peak is the
  // packed weights plus the largest tensor. Whether the memory is there was
  // decided before (capacity/plan.h). `store` and `pool` outlive the loader.
  [[nodiscard]] static Result<WeightLoader> create(const weights::TensorStore& store,
                                                   platform::ThreadPool& pool, const LoadOptions& options);

  // What the weights of `store` take: of the matrices packed in one arena, of the other tensors as floats on
  // the heap, and for a while of the file's memory, that of the largest tensor. Cost: a look at each tensor's
  // header.
  struct Bytes {
    std::size_t packed = 0, vectors = 0, largest_tensor = 0;
  };
  [[nodiscard]] static Bytes bytes(const weights::TensorStore& store, const LoadOptions& options);

  // The matrix `name` of exactly [rows, columns]. Errors: missing, another shape, a row that is no whole
  // number of blocks; the message names model and tensor.
  [[nodiscard]] Result<kernels::PackedMatrix> matrix(const std::string& name, std::size_t rows,
                                                     std::size_t columns);
  // The vector `name` of exactly `size` numbers.
  [[nodiscard]] Result<std::vector<float>> vector(const std::string& name, std::size_t size);
  // The same; empty where the model has no such tensor.
  [[nodiscard]] Result<std::vector<float>> optional_vector(const std::string& name, std::size_t size);

  bool has(const std::string& name) const { return store_->contains(name); }
  // After the last tensor: hands over the memory. Errors: the file holds a tensor that was not asked for and
  // that no model of `architecture` may leave unread (unread_tensors.h); the message names it.
  [[nodiscard]] Result<WeightMemory> finish(std::string_view architecture);

 private:
  WeightLoader(const weights::TensorStore& store, platform::ThreadPool* pool, const LoadOptions& options)
      : store_(&store), pool_(pool), options_(options) {}

  bool is_checking() const { return pool_ == nullptr; }

  void pack(const weights::Tensor& tensor, const kernels::MatrixShape& shape, std::byte* out);
  void took(const weights::Tensor& tensor, const Hash128& content);

  const weights::TensorStore* store_;
  platform::ThreadPool* pool_;  // null: only checking
  LoadOptions options_;
  WeightMemory memory_;
  std::unordered_set<std::string_view> asked_for_;  // names in the store
  std::size_t done_bytes_ = 0;
};

}  // namespace folio::model
