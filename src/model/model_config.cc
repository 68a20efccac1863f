#include "model/model_config.h"

#include <algorithm>
#include <cmath>

namespace folio::model {
namespace {

struct Range {
  const char* name;
  std::uint32_t value, most;
};

bool in(double value, double low, double high) { return value >= low && value <= high; }  // false for NaN

Status check_rope(const RopeConfig& rope, std::uint32_t head_dim, const std::string& source) {
  if (rope.dims == 0 || rope.dims % 2 != 0 || rope.dims > head_dim)
    return fail(ErrorKind::kInvalid,
                "{}: RoPE rotates {} of {} numbers per head; folio needs an even number, at most all", source,
                rope.dims, head_dim);
  if (!in(rope.base, 1, 1e12))
    return fail(ErrorKind::kInvalid, "{}: the RoPE base is {}, not between 1 and 1e12", source, rope.base);
  if (!in(rope.factor, 1e-3, 1e6))
    return fail(ErrorKind::kInvalid, "{}: the RoPE scaling factor is {}, not between 0.001 and 1e6", source,
                rope.factor);
  const bool needs_original = rope.scaling == RopeScaling::kDynamic || rope.scaling == RopeScaling::kYarn ||
                              rope.scaling == RopeScaling::kLlama3;
  if (needs_original && rope.original_context == 0)
    return fail(ErrorKind::kInvalid,
                "{}: this RoPE scaling needs the original context length, which is missing or 0", source);
  if (rope.scaling == RopeScaling::kDynamic && rope.dims < 4)
    return fail(ErrorKind::kInvalid, "{}: dynamic RoPE scaling needs at least 4 rotated numbers per head",
                source);
  if (rope.scaling == RopeScaling::kLlama3 &&
      !(in(rope.low_freq_factor, 1e-6, 1e6) && in(rope.high_freq_factor, 1e-6, 1e6) &&
        rope.high_freq_factor > rope.low_freq_factor))
    return fail(ErrorKind::kInvalid,
                "{}: llama3 RoPE scaling needs 0 < low_freq_factor ({}) < high_freq_factor ({})", source,
                rope.low_freq_factor, rope.high_freq_factor);
  if (rope.scaling == RopeScaling::kYarn &&
      !(in(rope.beta_fast, 1e-6, 1e6) && in(rope.beta_slow, 1e-6, 1e6) && in(rope.attention_factor, 0, 1e3)))
    return fail(ErrorKind::kInvalid,
                "{}: YaRN needs positive beta_fast ({}) and beta_slow ({}) and an attention factor ({})",
                source, rope.beta_fast, rope.beta_slow, rope.attention_factor);
  return {};
}

}  // namespace

std::uint32_t scaled_context(std::uint32_t tokens, double factor) {
  const double most = std::max<double>(kMaxContext, tokens);
  return static_cast<std::uint32_t>(std::min(most, tokens * std::max(1.0, factor)));
}

Status check_config(const ModelConfig& c, const std::string& source) {
  const Range ranges[] = {
      {"number of layers", c.layers, kMaxLayers},
      {"hidden size", c.hidden, kMaxHidden},
      {"number of attention heads", c.heads, kMaxHeads},
      {"number of KV heads", c.kv_heads, kMaxHeads},
      {"head size", c.head_dim, kMaxHeadDim},
      {"feed-forward size", c.ffn, kMaxFfn},
      {"vocabulary size", c.vocab, kMaxVocab},
      {"context length", c.context, kMaxContext},
  };
  for (const Range& range : ranges)
    if (range.value == 0 || range.value > range.most)
      return fail(ErrorKind::kInvalid, "{}: the {} is {}, not between 1 and {}", source, range.name,
                  range.value, range.most);
  if (c.heads % c.kv_heads != 0)
    return fail(ErrorKind::kInvalid, "{}: {} attention heads are no multiple of {} KV heads", source, c.heads,
                c.kv_heads);
  if (!in(c.rms_epsilon, 0, 1))
    return fail(ErrorKind::kInvalid, "{}: the RMS norm's epsilon is {}, not between 0 and 1", source,
                c.rms_epsilon);
  return check_rope(c.rope, c.head_dim, source);
}

Status check_arithmetic(std::span<const ArithmeticField> fields,
                        const std::function<std::optional<double>(std::string_view name)>& value_of,
                        const std::string& source) {
  for (const ArithmeticField& field : fields) {
    const std::optional<double> value = value_of(field.name);
    if (!value || std::abs(*value - field.neutral) <= 1e-6 * std::max(1.0, std::abs(field.neutral))) continue;
    return fail(ErrorKind::kUnsupported,
                "{}: '{}' is {}, which changes what the model computes, and folio does not do it ({} would "
                "change nothing); use a model without it",
                source, field.name, *value, field.neutral);
  }
  return {};
}

}  // namespace folio::model
