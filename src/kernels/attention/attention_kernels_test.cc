// Attention kernels: each instruction set against reference.cc bit for bit, on memory that is NaN wherever a
// kernel has no business.
#include "kernels/attention/attention_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "kernels/quant/half.h"
#include "support/attention_cache.h"

namespace folio::kernels {
namespace {

using test::AttentionCache;
using test::AttentionShape;
using test::difference;
using test::Guarded;
using test::kAllKvTypes;
using test::Random;
using test::SequenceData;
using test::Values;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Up to kQueryTile states with their sums, which are NaN at first.
struct States {
  States(std::size_t count, std::size_t value_dim) : dim(value_dim) {
    for (std::size_t i = 0; i < count; ++i)
      values.emplace_back(std::vector<float>(padded_value_dim(dim), std::nanf("")));
    for (Guarded<float>& v : values)
      of.push_back({.values = v.data(), .maximum = std::nanf(""), .weight = std::nanf("")});
  }
  // Maximum, weight and the sums; not the padding, which is whatever the memory of V held.
  std::vector<float> numbers() const {
    std::vector<float> all;
    for (std::size_t i = 0; i < of.size(); ++i) {
      EXPECT_TRUE(values[i].intact());
      all.insert(all.end(), {of[i].maximum, of[i].weight});
      all.insert(all.end(), of[i].values, of[i].values + dim);
    }
    return all;
  }
  std::size_t dim;
  std::vector<Guarded<float>> values;
  std::vector<AttentionState> of;
};

struct Range {
  std::uint32_t first, end;
};

// What the queries of a tile see: as consecutive tokens do, the same range as the heads of one token do, or
// anything.
std::vector<Range> random_ranges(std::size_t queries, std::uint32_t length, Random& random) {
  const auto any = [&] {
    const std::size_t first = random.below(length);
    return Range{static_cast<std::uint32_t>(first),
                 static_cast<std::uint32_t>(random.between(first + 1, length))};
  };
  const std::size_t kind = random.below(3);
  std::vector<Range> ranges(queries, any());
  for (std::size_t i = 1; i < queries; ++i) {
    if (kind == 1) ranges[i] = any();
    if (kind == 2 && ranges[i - 1].end < length)
      ranges[i] = {ranges[i - 1].first + static_cast<std::uint32_t>(random.below(2)), ranges[i - 1].end + 1};
  }
  return ranges;
}

class AttendCase {
 public:
  AttendCase(const AttentionShape& shape, std::uint32_t length, float key_scale, std::uint64_t seed)
      : shape_(shape),
        random_(seed),
        data_{SequenceData(shape, length, random_, key_scale)},
        cache_(shape, data_, seed),
        pool_(1) {
    // Half of the positions have no value, so that what others with next to no weight add is seen.
    for (std::size_t i = 0; i < data_[0].values.size(); ++i)
      if (i / shape.value_dim * 7 % 16 < 8) data_[0].values[i] = 0;
    cache_.store(kAttentionReference, pool_, 0, 0, length);
  }

  // A few queries over every split of the sequence.
  void compare() {
    const std::size_t queries = random_.between(1, kQueryTile);
    const std::vector<Range> ranges = random_ranges(queries, data_[0].length, random_);
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < queries; ++i) rows.push_back(random_.below(data_[0].length));
    for (std::uint32_t split = 0; split * kSplitTokens < data_[0].length; ++split) {
      const std::vector<float> expected = attend(kAttentionReference, rows, ranges, split, kSplitSteps);
      ASSERT_EQ(difference(expected, attend(kAttentionReference, rows, ranges, split, 1)), "");
      const std::uint32_t at_once = random_.below(2) == 0 ? kSplitSteps : 1;
      for (Isa isa : test::tested_isas())
        ASSERT_EQ(difference(expected, attend(kernel_set(isa).attention, rows, ranges, split, at_once)), "")
            << name(isa) << ", " << name(shape_.type) << ", dims " << shape_.key_dim << " and "
            << shape_.value_dim << ", " << queries << " queries, the first sees [" << ranges[0].first << ", "
            << ranges[0].end << ") of " << data_[0].length << ", split " << split;
    }
  }

 private:
  // A split, `at_once` of its steps a call.
  std::vector<float> attend(const AttentionKernels& kernels, const std::vector<std::size_t>& rows,
                            const std::vector<Range>& ranges, std::uint32_t split,
                            std::uint32_t at_once) const {
    const KvLayerView& view = cache_.view();
    AttendArgs args{.kv = head_view(view, 0, cache_.blocks(0)),
                    .queries = rows.size(),
                    .query = {},
                    .first = {},
                    .end = {},
                    .step = split * kSplitSteps,
                    .steps = at_once,
                    .next_keys = head_view(view, 1, cache_.blocks(0)).keys,  // of a head that is not there
                    .next_values = head_view(view, 1, cache_.blocks(0)).values,
                    .next_step = 0};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      args.query[i] = data_[0].queries.data() + rows[i] * shape_.key_dim;
      args.first[i] = ranges[i].first;
      args.end[i] = ranges[i].end;
    }
    States states(rows.size(), shape_.value_dim);
    for (; args.step < (split + 1) * kSplitSteps; args.step += at_once) {
      args.next_step = args.step + at_once;
      type_kernels(kernels, shape_.type).attend(args, states.of.data());
    }
    return states.numbers();
  }

  AttentionShape shape_;
  Random random_;
  std::vector<SequenceData> data_;
  AttentionCache cache_;
  platform::ThreadPool pool_;
};

TEST(AttentionKernels, EveryTypeGivesTheBitsOfTheReferenceForEveryDimAndRange) {
  constexpr std::size_t kDims[] = {1, 7, 8, 16, 17, 32, 33, 64, 80, 96, 127, 128};
  std::uint64_t seed = 51;
  for (KvType type : kAllKvTypes)
    for (std::size_t key_dim : kDims)
      for (std::size_t value_dim : {key_dim, kDims[seed % std::size(kDims)]})
        // Scales of the keys: no score counts much, as in a model, and one score takes all.
        for (float key_scale : {0.01f, 1.0f, 30.0f}) {
          ++seed;
          const AttentionShape shape{.type = type,
                                     .group = 1,
                                     .kv_heads = 1,
                                     .key_dim = key_dim,
                                     .value_dim = value_dim,
                                     .block_tokens = std::size_t{16} << seed % 3};
          const std::size_t length = seed % 2 == 0 ? 1 + seed % 150 : 1 + seed * 37 % 530;
          AttendCase attention(shape, static_cast<std::uint32_t>(length), key_scale, seed);
          for (int i = 0; i < (test::kSlowBuild ? 4 : 12); ++i) {
            attention.compare();
            if (HasFatalFailure()) return;
          }
        }
}

// Every length of a context and of a window around steps and tiles, one query.
TEST(AttentionKernels, EveryEndOfARangeGivesTheBitsOfTheReference) {
  for (KvType type : kAllKvTypes)
    for (std::uint32_t length = 1; length <= 131; length += test::kSlowBuild ? 5 : 1) {
      AttendCase attention({.type = type, .group = 1, .kv_heads = 1, .key_dim = 16, .value_dim = 32}, length,
                           1.0f, length);
      for (int i = 0; i < 6; ++i) {
        attention.compare();
        if (HasFatalFailure()) return;
      }
    }
}

AttentionState copy_into(Guarded<float>& values, const AttentionState& state, std::size_t padded) {
  std::copy_n(state.values, padded, values.data());
  return {.values = values.data(), .maximum = state.maximum, .weight = state.weight};
}

TEST(AttentionKernels, MergingGivesTheBitsOfTheReference) {
  Random random(52);
  constexpr float kMaxima[] = {-kInfinity, -1e30f, -100, -3, 0, 1e-3f, 2.5f, 60, 1e30f};
  for (Isa isa : test::tested_isas())
    for (std::size_t padded : {16, 32, 48, 128})
      for (float first : kMaxima)
        for (float second : kMaxima) {
          std::vector<float> a = test::floats(Values::kNormal, padded, random);
          std::vector<float> b = test::floats(Values::kSpread, padded, random);
          const AttentionState total{
              .values = a.data(), .maximum = first, .weight = first == -kInfinity ? 0.0f : 3.7f};
          const AttentionState next{
              .values = b.data(), .maximum = second, .weight = second == -kInfinity ? 0.0f : 1.3f};
          Guarded<float> expected_values(padded), actual_values(padded);
          AttentionState expected = copy_into(expected_values, total, padded);
          AttentionState actual = copy_into(actual_values, total, padded);
          kAttentionReference.merge(&expected, &next, padded);
          kernel_set(isa).attention.merge(&actual, &next, padded);
          ASSERT_EQ(difference(expected_values.span(), actual_values.span()), "")
              << name(isa) << first << second;
          ASSERT_EQ(
              difference(std::vector{expected.maximum, expected.weight}, {actual.maximum, actual.weight}),
              "");
          ASSERT_TRUE(actual_values.intact());
          if (second == -kInfinity) {
            ASSERT_EQ(difference(std::span<const float>(a), actual_values.span()), "")
                << "empty adds nothing";
          } else if (first == -kInfinity) {
            ASSERT_EQ(difference(std::span<const float>(b), actual_values.span()), "")
                << "into an empty one copies";
            ASSERT_EQ(actual.weight, next.weight);
          }
        }
}

TEST(AttentionKernels, FinishingGivesTheBitsOfTheReferenceAndWritesDimFloats) {
  Random random(53);
  for (Isa isa : test::tested_isas())
    for (std::size_t dim = 1; dim <= 130; ++dim) {
      std::vector<float> values = test::floats(Values::kSpread, padded_value_dim(dim), random);
      const AttentionState state{
          .values = values.data(), .maximum = 1, .weight = 1 + 100 * std::abs(random.unit())};
      Guarded<float> expected(dim), actual(dim);
      kAttentionReference.finish(&state, expected.data(), dim);
      kernel_set(isa).attention.finish(&state, actual.data(), dim);
      ASSERT_EQ(difference(expected.span(), actual.span()), "") << name(isa) << ", " << dim;
      ASSERT_TRUE(actual.intact());
    }
}

// Where kv_type.h says that element (t, d) lies, counted in elements.
std::size_t key_place(KvType type, std::size_t t, std::size_t d) {
  return type == KvType::kBF16 ? d / 2 * 32 + t * 2 + d % 2 : d * 16 + t;
}
std::size_t value_place(KvType type, std::size_t t, std::size_t d, std::size_t dim) {
  const std::size_t padded = padded_value_dim(dim);
  return type == KvType::kBF16 ? t / 2 * padded * 2 + d * 2 + t % 2 : t * padded + d;
}

// The element as it must be stored: rounded to nearest even by half.h.
void put(KvType type, std::vector<std::uint8_t>& tile, std::size_t place, float x) {
  if (type == KvType::kF32) {
    std::memcpy(tile.data() + place * 4, &x, 4);
    return;
  }
  const std::uint16_t half = type == KvType::kF16 ? f32_to_f16(x) : f32_to_bf16(x);
  std::memcpy(tile.data() + place * 2, &half, 2);
}

// Numbers around every kind of rounding: ties, overflow to infinity, denormal halves; NaN and infinity too.
float storable(Random& random) {
  switch (random.below(8)) {
    case 0:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()));  // any bits at all
    case 1:
      return random.unit() * 1e-7f;
    case 2:
      return random.unit() * 7e4f;
    case 3:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()) & 0xfffff000u);  // ties of f16
    case 4:
      return std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()) & 0xffff8000u);  // ties of bf16
    case 5:
      return random.below(2) == 0 ? -kInfinity : -0.0f;
    default:
      return random.normal();
  }
}

TEST(AttentionKernels, StoringRoundsAsHalfDoesAndTouchesNothingElse) {
  Random random(54);
  for (Isa isa : test::tested_isas())
    for (KvType type : kAllKvTypes)
      for (std::size_t dim : {1, 2, 7, 8, 15, 16, 17, 32, 33, 64, 80, 127, 128})
        for (std::size_t t = 0; t < kTileTokens; ++t) {
          std::vector<float> row(dim);
          for (float& x : row) x = storable(random);
          std::vector<std::uint8_t> keys(key_tile_bytes(type, dim), 0xa5),
              values(value_tile_bytes(type, dim), 0xa5);
          std::vector<std::uint8_t> expected_keys = keys, expected_values = values;
          for (std::size_t d = 0; d < dim; ++d) {
            put(type, expected_keys, key_place(type, t, d), row[d]);
            put(type, expected_values, value_place(type, t, d, dim), row[d]);
          }
          const AttentionTypeKernels& kernels = type_kernels(kernel_set(isa).attention, type);
          kernels.store_key(row.data(), dim, keys.data(), t);
          kernels.store_value(row.data(), dim, values.data(), t);
          ASSERT_TRUE(keys == expected_keys)
              << name(isa) << ", " << name(type) << ", dim " << dim << ", slot " << t;
          ASSERT_TRUE(values == expected_values)
              << name(isa) << ", " << name(type) << ", dim " << dim << ", slot " << t;
        }
}

}  // namespace
}  // namespace folio::kernels
