// linear(): a row's result is a function of that row and the matrix alone.
#include "kernels/linear/linear.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

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

constexpr std::size_t kMostRows = 513;  // more than one block of rows at 512 columns
constexpr std::size_t kColumns = 512;
constexpr std::size_t kGap = 3;  // floats between two rows of an output

// How a linear layer is run, besides its numbers.
struct Machine {
  Machine(Isa isa, int threads, const platform::Topology& topology = platform::placement_topology())
      : kernels(kernel_set(isa)), pool(threads, topology), scratch(threads, kColumns) {}
  const KernelSet& kernels;
  platform::ThreadPool pool;
  RowScratch scratch;
};

struct Layer {
  Layer(TensorType type, Arithmetic arithmetic, std::size_t outputs, Random& random)
      : matrix(
            {.type = type, .format = linear_format(type, arithmetic), .rows = outputs, .columns = kColumns},
            Weights::kNormal, random),
        bias(test::floats(Values::kNormal, outputs, random)) {}
  TestMatrix matrix;
  std::vector<float> bias;
};

// The result with the gaps between its rows, which the layer must leave as they were.
using Output = Guarded<float>;

LinearCall call_for(const Layer& layer, Output& out, Epilogue epilogue) {
  return {.matrix = &layer.matrix.packed(),
          .bias = layer.bias.data(),
          .out = out.data(),
          .out_stride = layer.bias.size() + kGap,
          .epilogue = epilogue};
}

void expect_gaps_untouched(const Layer& layer, const Output& out) {
  const std::size_t width = layer.bias.size(), stride = width + kGap;
  EXPECT_TRUE(out.intact());
  for (std::size_t at = 0; at < out.span().size(); at += stride)
    ASSERT_TRUE(Output::is_canary(out.span().subspan(at + width, kGap))) << "beside row " << at / stride;
}

Output run(Machine& machine, const Layer& layer, const ActivationRows& x) {
  Output out(x.rows * (layer.bias.size() + kGap));
  const LinearCall call = call_for(layer, out, Epilogue::kStore);
  linear(machine.kernels.linear, machine.pool, machine.scratch, x, {&call, 1});
  expect_gaps_untouched(layer, out);
  return out;
}

// Every row on its own, one thread: what all other ways must give.
std::vector<float> rows_alone(Isa isa, const Layer& layer, const TestActivations& x, std::size_t rows) {
  Machine machine(isa, 1);
  std::vector<float> all;
  for (std::size_t row = 0; row < rows; ++row) {
    const Output out = run(machine, layer, x.rows(row, 1));
    all.insert(all.end(), out.span().begin(), out.span().end());
  }
  return all;
}

struct Stored {
  TensorType type;
  Arithmetic arithmetic;
};

// Every layout, codes of every kind, and behind kRows an example of each kind of type that is expanded
// on the way.
std::vector<Stored> all_stored() {
  std::vector<Stored> all;
  for (LinearFormat format : test::kAllFormats) {
    all.push_back({test::stored_type(format), test::arithmetic_of(format)});
    if (!takes_codes(format)) continue;
    all.push_back({test::stored_type(format), Arithmetic::kMixed});
  }
  for (TensorType type : {TensorType::kTQ2_0, TensorType::kIQ2_XS}) all.push_back({type, Arithmetic::kInt16});
  all.push_back({TensorType::kQ4_0, Arithmetic::kFloat});
  return all;
}

TEST(Linear, ARowAloneEqualsTheSameRowAmongAnyOthersOnAnyThreads) {
  for (Isa isa : test::tested_isas_on_threads()) {
    const bool slow = isa == Isa::kReference || test::kSlowBuild;
    const std::size_t outputs = slow ? 37 : 213, most = test::kSlowBuild ? 65 : kMostRows;
    Random random(41);
    const TestActivations int16(most, kColumns, Values::kNormal, random, Arithmetic::kInt16);
    const TestActivations mixed(most, kColumns, Values::kNormal, random, Arithmetic::kMixed);
    std::vector<std::unique_ptr<Machine>> machines;
    for (int threads : {1, 2, 3, 5}) machines.push_back(std::make_unique<Machine>(isa, threads));
    for (const Stored& stored : all_stored()) {
      const TestActivations& x = stored.arithmetic == Arithmetic::kMixed ? mixed : int16;
      const Layer layer(stored.type, stored.arithmetic, outputs, random);
      const std::vector<float> expected = rows_alone(isa, layer, x, most);
      const std::size_t stride = outputs + kGap;
      for (const auto& machine : machines)
        for (std::size_t rows : {1, 2, 3, 15, 16, 17, 64, 129, 513}) {
          if (rows > most || (slow && rows == most && machine->pool.size() > 2)) continue;
          const std::size_t first = random.below(most - rows + 1);
          const Output out = run(*machine, layer, x.rows(first, rows));
          ASSERT_EQ(difference(std::span(expected).subspan(first * stride, rows * stride), out.span()), "")
              << name(isa) << ", " << info(stored.type).name << " as " << name(layer.matrix.shape().format)
              << ", rows " << first << " + " << rows << ", " << machine->pool.size() << " threads";
        }
    }
  }
}

// Two nodes, the second with twice the first's processors; all of them this machine's first, so that the test
// runs anywhere.
platform::Topology two_nodes() {
  return {.nodes = {{.number = 0, .processors = {0}}, {.number = 1, .processors = {0, 0}}}};
}

// Four matrices of unequal height, format and task size in one call; residual stream and bias in some; the
// tasks numbered for one node and for two.
TEST(Linear, SeveralMatricesInOneCallEqualSeparateCallsOnAnyThreads) {
  for (Isa isa : test::tested_isas_on_threads()) {
    Random random(42);
    const Layer layers[] = {{TensorType::kQ4_K, Arithmetic::kInt16, 131, random},
                            {TensorType::kBF16, Arithmetic::kMixed, 7, random},
                            {TensorType::kIQ2_XS, Arithmetic::kInt16, 33, random},
                            {TensorType::kQ8_0, Arithmetic::kInt16, 64, random}};
    const TestActivations x(19, kColumns, Values::kNormal, random);
    for (int threads : {1, 2, 3, 5})
      for (std::size_t count = 1; count <= 4; ++count)
        for (Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd}) {
          Machine machine(isa, threads);
          Machine on_nodes(isa, threads, two_nodes());
          std::vector<Output> together, separate, across;
          std::vector<LinearCall> calls;
          for (std::size_t i = 0; i < count; ++i) {
            const std::size_t width = layers[i].bias.size();
            Output before(19 * (width + kGap));
            for (std::size_t row = 0; row < 19; ++row)
              for (std::size_t o = 0; o < width; ++o)
                before.data()[row * (width + kGap) + o] = random.normal();
            together.push_back(before);
            separate.push_back(before);
            across.push_back(before);
          }
          for (std::size_t i = 0; i < count; ++i) {
            calls.push_back(call_for(layers[i], together[i], epilogue));
            if (i % 2 == 1) calls.back().bias = nullptr;
            LinearCall alone = calls.back();
            alone.out = separate[i].data();
            linear(machine.kernels.linear, machine.pool, machine.scratch, x.rows(0, 19), {&alone, 1});
          }
          linear(machine.kernels.linear, machine.pool, machine.scratch, x.rows(0, 19), calls);
          for (std::size_t i = 0; i < count; ++i) calls[i].out = across[i].data();
          linear(machine.kernels.linear, on_nodes.pool, machine.scratch, x.rows(0, 19), calls);
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(difference(separate[i].span(), across[i].span()), "") << "on two nodes, matrix " << i;
            ASSERT_EQ(difference(separate[i].span(), together[i].span()), "")
                << name(isa) << ", matrix " << i << " of " << count << ", " << threads << " threads";
            expect_gaps_untouched(layers[i], together[i]);
          }
        }
  }
}

// out = x W^T, then + bias, then added to what was there: each with one rounding, so the bits follow from the
// plain sum.
TEST(Linear, BiasAndResidualAreAddedAfterTheSum) {
  for (Isa isa : test::tested_isas_on_threads()) {
    Random random(43);
    Machine machine(isa, 2);
    for (LinearFormat format : test::kAllFormats) {
      const Layer layer(test::stored_type(format), test::arithmetic_of(format), 21, random);
      const TestActivations x(5, kColumns, Values::kNormal, random);
      const std::size_t stride = 21 + kGap;
      const std::vector<float> before = test::floats(Values::kNormal, 5 * stride, random);
      const auto result = [&](bool biased, Epilogue epilogue) {
        Output out(before);
        LinearCall call = call_for(layer, out, epilogue);
        if (!biased) call.bias = nullptr;
        linear(machine.kernels.linear, machine.pool, machine.scratch, x.rows(0, 5), {&call, 1});
        return std::vector<float>(out.span().begin(), out.span().end());
      };
      const std::vector<float> plain = result(false, Epilogue::kStore),
                               biased = result(true, Epilogue::kStore), added = result(false, Epilogue::kAdd),
                               both = result(true, Epilogue::kAdd);
      for (std::size_t i = 0; i < before.size(); ++i) {
        const bool inside = i % stride < 21;
        const float bias = inside ? layer.bias[i % stride] : 0;
        ASSERT_EQ(biased[i], inside ? plain[i] + bias : before[i]) << name(isa) << ", " << name(format);
        ASSERT_EQ(added[i], inside ? before[i] + plain[i] : before[i]) << name(isa) << ", " << name(format);
        ASSERT_EQ(both[i], inside ? before[i] + (plain[i] + bias) : before[i])
            << name(isa) << ", " << name(format);
      }
    }
  }
}

float largest_of_group(const TestActivations& x, std::size_t row, std::size_t k) {
  float amax = 0;
  for (float value : x.floats(row).subspan(k / 32 * 32, 32)) amax = std::max(amax, std::abs(value));
  return amax;
}

// Codes of sixteen bits against floats, for the same stored weights. The two results differ by
//   activations  half a step of amax / 32512 for each x, one and a half where the low plane is clamped, and
//                three roundings on the way to the code: 1.51 steps are counted
//   roundings    floats: K + 5 of sum |x w|, one of them the weight's own; codes: 2 G + 3 of the groups'
//                terms, each at most sum |x| (|w - added| + |added|); the bias: one each of the result
TEST(Linear, CodesGiveTheResultOfFloatsWithinTheirRoundings) {
  Random random(46);
  Machine machine(test::tested_isas().back(), 2);
  const TestActivations x(9, kColumns, Values::kNormal, random, Arithmetic::kInt16);
  for (LinearFormat format : test::kAllFormats) {
    if (!takes_codes(format)) continue;
    const TensorType type = test::stored_type(format);
    const std::size_t columns = test::group_columns(type);
    Random same(47), again(47);
    const Layer codes(type, Arithmetic::kInt16, 33, same), floats(type, Arithmetic::kFloat, 33, again);
    const Output by_codes = run(machine, codes, x.rows(0, 9)), by_floats = run(machine, floats, x.rows(0, 9));
    double worst = 0;
    for (std::size_t row = 0; row < 9; ++row)
      for (std::size_t o = 0; o < 33; ++o) {
        const std::vector<float> w = codes.matrix.dequantized_row(o);
        double steps = 0, terms = 0, products = 0;
        for (std::size_t k = 0; k < kColumns; ++k) {
          const double value = std::abs(x.floats(row)[k]),
                       added = codes.matrix.added_to_group(o, k / columns);
          steps += 1.51 * largest_of_group(x, row, k) / 32512 * std::abs(w[k]);
          terms += value * (std::abs(w[k] - added) + std::abs(added));
          products += value * std::abs(w[k]);
        }
        const std::size_t at = row * (33 + kGap) + o;
        const double result = std::abs(double{by_floats.span()[at]});
        const double roundings = (2 * static_cast<double>(kColumns / columns) + 3) * terms +
                                 (kColumns + 5) * products + 2 * result;
        const double bound = 1.01 * (steps + test::kUnitRoundoff * roundings);
        const double error = std::abs(double{by_codes.span()[at]} - by_floats.span()[at]);
        ASSERT_LE(error, bound) << name(format) << ", row " << row << ", output " << o;
        worst = std::max(worst, error / bound);
      }
    std::printf("%s: worst difference is %.3f of its bound\n", std::string(name(format)).c_str(), worst);
  }
}

TEST(QuantizedRows, FillingOnThreadsEqualsTheRowKernelAndLinearTakesIt) {
  for (Isa isa : test::tested_isas_on_threads())
    for (int threads : {1, 3})
      for (Arithmetic arithmetic : {Arithmetic::kMixed, Arithmetic::kInt16}) {
        Random random(44);
        Machine machine(isa, threads);
        const TestActivations x(33, kColumns, Values::kNormal, random, arithmetic);
        const ActivationRows floats = x.rows(0, 33);
        Result<QuantizedRows> created =
            QuantizedRows::create(40, kColumns + 100, arithmetic);  // room for more than is used
        ASSERT_TRUE(created.has_value());
        QuantizedRows& rows = *created;
        machine.pool.run(33, [&](std::size_t i, int) {
          const float* row = floats.values + i * floats.value_stride;
          rows.fill_row(machine.kernels.rows, row, i, kColumns);
          if (rounds_to_bf16(arithmetic)) rows.round_row(machine.kernels.rows, row, i, kColumns);
        });
        ActivationRows described = floats;
        rows.describe(described);
        for (std::size_t i = 0; i < 33; ++i)
          for (std::size_t k = 0; k < kColumns; ++k) {
            const std::int8_t* codes = described.codes + i * kCodePlanes * described.code_stride + k;
            const int code = codes[0] * 256 + codes[described.code_stride];
            const double scale = described.scales[i * described.group_stride + k / 32];
            ASSERT_EQ(scale * code, x.held(i, k)) << i << ", " << k;
          }
        for (TensorType type : {TensorType::kQ8_0, TensorType::kBF16}) {
          const Layer layer(type, arithmetic, 37, random);
          const Output expected = run(machine, layer, floats), actual = run(machine, layer, described);
          EXPECT_EQ(difference(expected.span(), actual.span()), "")
              << name(isa) << ", " << info(type).name << ", " << threads << " threads";
        }
      }
}

TEST(QuantizedRows, TooMuchIsAnErrorThatNamesTheUse) {
  const Result<QuantizedRows> rows =
      QuantizedRows::create(std::size_t{1} << 28, std::size_t{1} << 20, Arithmetic::kMixed);
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().kind, ErrorKind::kTooLarge);
  EXPECT_NE(rows.error().message.find("activations"), std::string::npos);
}

using LinearDeathTest = testing::Test;

TEST(LinearDeathTest, MoreThanFourMatricesAreABug) {
  Random random(45);
  Machine machine(Isa::kReference, 1);
  const Layer layer(TensorType::kF32, Arithmetic::kInt16, 3, random);
  const TestActivations x(1, kColumns, Values::kNormal, random);
  Output out(3 + kGap);
  const std::vector<LinearCall> calls(5, call_for(layer, out, Epilogue::kStore));
  EXPECT_DEATH(linear(machine.kernels.linear, machine.pool, machine.scratch, x.rows(0, 1), calls),
               "1 to 4 matrices");
}

}  // namespace
}  // namespace folio::kernels
