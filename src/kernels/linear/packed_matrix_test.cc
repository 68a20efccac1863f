#include "kernels/linear/packed_matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "support/test_matrix.h"

namespace folio::kernels {
namespace {

using test::difference;
using test::Random;
using test::TestMatrix;
using test::Weights;

std::vector<float> unpacked(const PackedMatrix& matrix, std::size_t row) {
  test::Guarded<float> out(matrix.shape.columns);
  unpack_row(matrix, row, out.data());
  EXPECT_TRUE(out.intact());
  return {out.span().begin(), out.span().end()};
}

// Any bits, NaN too: what comes out is what dequantize() makes of the stored row, bit for bit.
TEST(PackedMatrix, UnpackingGivesTheStoredRowBitForBit) {
  Random random(21);
  for (const TensorTypeInfo& type : tensor_types())
    for (Arithmetic arithmetic : {Arithmetic::kMixed, Arithmetic::kInt16, Arithmetic::kFloat})
      for (std::size_t rows : {1, 2, 15, 16, 17, 32, 47})
        for (std::size_t columns : {1, 2, 7, 33, 64, 300}) {
          const MatrixShape shape{.type = type.type,
                                  .format = linear_format(type.type, arithmetic),
                                  .rows = rows,
                                  .columns = test::whole_blocks(type.type, columns)};
          const TestMatrix matrix(shape, Weights::kAnyBytes, random);
          for (std::size_t row = 0; row < rows; ++row)
            ASSERT_EQ(difference(matrix.dequantized_row(row), unpacked(matrix.packed(), row)), "")
                << type.name << " as " << name(shape.format) << ", " << rows << " x " << shape.columns
                << ", row " << row;
          if (type.elements > 1 && columns == 64) break;  // block types: one and a few blocks are enough
        }
}

TEST(PackedMatrix, EveryFormatHasATypeAndTheYardstickExpandsEveryQuantisedType) {
  for (LinearFormat format : test::kAllFormats) {
    EXPECT_EQ(linear_format(test::stored_type(format), test::arithmetic_of(format)), format) << name(format);
    EXPECT_NE(name(format), "?");
  }
  for (const TensorTypeInfo& type : tensor_types()) {
    for (Arithmetic exact : {Arithmetic::kFloat, Arithmetic::kInt16})
      EXPECT_FALSE(takes_bfloats(linear_format(type.type, exact))) << type.name;
    EXPECT_FALSE(takes_codes(linear_format(type.type, Arithmetic::kFloat))) << type.name;
    if (type.elements > 1) {
      EXPECT_EQ(linear_format(type.type, Arithmetic::kFloat), LinearFormat::kRows) << type.name;
    }
  }
}

// The sizes that the header states, in whole cache lines.
TEST(PackedMatrix, SizesAreThoseOfTheHeader) {
  const auto shape = [](LinearFormat format, std::size_t rows, std::size_t columns) {
    return MatrixShape{.type = test::stored_type(format), .format = format, .rows = rows, .columns = columns};
  };
  EXPECT_EQ(shape(LinearFormat::kF32, 16, 64).panel_bytes(), 64u * 64);
  EXPECT_EQ(shape(LinearFormat::kF16, 16, 64).panel_bytes(), 32u * 64);
  EXPECT_EQ(shape(LinearFormat::kBF16, 16, 64).panel_bytes(), 32u * 64);
  EXPECT_EQ(shape(LinearFormat::kBF16, 16, 63).panel_bytes(), 32u * 64);
  EXPECT_EQ(shape(LinearFormat::kBF16Dots, 16, 63).panel_bytes(), 32u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ8_0, 16, 64).panel_bytes(), 17u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ4_0, 16, 64).panel_bytes(), 9u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ4_1, 16, 64).panel_bytes(), 10u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ5_0, 16, 64).panel_bytes(), 11u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ5_0, 16, 96).panel_bytes(), 11u * 128) << "rounded up to 64 columns";
  EXPECT_EQ(shape(LinearFormat::kQ5_1, 16, 64).panel_bytes(), 12u * 64);
  EXPECT_EQ(shape(LinearFormat::kIQ4_NL, 16, 64).panel_bytes(), 9u * 64);
  EXPECT_EQ(shape(LinearFormat::kMXFP4, 16, 64).panel_bytes(), 9u * 64);
  EXPECT_EQ(shape(LinearFormat::kQ2_K, 16, 512).panel_bytes(), 2u * 1344);
  EXPECT_EQ(shape(LinearFormat::kQ3_K, 16, 512).panel_bytes(), 2u * 1856);
  EXPECT_EQ(shape(LinearFormat::kQ4_K, 16, 512).panel_bytes(), 2u * 2368);
  EXPECT_EQ(shape(LinearFormat::kQ5_K, 16, 512).panel_bytes(), 2u * 2880);
  EXPECT_EQ(shape(LinearFormat::kQ6_K, 16, 512).panel_bytes(), 2u * 3392);
  EXPECT_EQ(shape(LinearFormat::kIQ4_XS, 16, 512).panel_bytes(), 2u * 2240);
  for (LinearFormat format : test::kAllFormats) {
    if (format == LinearFormat::kRows) continue;
    const MatrixShape odd = shape(format, 33, test::whole_blocks(test::stored_type(format), 96));
    EXPECT_EQ(odd.panels(), 3u);
    EXPECT_EQ(odd.panel_bytes() % 64, 0u) << name(format);
    EXPECT_EQ(odd.packed_bytes(), 3 * odd.panel_bytes()) << name(format);
  }
  const MatrixShape rows = shape(LinearFormat::kRows, 33, 128);
  EXPECT_EQ(rows.packed_bytes(), 33 * row_bytes(rows.type, 128)) << "stored bytes, not padded";
}

// Packed over two different backgrounds: equal memory means that every byte was written, so files and hashes
// of packed weights do not depend on what the memory held. Outputs and columns that do not exist are zero.
TEST(PackedMatrix, EveryByteOfAPanelIsWrittenAndPaddingIsZero) {
  Random random(22);
  for (LinearFormat format : test::kAllFormats) {
    if (format == LinearFormat::kRows) continue;
    const TensorType type = test::stored_type(format);
    for (std::size_t rows : {1, 15, 16, 40})  // pack_panel takes the first 16 of those that are left
      for (std::size_t columns : {1, 2, 3, 33, 64, 96, 2048}) {
        const MatrixShape shape{
            .type = type, .format = format, .rows = rows, .columns = test::whole_blocks(type, columns)};
        const std::vector<std::byte> stored =
            test::random_weights(type, rows * shape.columns, Weights::kAnyBytes, random);
        std::vector<std::byte> over_ones(shape.panel_bytes(), std::byte{0xff}),
            over_zeros(shape.panel_bytes());
        pack_panel(shape, stored.data(), rows, over_ones.data());
        pack_panel(shape, stored.data(), rows, over_zeros.data());
        ASSERT_TRUE(over_ones == over_zeros) << name(format) << ", " << rows << " x " << shape.columns;
        const PackedMatrix panel{
            .shape = {.type = type, .format = format, .rows = 16, .columns = shape.columns},
            .data = over_ones.data()};
        for (std::size_t row = rows; row < 16; ++row)
          ASSERT_TRUE(std::ranges::all_of(unpacked(panel, row), [](float x) { return x == 0; }))
              << name(format);
      }
  }
}

using PackedMatrixDeathTest = testing::Test;

TEST(PackedMatrixDeathTest, ARowOutsideIsABug) {
  Random random(23);
  const TestMatrix matrix({.type = TensorType::kF32, .format = LinearFormat::kF32, .rows = 3, .columns = 4},
                          Weights::kNormal, random);
  float out[4];
  EXPECT_DEATH(unpack_row(matrix.packed(), 3, out), "row outside the matrix");
}

}  // namespace
}  // namespace folio::kernels
