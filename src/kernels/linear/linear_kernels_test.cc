// Panel kernels: each instruction set against reference.cc bit for bit, and reference.cc against double
// precision.
#include "kernels/linear/linear_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

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
  Arithmetic arithmetic = Arithmetic::kInt16;
  std::string text() const {
    return fmt::format("{}, {} columns, {} rows, {}, width {}, bias {}, epilogue {}", name(format), columns,
                       rows, name(arithmetic), width, biased, static_cast<int>(epilogue));
  }
};

// Every table that this machine executes, with the options that it has and without, and the models of what it
// may lack where AVX-512 is there to run them.
struct Table {
  std::string_view name;
  const LinearKernels* kernels;
};

std::vector<Table> tested_tables() {
  std::vector<Table> tables;
  for (Isa isa : test::tested_isas()) tables.push_back({name(isa), &kernel_set(isa).linear});
#if defined(__x86_64__)
  const auto executes = [](Isa isa) {
    return std::ranges::find(available_isas(), isa) != available_isas().end();
  };
  if (executes(Isa::kAvx2) && &kernel_set(Isa::kAvx2).linear != &kLinearAvx2)
    tables.push_back({"avx2 without its options", &kLinearAvx2});
  if (executes(Isa::kAvx512))
    for (const Table& table : {Table{"amx model", &kLinearAmxModel},
                               {"avx-vnni model", &kLinearAvxVnniModel},
                               {"avx512 without its options", &kLinearAvx512}})
      tables.push_back(table);
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

constexpr Arithmetic kOfCodes[] = {Arithmetic::kInt16, Arithmetic::kMixed};

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

// One output of one row, of `pairs` of columns.
struct Pair {
  std::uint16_t x[2], w[2];
};

float bf16_dots(const LinearKernels& kernels, const std::vector<Pair>& pairs, const float* bias = nullptr) {
  std::vector<std::uint16_t> x, panel;
  for (const Pair& pair : pairs) {
    x.insert(x.end(), std::begin(pair.x), std::end(pair.x));
    for (std::size_t o = 0; o < kPanelOutputs; ++o)
      panel.insert(panel.end(), std::begin(pair.w), std::end(pair.w));
  }
  const ActivationRows rows{.values = nullptr,
                            .value_stride = 0,
                            .codes = nullptr,
                            .scales = nullptr,
                            .sums = nullptr,
                            .half_sums = nullptr,
                            .code_stride = 0,
                            .group_stride = 0,
                            .rows = 1,
                            .bfloats = x.data(),
                            .bfloat_stride = x.size()};
  float out = 0;
  kernels.bf16_dots({.panel = reinterpret_cast<const std::uint8_t*>(panel.data()),
                     .columns = x.size(),
                     .x = &rows,
                     .out = &out,
                     .out_stride = 1,
                     .width = 1,
                     .bias = bias,
                     .epilogue = Epilogue::kStore});
  return out;
}

std::uint16_t power(int exponent) { return f32_to_bf16(std::ldexp(1.0f, exponent)); }
std::uint16_t minus(std::uint16_t x) { return x ^ 0x8000; }

// Each line can tell a wrong order, a missing flush or a flush of the wrong numbers from the right one.
TEST(LinearKernels, PairsOfBf16AddTheOddColumnFirstAndTakeDenormalsForZero) {
  const std::uint16_t one = power(0), low = power(-63), smallest = power(-126);
  const Pair start{{one, 0}, {one, 0}}, least{{low, 0}, {low, 0}};  // 1 and 2^-126, the least normal number
  struct {
    const char* what;
    std::vector<Pair> pairs;
    float expected;
  } cases[] = {
      {"1 - 1, then 2^-30", {start, {{power(-30), minus(one)}, {one, one}}}, 0x1p-30f},
      {"1 + 2^-30, then - 1", {start, {{minus(one), power(-30)}, {one, one}}}, 0},
      {"no rounding of the product alone", {{{0x3f81, 0x3f81}, {0x3f81, minus(0x3f81)}}}, 0},
      {"a denormal activation", {start, {{0x007f, 0x807f}, {power(100), power(100)}}}, 1},
      {"a denormal weight", {start, {{power(100), power(100)}, {0x0040, 0x0001}}}, 1},
      {"the least normal operands", {{{smallest, smallest}, {one, one}}}, 0x1p-125f},
      {"a denormal product", {{{low, 0}, {power(-64), 0}}}, 0},
      {"its sign", {{{low, 0}, {minus(power(-64)), 0}}}, -0.0f},
      {"a denormal first sum", {{{smallest, power(-64)}, {one, low}}}, 0x1p-126f},
      {"a product that is small, not alone", {least, {{0, power(-70)}, {0, power(-70)}}}, 0x1.0004p-126f},
      {"2^-126 less 1.5 * 2^-151", {least, {{0, f32_to_bf16(0x1.8p-75f)}, {0, minus(power(-76))}}}, 0},
      {"2^-126 less 2^-151: a tie", {least, {{0, power(-75)}, {0, minus(power(-76))}}}, 0x1p-126f},
      {"2^-126 less 2^-152", {least, {{0, power(-76)}, {0, minus(power(-76))}}}, 0x1p-126f},
      {"infinity", {{{power(127), power(127)}, {one, one}}, start}, std::numeric_limits<float>::infinity()},
  };
  for (const Table& table : tested_tables())
    for (const auto& c : cases) {
      const float actual = bf16_dots(*table.kernels, c.pairs);
      EXPECT_EQ(std::bit_cast<std::uint32_t>(actual), std::bit_cast<std::uint32_t>(c.expected))
          << table.name << ", " << c.what << ": " << actual;
    }
}

// Bias and residual are added outside of the flushing, whose end leaves the thread as it was.
TEST(LinearKernels, PairsOfBf16LeaveDenormalsElsewhereAlone) {
  for (const Table& table : tested_tables()) {
    const float denormal = 1e-40f;
    EXPECT_EQ(bf16_dots(*table.kernels, {{{0, 0}, {0, 0}}}, &denormal), denormal) << table.name;
    volatile float half = 0.5f;
    EXPECT_GT(half * std::numeric_limits<float>::min(), 0.0f) << table.name;
  }
}

// Sums that stay near the least normal number, between flushed and not.
TEST(LinearKernels, PairsOfBf16NearTheLeastNormalNumberGiveTheBitsOfTheReference) {
  Random random(34);
  const auto near_root = [&] {
    const float magnitude =
        std::ldexp(1.0f + std::abs(random.unit()), -static_cast<int>(random.between(61, 72)));
    return f32_to_bf16(random.below(2) == 0 ? magnitude : -magnitude);
  };
  std::size_t zeros = 0, others = 0;
  for (int turn = 0; turn < 3000; ++turn) {
    std::vector<Pair> pairs(random.between(1, 6));
    for (Pair& pair : pairs) pair = {{near_root(), near_root()}, {near_root(), near_root()}};
    const float expected = bf16_dots(kLinearReference, pairs);
    ++(expected == 0 ? zeros : others);
    for (const Table& table : tested_tables()) {
      const float actual = bf16_dots(*table.kernels, pairs);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(expected), std::bit_cast<std::uint32_t>(actual))
          << table.name << ": " << expected << ", " << actual;
    }
  }
  EXPECT_GT(zeros, 300u);
  EXPECT_GT(others, 300u);
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

// Rounded floats: the same of them, and K times what a flush takes. The rounding itself is
// row_kernels_test's.
Exact exact_bfloats(const TestMatrix& matrix, std::size_t o, const TestActivations& x, std::size_t row) {
  const std::vector<float> w = matrix.dequantized_row(o);
  double sum = 0, magnitude = 0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    const double product = static_cast<double>(x.rounded(row, k)) * w[k];
    sum += product;
    magnitude += std::abs(product);
  }
  const auto roundings = static_cast<double>(w.size());
  return {.value = sum, .bound = 1.01 * roundings * (test::kUnitRoundoff * magnitude + 0x1p-126)};
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
    for (std::size_t turn = 0; turn < 10; ++turn) {
      constexpr std::size_t kSizes[] = {1, 33, 64, 576, 1536};
      const Case c{.format = format,
                   .columns = test::whole_blocks(panel_type(format), kSizes[turn / 2]),
                   .rows = 3,
                   .width = 16,
                   .biased = false,
                   .epilogue = Epilogue::kStore,
                   .arithmetic = kOfCodes[turn % 2]};
      const TestMatrix panel(panel_shape(format, c.width, c.columns), Weights::kNormal, random);
      const TestActivations x(c.rows, c.columns, Values::kNormal, random, c.arithmetic);
      const std::vector<float> out = run(panel_kernel(kLinearReference, format), c, panel, x.rows(0, c.rows),
                                         {}, std::vector<float>(c.rows * c.width));
      for (std::size_t row = 0; row < c.rows; ++row)
        for (std::size_t o = 0; o < c.width; ++o) {
          const Exact exact = takes_codes(format)     ? exact_codes(panel, o, x, row)
                              : takes_bfloats(format) ? exact_bfloats(panel, o, x, row)
                                                      : exact_floats(panel, o, x, row);
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
