#include "weights/tensor_store.h"

#include <functional>
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
                                      std::vector<Tensor> tensors, std::vector<ForeignTensor> foreign) {
  TensorStore store;
  store.source_ = std::move(source);
  store.files_ = std::move(files);
  store.tensors_ = std::move(tensors);
  store.foreign_ = std::move(foreign);
  store.index_.reserve(store.tensors_.size() + store.foreign_.size());
  const auto enter = [&](const std::string& name, std::size_t place) -> Status {
    if (!store.index_.emplace(name, place).second)
      return fail(ErrorKind::kInvalid, "{}: tensor {} is there twice", store.source_, quote(name));
    return {};
  };
  for (std::size_t i = 0; i < store.tensors_.size(); ++i) {
    FOLIO_TRY_STATUS(enter(store.tensors_[i].name, i));
    store.total_bytes_ += store.tensors_[i].data.size();
  }
  for (std::size_t i = 0; i < store.foreign_.size(); ++i) {
    FOLIO_TRY_STATUS(enter(store.foreign_[i].name, store.tensors_.size() + i));
  }
  return store;
}

const Tensor* TensorStore::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() || found->second >= tensors_.size() ? nullptr : &tensors_[found->second];
}

bool TensorStore::contains(std::string_view name) const { return index_.contains(name); }

Result<const Tensor*> TensorStore::get(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end())
    return fail(ErrorKind::kNotFound, "{}: tensor {} is missing", source_, quote(name));
  if (found->second >= tensors_.size())
    return fail(
        ErrorKind::kUnsupported,
        "{}: tensor {} has dtype {}, folio reads F32, F16 and BF16 weights; convert the model to one of them",
        source_, quote(name), foreign_[found->second - tensors_.size()].type);
  return &tensors_[found->second];
}

Status TensorStore::check_whole(const Tensor& tensor) const {
  const std::less_equal<> not_after;
  for (const platform::MappedFile& file : files_) {
    const auto bytes = file.bytes();
    if (not_after(bytes.data(), tensor.data.data()) &&
        not_after(tensor.data.data() + tensor.data.size(), bytes.data() + bytes.size()))
      return file.check_whole();
  }
  return {};
}

void TensorStore::release(const Tensor& tensor) const {
  for (const platform::MappedFile& file : files_) file.release(tensor.data);
}

}  // namespace folio::weights
