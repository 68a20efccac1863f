// Attention over a batch: what a query gets is a function of the query and the positions it sees, and nothing
// else.
#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/quant/half.h"
#include "support/attention_cache.h"

namespace folio::kernels {
namespace {

using test::AttentionCache;
using test::AttentionRunner;
using test::AttentionShape;
using test::Chunk;
using test::difference;
using test::kAllKvTypes;
using test::Random;
using test::SequenceData;

constexpr std::uint32_t kWindows[] = {kFullWindow, 1, 5, 24, 64, 100};
constexpr std::uint32_t kAll = 1'000'000;

// Position by position, one thread, each stored just before it is asked for: all that comes later is still
// NaN.
std::vector<float> decoded(Isa isa, const AttentionShape& shape, const std::vector<SequenceData>& data,
                           std::uint32_t window) {
  AttentionRunner runner(isa, 1, shape, data[0].length);
  AttentionCache cache(shape, data, 1);
  std::vector<float> out;
  for (std::uint32_t p = 0; p < data[0].length; ++p) {
    const Chunk one{.sequence = 0, .first = p, .rows = 1};
    runner.store(cache, one);
    const std::vector<float> row = runner.attend(cache, window, {one});
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

struct Way {
  std::uint32_t chunk;
  int threads;
  std::size_t block_tokens;
  std::uint32_t chunked = kAll;  // so many of the last positions go in chunks, those before them at once
};

// The same numbers, fed in chunks, on threads, from blocks of another size in another order.
std::vector<float> prefilled(Isa isa, AttentionShape shape, const std::vector<SequenceData>& data,
                             std::uint32_t window, const Way& way) {
  shape.block_tokens = way.block_tokens;
  AttentionRunner runner(isa, way.threads, shape, data[0].length);
  AttentionCache cache(shape, data, way.chunk + way.block_tokens);
  std::vector<float> out;
  const std::uint32_t length = data[0].length, at_once = length - std::min(length, way.chunked);
  for (std::uint32_t first = 0, end; first < length; first = end) {
    end = first < at_once ? at_once : first + std::min(way.chunk, length - first);
    const Chunk chunk{.sequence = 0, .first = first, .rows = end - first};
    runner.store(cache, chunk);
    const std::vector<float> rows = runner.attend(cache, window, {chunk});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

// Splits are shared out where a step has fewer than 3 tasks per thread and a task several splits: short
// chunks late in a long sequence. Long chunks of many heads are not shared. Both occur for each number of
// threads above one.
constexpr Way kWays[] = {{1, 3, 64, 20}, {7, 2, 16, 70}, {16, 5, 32, 120}, {17, 3, 16},
                         {64, 5, 64},    {100, 2, 32},   {kAll, 1, 64},    {kAll, 3, 16},
                         {kAll, 5, 32},  {1, 5, 32, 4},  {17, 1, 16}};

void expect_the_same_every_way(Isa isa, const AttentionShape& shape, std::uint32_t length,
                               std::uint32_t window, std::uint64_t seed) {
  Random random(seed);
  const std::vector<SequenceData> data{SequenceData(shape, length, random)};
  const std::vector<float> expected = decoded(isa, shape, data, window);
  ASSERT_TRUE(std::ranges::none_of(expected, [](float x) { return std::isnan(x); }));
  const bool slow = test::kSlowBuild || isa == Isa::kReference;
  for (std::size_t i = slow ? seed % 3 : 0; i < std::size(kWays); i += slow ? 3 : 1) {
    const Way& way = kWays[i];
    ASSERT_EQ(difference(expected, prefilled(isa, shape, data, window, way)), "")
        << name(isa) << ", " << name(shape.type) << ", group " << shape.group << ", dims " << shape.key_dim
        << " and " << shape.value_dim << ", length " << length << ", window " << window << ", chunks of "
        << way.chunk << ", " << way.threads << " threads, blocks of " << way.block_tokens;
  }
}

TEST(Attention, ARowIsTheSameForAnyChunksThreadsAndBlocks) {
  constexpr std::size_t kDims[][2] = {{16, 16}, {64, 64}, {33, 7}, {8, 32}, {80, 48}};
  for (Isa isa : test::tested_isas_on_threads()) {
    std::size_t turn = 0;
    for (KvType type : kAllKvTypes)
      for (std::size_t group : {1, 2, 3, 4, 5, 8})
        for (int i = 0; i < (test::kSlowBuild || isa == Isa::kReference ? 1 : 2); ++i, ++turn) {
          const std::size_t* dims = kDims[turn % std::size(kDims)];
          const std::size_t kv_heads = group >= 4 ? 1 : 1 + turn % 2;
          const AttentionShape shape{
              .type = type, .group = group, .kv_heads = kv_heads, .key_dim = dims[0], .value_dim = dims[1]};
          // 131 is two steps and a bit; 300 two splits, so that they are shared out.
          const std::uint32_t length = turn % 2 == 0 ? 131 : test::kSlowBuild ? 265 : 300;
          expect_the_same_every_way(isa, shape, length, kWindows[turn % std::size(kWindows)], turn);
          if (HasFatalFailure()) return;
        }
  }
}

TEST(Attention, ARowOfALongSequenceIsTheSameForAnyChunksThreadsAndBlocks) {
  for (Isa isa : test::tested_isas_on_threads())
    for (KvType type : kAllKvTypes) {
      const AttentionShape shape{.type = type, .group = 3, .kv_heads = 1, .key_dim = 32, .value_dim = 16};
      const bool slow = test::kSlowBuild || isa == Isa::kReference;
      const std::uint64_t seed = 77 + static_cast<std::uint64_t>(type);
      expect_the_same_every_way(isa, shape, slow ? 530 : 1100, kFullWindow, seed);
      if (HasFatalFailure()) return;
      expect_the_same_every_way(isa, shape, slow ? 270 : 700, 300, seed + 1);  // a window across splits
      if (HasFatalFailure()) return;
    }
}

// A batch as the engine makes it: decoding rows, chunks and whole prompts of several sequences at once.
TEST(Attention, ARowIsTheSameAmongOtherSequencesOnAnyThreads) {
  const std::vector<Chunk> batches[] = {
      {{0, 299, 1}, {1, 69, 1}, {2, 0, 1}, {3, 600, 1}},   // decoding only, splits shared out
      {{3, 590, 11}, {1, 0, 70}, {2, 0, 1}, {0, 17, 64}},  // mixed
      {{0, 0, 300}, {3, 0, 601}, {1, 33, 7}, {2, 0, 1}},   // more tasks than three per thread
      {{2, 0, 1}},
      {{3, 511, 3}, {0, 255, 2}},
  };
  for (Isa isa : test::tested_isas_on_threads())
    for (KvType type : kAllKvTypes) {
      if ((isa == Isa::kReference || test::kSlowBuild) && type == KvType::kF16) continue;
      const AttentionShape shape{
          .type = type, .group = 2, .kv_heads = 2, .key_dim = 24, .value_dim = 16, .block_tokens = 32};
      Random random(61);
      std::vector<SequenceData> data;
      for (std::size_t length : {300, 70, 1, 601}) data.emplace_back(shape, length, random);
      for (std::uint32_t window : {kFullWindow, 100u}) {
        std::vector<std::vector<float>> expected;
        for (const SequenceData& sequence : data)
          expected.push_back(
              prefilled(isa, shape, {sequence}, window, {.chunk = kAll, .threads = 1, .block_tokens = 16}));
        for (int threads : {1, 2, 3, 5}) {
          AttentionRunner runner(isa, threads, shape, 601);  // one plan for all batches, as in the engine
          AttentionCache cache(shape, data, 5);
          for (std::size_t i = 0; i < data.size(); ++i)
            runner.store(cache, {.sequence = i, .first = 0, .rows = data[i].length});
          for (const std::vector<Chunk>& batch : batches) {
            std::vector<float> wanted;
            for (const Chunk& chunk : batch) {
              const std::size_t width = shape.heads() * shape.value_dim;
              const auto from =
                  expected[chunk.sequence].begin() + static_cast<std::ptrdiff_t>(chunk.first * width);
              wanted.insert(wanted.end(), from, from + static_cast<std::ptrdiff_t>(chunk.rows * width));
            }
            ASSERT_EQ(difference(wanted, runner.attend(cache, window, batch)), "")
                << name(isa) << ", " << name(type) << ", window " << window << ", " << threads
                << " threads, batch " << &batch - batches;
          }
        }
      }
    }
}

// NaN in every position that a window hides, from the one just outside it in the same tile on.
TEST(Attention, PositionsOutsideTheWindowDoNotCountOnAnyThreads) {
  for (Isa isa : test::tested_isas_on_threads())
    for (KvType type : kAllKvTypes) {
      const AttentionShape shape{.type = type, .group = 3, .kv_heads = 1, .key_dim = 33, .value_dim = 17};
      Random random(62);
      const std::vector<SequenceData> data{SequenceData(shape, 400, random)};
      for (std::uint32_t window : {1u, 5u, 24u, 64u, 100u, 300u})
        for (int threads : {1, 3}) {
          AttentionRunner runner(isa, threads, shape, 400);
          AttentionCache clean(shape, data, 7), poisoned(shape, data, 7);
          for (AttentionCache* cache : {&clean, &poisoned})
            runner.store(*cache, {.sequence = 0, .first = 0, .rows = 400});
          for (std::uint32_t p :
               {window, window + 7, 310u, 399u}) {  // ascending: what is hidden once stays hidden
            const std::uint32_t rows = p == 310 ? 9 : 1;
            if (p >= window) poisoned.poison(runner.kernels(), runner.pool(), 0, 0, p + 1 - window);
            const Chunk chunk{.sequence = 0, .first = p, .rows = rows};
            ASSERT_EQ(
                difference(runner.attend(clean, window, {chunk}), runner.attend(poisoned, window, {chunk})),
                "")
                << name(isa) << ", " << name(type) << ", window " << window << ", position " << p << ", "
                << threads << " threads";
          }
        }
    }
}

// All instruction sets, through the plan: also the sums of several splits.
TEST(Attention, EveryInstructionSetGivesTheBitsOfTheReference) {
  for (KvType type : kAllKvTypes)
    for (std::size_t group : {1, 3, 8}) {
      const AttentionShape shape{
          .type = type, .group = group, .kv_heads = group == 1 ? 2u : 1u, .key_dim = 40, .value_dim = 24};
      Random random(63);
      const std::vector<SequenceData> data{SequenceData(shape, group == 8 ? 150 : 300, random, 3.0f)};
      const Way way{.chunk = 150, .threads = 2, .block_tokens = 16};
      for (std::uint32_t window : {kFullWindow, 90u}) {
        const std::vector<float> expected = prefilled(Isa::kReference, shape, data, window, way);
        for (Isa isa : test::tested_isas_on_threads())
          ASSERT_EQ(difference(expected, prefilled(isa, shape, data, window, way)), "")
              << name(isa) << ", " << name(type);
      }
    }
}

double stored(KvType type, float x) {
  switch (type) {
    case KvType::kF32:
      return x;
    case KvType::kF16:
      return f16_to_f32(f32_to_f16(x));
    case KvType::kBF16:
      return bf16_to_f32(f32_to_bf16(x));
  }
  return 0;
}

struct Exact {
  std::vector<double> out, bound;  // [value_dim]
};

// One query's softmax attention in double precision over the stored K and V, and what the kernels' roundings
// may make of it, first-order in u = 2^-24, with 1 % on top. L positions, D key dimensions:
//   scores    D fused additions: |ds| <= D u sum |q k|, S for the largest of them
//   weights   softmax does not change with the maximum taken off, so an error of the maximum itself is none.
//   What counts
//             is each weight's own exponential and the rescalings after it: the arguments' roundings, u |s -
//             m| and u |m - m'|, which together are at most u R for the range R of the scores, twice where a
//             split's sum is rescaled again by merge(): 2 u R; and 4 u + u for each of the exponentials and
//             products it goes through, T = L / 64 + 1 steps and L / 256 + 1 merges of two exponentials: 5 u
//             (1 + T + 2 M)
//   sums      L fused additions and as many rescalings as above
// Numerator and denominator each have the weights' and the sums' errors, relative to sum p |v| and to 1; the
// reciprocal and the product add 2 u. Exponentials below the least normal float are zero: L 2^-126 of max
// |v|.
Exact exact_attention(const AttentionShape& shape, const SequenceData& data, std::uint32_t position,
                      std::size_t head, std::uint32_t window) {
  const std::uint32_t end = position + 1, first = end > window ? end - window : 0;
  const std::size_t kv_head = head / shape.group;
  const float* query = data.queries.data() + (position * shape.heads() + head) * shape.key_dim;
  std::vector<double> scores;
  double score_error = 0;
  for (std::uint32_t p = first; p < end; ++p) {
    double sum = 0, magnitude = 0;
    for (std::size_t d = 0; d < shape.key_dim; ++d) {
      const double product =
          query[d] * stored(shape.type, data.keys[(p * shape.kv_heads + kv_head) * shape.key_dim + d]);
      sum += product;
      magnitude += std::abs(product);
    }
    scores.push_back(sum);
    score_error = std::max(score_error, static_cast<double>(shape.key_dim) * test::kUnitRoundoff * magnitude);
  }
  const auto [least, most] = std::ranges::minmax(scores);
  double weight = 0;
  for (double s : scores) weight += std::exp(s - most);
  const double length = static_cast<double>(scores.size()), steps = length / 64 + 2,
               merges = length / 256 + 2;
  const double passes = 1 + steps + 2 * merges;
  const double relative =
      2 * (score_error + test::kUnitRoundoff * (2 * (most - least) + 5 * passes + length + passes)) +
      2 * test::kUnitRoundoff;
  Exact exact;
  for (std::size_t d = 0; d < shape.value_dim; ++d) {
    double sum = 0, magnitude = 0, largest = 0;
    for (std::uint32_t p = first; p < end; ++p) {
      const double v = stored(shape.type, data.values[(p * shape.kv_heads + kv_head) * shape.value_dim + d]);
      sum += std::exp(scores[p - first] - most) / weight * v;
      magnitude += std::exp(scores[p - first] - most) / weight * std::abs(v);
      largest = std::max(largest, std::abs(v));
    }
    exact.out.push_back(sum);
    exact.bound.push_back(1.01 * relative * magnitude + length * 0x1p-126 * largest);
  }
  return exact;
}

TEST(Attention, IsTheSoftmaxOfTheStoredNumbersWithinItsRoundings) {
  double worst = 0;
  std::size_t turn = 0;
  for (KvType type : kAllKvTypes)
    for (std::size_t group : {1, 2, 3})
      for (float key_scale : {0.02f, 0.3f, 4.0f}) {
        const AttentionShape shape{
            .type = type, .group = group, .kv_heads = 2, .key_dim = 64, .value_dim = 20};
        Random random(70 + turn);
        const std::vector<SequenceData> data{SequenceData(shape, 280, random, key_scale)};
        const std::uint32_t window = kWindows[turn++ % std::size(kWindows)];
        const std::vector<float> out =
            prefilled(Isa::kReference, shape, data, window, {.chunk = 70, .threads = 2, .block_tokens = 32});
        for (std::uint32_t p : {0u, 1u, 15u, 16u, 63u, 64u, 100u, 255u, 256u, 257u, 279u})
          for (std::size_t head = 0; head < shape.heads(); ++head) {
            const Exact exact = exact_attention(shape, data[0], p, head, window);
            for (std::size_t d = 0; d < shape.value_dim; ++d) {
              const double error =
                  std::abs(out[(p * shape.heads() + head) * shape.value_dim + d] - exact.out[d]);
              ASSERT_LE(error, exact.bound[d]) << name(type) << ", window " << window << ", position " << p
                                               << ", head " << head << " [" << d << "]";
              worst = std::max(worst, error / exact.bound[d]);
            }
          }
      }
  std::printf("attention: worst error is %.4f of its bound\n", worst);
}

// Rows to scattered slots, on threads, with strides longer than the rows: each lands where the geometry says.
TEST(Attention, StoringOnThreadsWritesTheSlotsAndNothingElse) {
  for (Isa isa : test::tested_isas_on_threads())
    for (KvType type : kAllKvTypes)
      for (int threads : {1, 3}) {
        const AttentionShape shape{
            .type = type, .group = 1, .kv_heads = 3, .key_dim = 10, .value_dim = 20, .block_tokens = 32};
        Random random(64);
        const std::vector<SequenceData> data{SequenceData(shape, 100, random)};
        AttentionRunner runner(isa, threads, shape, 100);
        AttentionCache cache(shape, data, 9);
        std::vector<std::byte> expected = cache.memory();
        const KvLayerView& kv = cache.view();
        const AttentionTypeKernels& reference = type_kernels(kAttentionReference, type);
        for (std::uint32_t p = 13; p < 90; ++p) {
          const std::size_t block = raw(cache.blocks(0)[p / 32]), tile = p % 32 / 16;
          auto* at = reinterpret_cast<std::uint8_t*>(expected.data()) + block * kv.block_bytes;
          for (std::size_t head = 0; head < 3; ++head) {
            reference.store_key(data[0].keys.data() + (p * 3 + head) * 10, 10,
                                at + kv.key_offset + head * kv.key_head_bytes + tile * kv.key_tile_bytes,
                                p % 16);
            reference.store_value(
                data[0].values.data() + (p * 3 + head) * 20, 20,
                at + kv.value_offset + head * kv.value_head_bytes + tile * kv.value_tile_bytes, p % 16);
          }
        }
        runner.store(cache, {.sequence = 0, .first = 13, .rows = 77});
        ASSERT_TRUE(cache.memory() == expected)
            << name(isa) << ", " << name(type) << ", " << threads << " threads";
      }
}

// What heads stay together for is counted in splits that somebody looks at.
TEST(AttentionPlan, SplitsOutsideTheWindowDoNotCount) {
  const auto splits = [](std::uint32_t first, std::size_t rows, std::uint32_t window) {
    return visible_splits({.blocks = nullptr, .first_row = 0, .rows = rows, .first_position = first}, window);
  };
  EXPECT_EQ(splits(0, 1, kFullWindow), 1u);
  EXPECT_EQ(splits(8191, 1, kFullWindow), 32u);
  EXPECT_EQ(splits(8191, 1, 256), 1u);  // all of the last split
  EXPECT_EQ(splits(8191, 1, 257), 2u);
  EXPECT_EQ(splits(8000, 192, 256), 2u);  // the first row looks back into the split before
}

TEST(AttentionPlan, TooMuchScratchIsAnErrorThatNamesTheUse) {
  const Result<AttentionPlan> plan = AttentionPlan::create(1024, std::size_t{1} << 36, 1);
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().kind, ErrorKind::kTooLarge);
  EXPECT_NE(plan.error().message.find("attention scratch"), std::string::npos);
}

}  // namespace
}  // namespace folio::kernels
