#include "weights/tensor_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/temp_dir.h"

namespace folio::weights {
namespace {

Tensor f32(std::string name, std::vector<std::uint64_t> shape, std::span<const std::byte> data) {
  return {std::move(name), kernels::TensorType::kF32, std::move(shape), data};
}

TEST(TensorStore, FindsTensorsAlsoAfterAMove) {
  const std::string memory(24, 'm');
  const auto bytes = std::as_bytes(std::span(memory));
  auto made =
      TensorStore::make("model", {}, {f32("a", {2}, bytes.first(8)), f32("b", {2, 2}, bytes.subspan(8))});
  ASSERT_TRUE(made) << made.error().message;
  const TensorStore store = std::move(*made);
  EXPECT_EQ(store.total_bytes(), 24u);
  ASSERT_NE(store.find("b"), nullptr);
  EXPECT_EQ(store.find("b")->elements(), 4u);
  EXPECT_EQ(store.find("b")->rows(), 2u);
  EXPECT_EQ(store.find("c"), nullptr);
  EXPECT_EQ(*store.get("a"), store.find("a"));
  EXPECT_EQ(store.get("c").error().message, "model: tensor 'c' is missing");
  store.release(*store.find("a"));
}

TEST(TensorStore, RefusesDuplicates) {
  const auto made = TensorStore::make("model", {}, {f32("a", {0}, {}), f32("a", {0}, {})});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "model: tensor 'a' is there twice");
}

TEST(TensorStore, ReleasedTensorsCanBeReadAgain) {
  const test::TempDir dir;
  const std::string content(1u << 20, 'q');
  auto file = platform::MappedFile::open(dir.write("w", content));
  ASSERT_TRUE(file);
  const auto data = file->bytes();
  std::vector<platform::MappedFile> files;
  files.push_back(std::move(*file));
  const auto store = TensorStore::make("model", std::move(files), {f32("a", {content.size() / 4}, data)});
  ASSERT_TRUE(store);
  store->release(store->all()[0]);
  EXPECT_EQ(data[12345], std::byte{'q'});
}

}  // namespace
}  // namespace folio::weights
