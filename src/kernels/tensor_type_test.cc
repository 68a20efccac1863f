#include "kernels/tensor_type.h"

#include <gtest/gtest.h>

namespace folio::kernels {
namespace {

TEST(TensorType, EveryTypeIsFoundByIdAndByName) {
  EXPECT_EQ(tensor_types().size(), 26u);
  for (const TensorTypeInfo& type : tensor_types()) {
    EXPECT_EQ(find_tensor_type(static_cast<std::uint32_t>(type.type)), &type) << type.name;
    EXPECT_EQ(find_tensor_type(type.name), &type) << type.name;
    EXPECT_EQ(&info(type.type), &type);
  }
}

TEST(TensorType, UnknownIdsAndNamesAreNotFound) {
  for (const std::uint32_t id : {4u, 9u, 15u, 24u, 41u, 0xffffffffu})
    EXPECT_EQ(find_tensor_type(id), nullptr) << id;
  EXPECT_EQ(find_tensor_type("Q4_2"), nullptr);
  EXPECT_EQ(find_tensor_type(""), nullptr);
}

TEST(TensorType, RowsAreWholeBlocks) {
  EXPECT_EQ(row_bytes(TensorType::kF32, 7), 28u);
  EXPECT_EQ(row_bytes(TensorType::kQ4_0, 64), 36u);
  EXPECT_EQ(row_bytes(TensorType::kQ6_K, 512), 420u);
  EXPECT_EQ(row_bytes(TensorType::kQ8_0, 0), 0u);
}

}  // namespace
}  // namespace folio::kernels
