#include "weights/tensor_store.h"

#include <utility>

#include "weights/quote.h"

namespace folio::weights {

std::uint64_t Tensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t dim : shape) product *= dim;
  return product;
}

std::uint64_t Tensor::rows() const { return columns() == 0 ? 0 : elements() / columns(); }

Result<TensorStore> TensorStore::make(std::string source, std::vector<platform::MappedFile> files,
                                      std::vector<Tensor> tensors) {
  TensorStore store;
  store.source_ = std::move(source);
  store.files_ = std::move(files);
  store.tensors_ = std::move(tensors);
  store.index_.reserve(store.tensors_.size());
  for (std::size_t i = 0; i < store.tensors_.size(); ++i) {
    const Tensor& tensor = store.tensors_[i];
    if (!store.index_.emplace(tensor.name, i).second) {
      return fail(ErrorKind::kInvalid, "{}: tensor {} is there twice", store.source_, quote(tensor.name));
    }
    store.total_bytes_ += tensor.data.size();
  }
  return store;
}

const Tensor* TensorStore::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Result<const Tensor*> TensorStore::get(std::string_view name) const {
  const Tensor* found = find(name);
  if (found == nullptr) return fail(ErrorKind::kNotFound, "{}: tensor {} is missing", source_, quote(name));
  return found;
}

void TensorStore::release(const Tensor& tensor) const {
  for (const platform::MappedFile& file : files_) file.release(tensor.data);
}

}  // namespace folio::weights
