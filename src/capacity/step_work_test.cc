// The counts against figures worked out by hand from the shapes of two well-known models.
#include "capacity/step_work.h"

#include <gtest/gtest.h>

#include "kernels/kernel_set.h"
#include "model/model.h"
#include "platform/thread_pool.h"
#include "support/fixtures.h"
#include "weights/open.h"

namespace folio::capacity {
namespace {

using kernels::Arithmetic;
using kernels::KvType;
using kernels::TensorType;

struct Shape {
  std::uint32_t layers, hidden, heads, kv_heads, ffn, vocab;
};
constexpr Shape kSmolLM2{.layers = 30, .hidden = 576, .heads = 9, .kv_heads = 3, .ffn = 1536, .vocab = 49152};
constexpr Shape k1B{.layers = 16, .hidden = 2048, .heads = 32, .kv_heads = 8, .ffn = 8192, .vocab = 128256};

model::ModelConfig config_of(const Shape& s) {
  model::ModelConfig config;
  config.layers = s.layers;
  config.hidden = s.hidden;
  config.heads = s.heads;
  config.kv_heads = s.kv_heads;
  config.head_dim = 64;
  config.ffn = s.ffn;
  config.vocab = s.vocab;
  return config;
}

std::vector<MatrixSpec> matrices(const Shape& s, TensorType layers, TensorType output, bool tied) {
  const std::size_t q = s.heads * 64, kv = s.kv_heads * 64;
  std::vector<MatrixSpec> list = {{output, s.vocab, s.hidden, MatrixRole::kEmbedding}};
  if (!tied) list.push_back({output, s.vocab, s.hidden, MatrixRole::kOutput});
  for (std::uint32_t i = 0; i < s.layers; ++i)
    for (const auto& [rows, columns] :
         std::initializer_list<std::pair<std::size_t, std::size_t>>{{q, s.hidden},
                                                                    {kv, s.hidden},
                                                                    {kv, s.hidden},
                                                                    {s.hidden, q},
                                                                    {s.ffn, s.hidden},
                                                                    {s.ffn, s.hidden},
                                                                    {s.hidden, s.ffn}})
      list.push_back({layers, rows, columns, MatrixRole::kLayer});
  return list;
}

ModelWork count(const Shape& s, std::vector<MatrixSpec> list, KvType type, Arithmetic arithmetic) {
  const model::ModelConfig config = config_of(s);
  const auto geometry = kv::KvGeometry::create(model::kv_shape(config, type, 16));
  EXPECT_TRUE(geometry.has_value());
  return count_model(list, config, *geometry, arithmetic);
}

// One token of SmolLM2-135M. Per layer 2 x 576 x 576 (query, output) + 2 x 192 x 576 (key, value) +
// 3 x 1536 x 576 (feed-forward) = 3,538,944 multiply-adds; 30 layers: 106,168,320.
TEST(StepWork, SmolLM2ByHand) {
  const ModelWork work = count(kSmolLM2, matrices(kSmolLM2, TensorType::kQ4_1, TensorType::kQ8_0, true),
                               KvType::kF16, Arithmetic::kInt16);
  EXPECT_EQ(work.attention_operations, 69'120);  // 4 x 30 layers x 9 heads x 64
  EXPECT_EQ(work.kv_token_bytes, 23'040);        // 2 x 30 layers x 3 heads x 64 x 2 bytes
  // Q4_1: 10 bytes for 16 weights; Q8_0: 17. The tied output matrix has 49152 x 576 = 28,311,552 weights.
  EXPECT_EQ(work.weight_bytes(), 106'168'320 / 16 * 10 + 28'311'552 / 16 * 17);
  const WorkTotals prompt = count_steps(
      work, {.rows = 512, .outputs = 1, .visible = visible_positions(0, 512, 0), .cached_tokens = 512}, 1,
      {});
  const double layers = 2.0 * 106'168'320 * 512, output = 2.0 * 28'311'552;
  const double attention = 69'120.0 * (512 * 513 / 2);
  EXPECT_EQ(prompt.nominal_operations, layers + output + attention);
  EXPECT_EQ(prompt.executed_operations, 2 * (layers + output) + attention)
      << "two planes, but not in attention";
  EXPECT_EQ(prompt.kv_bytes, 512.0 * 23'040);
  EXPECT_EQ(prompt.limit_s, 0) << "no limits, no times";
}

// One token of the 1B Llama shape: "1.95 G operations in the layers' matrices", and one decode step reads
// 0.83 GB of weights in Q4_0 with a Q8_0 output matrix plus 32,768 bytes per position in bf16.
TEST(StepWork, Llama1BByHand) {
  const ModelWork work = count(k1B, matrices(k1B, TensorType::kQ4_0, TensorType::kQ8_0, false), KvType::kBF16,
                               Arithmetic::kMixed);
  const double layer = 2 * 2048 * 2048 + 2 * 512 * 2048 + 3 * 8192 * 2048;  // 60,817,408
  EXPECT_EQ(layer * 16, 973'078'528);
  EXPECT_EQ(work.weight_bytes(), 973'078'528 / 16 * 9 + 262'668'288 / 16 * 17);  // 826,441,728
  EXPECT_EQ(work.kv_token_bytes, 32'768);
  const WorkTotals rows =
      count_steps(work, {.rows = 1, .outputs = 0, .visible = 0, .cached_tokens = 0}, 1, {});
  EXPECT_EQ(rows.nominal_operations, 1'946'157'056);
  EXPECT_EQ(rows.executed_operations, rows.nominal_operations) << "one plane";
  const WorkTotals decode =
      count_steps(work, {.rows = 1, .outputs = 1, .visible = 4096, .cached_tokens = 4096}, 10, {});
  EXPECT_EQ(decode.nominal_operations, 10 * (1'946'157'056 + 2.0 * 262'668'288 + 4096.0 * 4 * 16 * 32 * 64));
  EXPECT_EQ(decode.weight_bytes, 8'264'417'280);
  EXPECT_EQ(decode.kv_bytes, 10 * 4096.0 * 32'768);
  EXPECT_EQ(decode.bytes(), decode.weight_bytes + decode.kv_bytes);
}

TEST(StepWork, FloatWeightsAreOperationsOfOnePlaneAndBf16OnesOfBf16UnlessExact) {
  const auto expect_kind = [](TensorType type, Arithmetic arithmetic, OperationKind kind) {
    const ModelWork work = count(k1B, matrices(k1B, type, type, false), KvType::kBF16, arithmetic);
    for (const MatrixWork& matrix : work.layers) {
      EXPECT_EQ(matrix.kind, kind);
      EXPECT_EQ(matrix.planes, 1);
    }
    EXPECT_EQ(work.weight_bytes(), 2.0 * (973'078'528 + 262'668'288));
  };
  for (Arithmetic arithmetic : {Arithmetic::kInt16, Arithmetic::kFloat})
    expect_kind(TensorType::kBF16, arithmetic, OperationKind::kF32);
  expect_kind(TensorType::kBF16, Arithmetic::kMixed, OperationKind::kBF16);
  expect_kind(TensorType::kF16, Arithmetic::kMixed, OperationKind::kF32);
}

TEST(StepWork, VisiblePositions) {
  EXPECT_EQ(visible_positions(0, 1, 0), 1);
  EXPECT_EQ(visible_positions(0, 4, 0), 1 + 2 + 3 + 4);
  EXPECT_EQ(visible_positions(3, 5, 0), 4 + 5);
  EXPECT_EQ(visible_positions(0, 5, 3), 1 + 2 + 3 + 3 + 3);
  EXPECT_EQ(visible_positions(1, 3, 3), 2 + 3);
  EXPECT_EQ(visible_positions(2, 5, 3), 3 + 3 + 3);
  EXPECT_EQ(visible_positions(3, 5, 3), 3 + 3);
  EXPECT_EQ(visible_positions(7, 7, 3), 0);
}

kernels::MachineLimits limits() {
  kernels::MachineLimits limits;
  limits.memory.all_threads = 20e9;
  limits.cache.all_threads = 100e9;
  limits.int8.all_threads = 1000e9;
  limits.f32.all_threads = 100e9;
  return limits;
}

// Two matrices and attention with round figures: each part is limited by what takes it longer.
TEST(StepWork, TheLimitIsTheSumOfTheSlowerOfEachPart) {
  ModelWork work;
  work.layers = {{.multiply_adds = 5e9, .bytes = 2e9, .kind = OperationKind::kInt8, .planes = 2}};
  work.output = {.multiply_adds = 1e9, .bytes = 1e9, .kind = OperationKind::kF32, .planes = 1};
  work.attention_operations = 1e6;
  work.kv_token_bytes = 1e6;
  const kernels::MachineLimits machine = limits();
  const StepLoad one{.rows = 1, .outputs = 1, .visible = 1000, .cached_tokens = 1000};
  // Layers: 2 GB / 20 = 0.1 s against 20 G / 1000 = 0.02 s; output 0.05 against 0.02; attention 0.05 against
  // 0.01.
  const WorkTotals decode = count_steps(work, one, 1, {.limits = &machine, .memory = Memory::kDram});
  EXPECT_NEAR(decode.limit_s, 0.1 + 0.05 + 0.05, 1e-12);
  EXPECT_NEAR(decode.nominal_limit_s, decode.limit_s, 1e-12) << "memory is the limit of every part";
  // From the cache: 0.02 against 0.02; 0.01 against 0.02; 0.01 against 0.01.
  EXPECT_NEAR(count_steps(work, one, 3, {.limits = &machine, .memory = Memory::kCache}).limit_s, 3 * 0.05,
              1e-12);
  // A hundred rows: 2 s of int8 (1 s nominal), and the other parts as before.
  const WorkTotals prompt =
      count_steps(work, {.rows = 100, .outputs = 1, .visible = 1000, .cached_tokens = 1000}, 1,
                  {.limits = &machine, .memory = Memory::kDram});
  EXPECT_NEAR(prompt.limit_s, 2 + 0.1, 1e-12);
  EXPECT_NEAR(prompt.nominal_limit_s, 1 + 0.1, 1e-12);
}

TEST(StepWork, LayersOfCodesAreHeldAgainstTheTilesWhereThereAreSome) {
  ModelWork work;
  work.layers = {{.multiply_adds = 5e9, .bytes = 1, .kind = OperationKind::kInt8, .planes = 1}};
  const StepLoad rows{.rows = 100, .outputs = 0, .visible = 0, .cached_tokens = 0};
  kernels::MachineLimits machine = limits();
  EXPECT_NEAR(count_steps(work, rows, 1, {.limits = &machine, .memory = Memory::kDram}).limit_s, 1, 1e-12);
  machine.int8_tiles = kernels::MeasuredLimit{.one_thread = 0, .all_threads = 8000e9};
  EXPECT_NEAR(count_steps(work, rows, 1, {.limits = &machine, .memory = Memory::kDram}).limit_s, 1.0 / 8,
              1e-12);
}

// Where the machine has no instruction for bf16 dots they are two multiply-adds a pair.
TEST(StepWork, Bf16IsHeldAgainstItsPeakOrThatOfF32) {
  ModelWork work;
  work.layers = {{.multiply_adds = 1e9, .bytes = 2e9, .kind = OperationKind::kBF16, .planes = 1}};
  kernels::MachineLimits machine = limits();
  const auto limit_s = [&] {
    return count_steps(work, {.rows = 100, .outputs = 0, .visible = 0, .cached_tokens = 0}, 1,
                       {.limits = &machine, .memory = Memory::kDram})
        .limit_s;
  };
  EXPECT_NEAR(limit_s(), 2, 1e-12);
  machine.bf16 = kernels::MeasuredLimit{.one_thread = 100e9, .all_threads = 200e9};
  EXPECT_NEAR(limit_s(), 1, 1e-12);
}

TEST(StepWork, StepsWithoutLogitsDoNotReadTheOutputMatrix) {
  ModelWork work;
  work.output = {.multiply_adds = 1, .bytes = 100, .kind = OperationKind::kF32, .planes = 1};
  const auto bytes = [&](double outputs) {
    return count_steps(work, {.rows = 8, .outputs = outputs, .visible = 0, .cached_tokens = 0}, 4, {})
        .weight_bytes;
  };
  EXPECT_EQ(bytes(0), 0);
  EXPECT_EQ(bytes(0.25), 100) << "the last of four steps";
  EXPECT_EQ(bytes(8), 400);
}

TEST(StepWork, AModelThatFitsTheCacheIsHeldAgainstIt) {
  EXPECT_EQ(limiting_memory(1000, 1000), Memory::kCache);
  EXPECT_EQ(limiting_memory(1001, 1000), Memory::kDram);
}

// A real file: tied embedding in one, an output matrix of its own in the other.
TEST(StepWork, MatricesOfAFile) {
  const auto model = weights::open_model(test::fixture("quant-llama/model-Q4_1.gguf"));
  ASSERT_TRUE(model.has_value());
  const auto list = matrices_of(std::get<weights::GgufModel>(*model).tensors);
  EXPECT_EQ(std::ranges::count(list, MatrixRole::kEmbedding, &MatrixSpec::role), 1);
  EXPECT_EQ(std::ranges::count(list, MatrixRole::kLayer, &MatrixSpec::role), 7);
}

// The bytes counted from a file's headers are those that the loaded model says a step reads.
TEST(StepWork, CountsTheBytesThatTheModelHolds) {
  for (const char* name : {"quant-llama/model-Q4_1.gguf", "quant-llama/model-Q8_0.gguf",
                           "quant-llama/model-Q4_K.gguf", "stories260k/stories260k.gguf"})
    for (Arithmetic arithmetic : {Arithmetic::kInt16, Arithmetic::kFloat}) {
      const std::string path = test::fixture(name);
      const auto files = weights::open_model(path);
      ASSERT_TRUE(files.has_value());
      const auto config = std::visit([](const auto& model) { return model::read_config(model); }, *files);
      ASSERT_TRUE(config.has_value());
      const auto list = std::visit([](const auto& model) { return matrices_of(model.tensors); }, *files);
      platform::ThreadPool pool(1);
      const auto loaded = model::load_model(*files, *config,
                                            {.kernels = &kernels::kernel_set(kernels::Isa::kReference),
                                             .load = {.arithmetic = arithmetic},
                                             .max_tokens = 64},
                                            pool);
      ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
      const auto geometry = kv::KvGeometry::create(model::kv_shape(*config, KvType::kF16, 16));
      ASSERT_TRUE(geometry.has_value());
      EXPECT_EQ(count_model(list, *config, *geometry, arithmetic).weight_bytes(),
                static_cast<double>((*loaded)->step_weight_bytes()))
          << name;
    }
}

}  // namespace
}  // namespace folio::capacity
