// Panel kernels: each instruction set against reference.cc bit for bit, and reference.cc against double
// precision.
#include "kernels/linear/linear_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/quant/half.h"
#include "support/test_matrix.h"

namespace folio::kernels {
namespace {

using test::difference;
using test::Guarded;
using test::Random;
using test::TestActivations;
using test::TestMatrix;
using test::Values;
using test::Weights;

// What one panel is packed from. The kernel of kRows takes floats, row after row, which is how F32 is stored.
TensorType panel_type(LinearFormat format) {
  return format == LinearFormat::kRows ? TensorType::kF32 : test::stored_type(format);
}

MatrixShape panel_shape(LinearFormat format, std::size_t width, std::size_t columns) {
  return {.type = panel_type(format), .format = format, .rows = width, .columns = columns};
}

struct Case {
  LinearFormat format;
  std::size_t columns, rows, width;
  bool biased;
  Epilogue epilogue;
  Arithmetic arithmetic = Arithmetic::kInt8;
  std::string text() const {
    return fmt::format("{}, {} columns, {} rows, {}, width {}, bias {}, epilogue {}", name(format), columns,
                       rows, name(arithmetic), width, biased, static_cast<int>(epilogue));
  }
};

// Every table that this machine executes, and the tiles' model where AVX-512 is there to run the rest of it.
struct Table {
  std::string_view name;
  const LinearKernels* kernels;
};

std::vector<Table> tested_tables() {
  std::vector<Table> tables;
  for (Isa isa : test::tested_isas()) tables.push_back({name(isa), &kernel_set(isa).linear});
#if defined(__x86_64__)
  if (std::ranges::find(available_isas(), Isa::kAvx512) != available_isas().end())
    tables.push_back({"amx model", &kLinearAmxModel});
#endif
  return tables;
}

std::vector<float> run(PanelKernel kernel, const Case& c, const TestMatrix& panel, const ActivationRows& x,
                       const std::vector<float>& bias, const std::vector<float>& before) {
  Guarded<float> out(before);
  kernel({.panel = reinterpret_cast<const std::uint8_t*>(panel.packed().data),
          .columns = c.columns,
          .x = &x,
          .out = out.data(),
          .out_stride = before.size() / c.rows,
          .width = c.width,
          .bias = c.biased ? bias.data() : nullptr,
          .epilogue = c.epilogue});
  EXPECT_TRUE(out.intact()) << c.text();
  return {out.span().begin(), out.span().end()};
}

// The rest of each row of `out` holds what was there before.
void expect_untouched_beside(const Case& c, const std::vector<float>& before, const std::vector<float>& out) {
  const std::size_t stride = before.size() / c.rows;
  for (std::size_t row = 0; row < c.rows; ++row)
    EXPECT_EQ(difference(std::span(before).subspan(row * stride + c.width, stride - c.width),
                         std::span(out).subspan(row * stride + c.width, stride - c.width)),
              "")
        << c.text() << ", row " << row;
}

void compare(const Case& c, Values values, Weights weights, Random& random) {
  const TestMatrix panel(panel_shape(c.format, c.width, c.columns), weights, random);
  const TestActivations x(c.rows, c.columns, values, random, c.arithmetic);
  const std::vector<float> bias = test::floats(Values::kNormal, c.width, random);
  const std::vector<float> before = test::floats(Values::kNormal, c.rows * (c.width + 5), random);
  const ActivationRows rows = x.rows(0, c.rows);
  const std::vector<float> expected =
      run(panel_kernel(kLinearReference, c.format), c, panel, rows, bias, before);
  expect_untouched_beside(c, before, expected);
  for (const Table& table : tested_tables()) {
    const std::vector<float> actual =
        run(panel_kernel(*table.kernels, c.format), c, panel, rows, bias, before);
    EXPECT_EQ(difference(expected, actual), "")
        << table.name << ", " << c.text() << ", values " << static_cast<int>(values);
  }
}

constexpr Arithmetic kOfCodes[] = {Arithmetic::kInt8, Arithmetic::kInt16, Arithmetic::kMixed};

// The activations that a format meets; floats are the same in all.
std::span<const Arithmetic> arithmetics_of(LinearFormat format) {
  return std::span(kOfCodes).first(takes_codes(format) ? std::size(kOfCodes) : 1);
}

constexpr Values kValues[] = {Values::kNormal,   Values::kAlternating, Values::kSpread, Values::kTiny,
                              Values::kDenormal, Values::kHuge,        Values::kZeros,  Values::kOneHuge};

TEST(LinearKernels, EveryFormatGivesTheBitsOfTheReferenceForEverySize) {
  for (LinearFormat format : test::kAllFormats) {
    Random random(31);
    std::size_t turn = 0, last_columns = 0;
    for (std::size_t size : test::sizes_around_vectors()) {
      const std::size_t columns = test::whole_blocks(panel_type(format), size);
      if (columns == last_columns) continue;
      last_columns = columns;
      for (Arithmetic arithmetic : arithmetics_of(format))
        for (std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33}) {
          const Case c{.format = format,
                       .columns = columns,
                       .rows = rows,
                       .width = turn % 2 == 0 ? 16 : random.between(1, 15),
                       .biased = turn % 3 == 0,
                       .epilogue = turn % 5 < 2 ? Epilogue::kAdd : Epilogue::kStore,
                       .arithmetic = arithmetic};
          compare(c, kValues[turn % std::size(kValues)], turn % 4 < 2 ? Weights::kNormal : Weights::kAnyBytes,
                  random);
          if (HasFailure()) return;
          ++turn;
        }
    }
  }
}

TEST(LinearKernels, EveryWidthWithAndWithoutBiasAndResidual) {
  for (LinearFormat format : test::kAllFormats) {
    Random random(32);
    for (std::size_t width = 1; width <= 16; ++width)
      for (bool biased : {false, true})
        for (Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd})
          for (Arithmetic arithmetic : arithmetics_of(format))
            for (std::size_t rows : {1, 3, 8, 13}) {
              compare({.format = format,
                       .columns = test::whole_blocks(panel_type(format), 96),
                       .rows = rows,
                       .width = width,
                       .biased = biased,
                       .epilogue = epilogue,
                       .arithmetic = arithmetic},
                      Values::kNormal, Weights::kNormal, random);
              if (HasFailure()) return;
            }
  }
}

// Products that underflow to -0 in every column: the zeros that fill the last vector must not make +0 of the
// sum.
TEST(LinearKernels, SumsOfNegativeZerosKeepTheirSign) {
  for (LinearFormat format : {LinearFormat::kF32, LinearFormat::kRows})
    for (std::size_t columns : {1, 2, 15, 16, 17, 31, 32, 33}) {
      const std::vector<float> weights(16 * columns, -1e-30f), x(columns, 1e-30f);
      const ActivationRows rows{.values = x.data(),
                                .value_stride = columns,
                                .codes = nullptr,
                                .scales = nullptr,
                                .sums = nullptr,
                                .half_sums = nullptr,
                                .code_stride = 0,
                                .group_stride = 0,
                                .rows = 1};
      const auto run_on = [&](const LinearKernels& kernels) {
        std::vector<float> out(16);
        panel_kernel(kernels, format)({.panel = reinterpret_cast<const std::uint8_t*>(weights.data()),
                                       .columns = columns,
                                       .x = &rows,
                                       .out = out.data(),
                                       .out_stride = 16,
                                       .width = 16,
                                       .bias = nullptr,
                                       .epilogue = Epilogue::kStore});
        return out;
      };
      for (Isa isa : test::tested_isas())
        ASSERT_EQ(difference(run_on(kLinearReference), run_on(kernel_set(isa).linear)), "")
            << name(isa) << ", " << name(format) << ", " << columns;
    }
}

// What the reference must give within its roundings. Each bound is first-order in u = 2^-24, with 1 % on top.
struct Exact {
  double value, bound;
};

// Floats: K fused additions, or K / 16 of them and four across lanes; each rounds a partial sum that is at
// most sum |x w| in magnitude: K u sum |x w|.
Exact exact_floats(const TestMatrix& matrix, std::size_t o, const TestActivations& x, std::size_t row) {
  const std::vector<float> w = matrix.dequantized_row(o);
  double sum = 0, magnitude = 0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    const double product = static_cast<double>(x.floats(row)[k]) * w[k];
    sum += product;
    magnitude += std::abs(product);
  }
  const double roundings = static_cast<double>(w.size()) + 4;
  return {.value = sum, .bound = 1.01 * roundings * test::kUnitRoundoff * magnitude};
}

// Codes: against the dequantised weights times the dequantised activations. The dot of a group is an exact
// integer, rounded to a float; the product of the two scales and its fused addition round, and so do, where
// there is one, those of the minimum: each group adds 2 u of its own terms for dot and product, and each
// addition u of the partial sum. Counting 2 G + 3 roundings of the sum of all terms' magnitudes covers
// them. A dequantised weight with a minimum has itself been rounded: u |x w|. Where the product of the
// scales is subnormal it rounds by 2^-150, times a dot below 2^27.
Exact exact_codes(const TestMatrix& matrix, std::size_t o, const TestActivations& x, std::size_t row) {
  const std::vector<float> w = matrix.dequantized_row(o);
  const std::size_t columns = test::group_columns(matrix.shape().type), groups = w.size() / columns;
  bool has_minimum = false;
  double sum = 0, terms = 0, products = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    const double added = matrix.added_to_group(o, g);
    has_minimum = has_minimum || added != 0;
    double dot = 0, codes = 0;
    for (std::size_t k = g * columns; k < (g + 1) * columns; ++k) {
      const double value = x.held(row, k);
      dot += value * (w[k] - added);
      codes += value;
      products += std::abs(value * w[k]);
    }
    sum += dot + added * codes;
    terms += std::abs(dot) + std::abs(added * codes);
  }
  const double roundings = 2 * static_cast<double>(groups) + 3;
  return {.value = sum,
          .bound = 1.01 * test::kUnitRoundoff * (roundings * terms + (has_minimum ? 1 : 0) * products) +
                   static_cast<double>(groups) * 0x1p-123};
}

TEST(LinearKernels, TheReferenceIsTheMathematicsWithinItsRoundings) {
  for (LinearFormat format : test::kAllFormats) {
    Random random(33);
    double worst = 0;
    for (std::size_t turn = 0; turn < 15; ++turn) {
      constexpr std::size_t kSizes[] = {1, 33, 64, 576, 1536};
      const Case c{.format = format,
                   .columns = test::whole_blocks(panel_type(format), kSizes[turn / 3]),
                   .rows = 3,
                   .width = 16,
                   .biased = false,
                   .epilogue = Epilogue::kStore,
                   .arithmetic = kOfCodes[turn % 3]};
      const TestMatrix panel(panel_shape(format, c.width, c.columns), Weights::kNormal, random);
      const TestActivations x(c.rows, c.columns, Values::kNormal, random, c.arithmetic);
      const std::vector<float> out = run(panel_kernel(kLinearReference, format), c, panel, x.rows(0, c.rows),
                                         {}, std::vector<float>(c.rows * c.width));
      for (std::size_t row = 0; row < c.rows; ++row)
        for (std::size_t o = 0; o < c.width; ++o) {
          const Exact exact =
              takes_codes(format) ? exact_codes(panel, o, x, row) : exact_floats(panel, o, x, row);
          const double error = std::abs(out[row * c.width + o] - exact.value);
          ASSERT_LE(error, exact.bound) << c.text() << ", row " << row << ", output " << o;
          if (exact.bound > 0) worst = std::max(worst, error / exact.bound);
        }
    }
    std::printf("%s: worst error is %.3f of its bound\n", std::string(name(format)).c_str(), worst);
  }
}

}  // namespace
}  // namespace folio::kernels
