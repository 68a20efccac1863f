// ModelConfig: what an architecture needs to know besides its weights, from a GGUF file's metadata or a
// Hugging Face config.json, checked and in one spelling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "weights/gguf.h"
#include "weights/hf_model.h"

namespace folio::model {

enum class RopeLayout {
  kAdjacent,
  kHalves
};  // which two numbers of a head form a pair: (2i, 2i+1) or (i, i + dims/2)
enum class RopeScaling { kNone, kLinear, kDynamic, kYarn, kLlama3 };

struct RopeConfig {
  RopeLayout layout = RopeLayout::kHalves;
  RopeScaling scaling = RopeScaling::kNone;
  double base = 10000;
  std::uint32_t dims = 0;  // rotated numbers per head, even
  double factor = 1;
  std::uint32_t original_context = 0;  // the length the model was first trained for: kDynamic, kYarn, kLlama3
  double low_freq_factor = 1, high_freq_factor = 4;  // kLlama3
  double beta_fast = 32, beta_slow = 1;              // kYarn
  double attention_factor = 0;                       // kYarn: multiplies cos and sin; 0: 0.1 ln(factor) + 1
  bool yarn_truncate = true;                         // kYarn: the range of dimensions is rounded outwards
};

struct ModelConfig {
  std::string architecture;  // GGUF's or Hugging Face's word for it
  std::string name;          // general.name or the directory's name; may be empty
  std::uint32_t layers = 0;
  std::uint32_t hidden = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;  // of queries, keys and values
  std::uint32_t ffn = 0;
  std::uint32_t vocab = 0;
  std::uint32_t context = 0;      // the longest sequence the model was made for, by its RoPE scaling too
  std::uint32_t max_context = 0;  // the longest that may be asked for: more where its scaling allows that
  std::uint32_t window = 0;       // sliding attention window in tokens, 0: none
  float rms_epsilon = 1e-5F;
  RopeConfig rope;
};

inline constexpr std::uint32_t kMaxLayers = 1024;
inline constexpr std::uint32_t kMaxHidden = 1u << 17;
inline constexpr std::uint32_t kMaxHeads = 1024;
inline constexpr std::uint32_t kMaxHeadDim = 1024;
inline constexpr std::uint32_t kMaxFfn = 1u << 19;
inline constexpr std::uint32_t kMaxVocab = 1u << 20;
inline constexpr std::uint32_t kMaxContext = 1u << 24;

// Errors: an architecture that folio does not run (the message lists those it does), a missing or
// contradictory field.
[[nodiscard]] Result<ModelConfig> read_config(const weights::GgufModel& model);
[[nodiscard]] Result<ModelConfig> read_config(const weights::HfModel& model);

// Internal to the two readers: `tokens` times a RoPE factor, within [tokens, kMaxContext].
[[nodiscard]] std::uint32_t scaled_context(std::uint32_t tokens, double factor);
// Internal to the two readers: ranges and relations that any source must satisfy. `source` begins the
// message.
[[nodiscard]] Status check_config(const ModelConfig& config, const std::string& source);

// A field by which other architectures, and code that comes with a model, change what is computed, and the
// value with which it changes nothing.
struct ArithmeticField {
  std::string_view name;
  double neutral;
};
// Internal to the two readers. Errors: a field that `value_of` finds has another value: whoever wrote it
// relies on code that obeys it, and folio's llama does not. Fields in no table are let be: most say nothing
// of the arithmetic, and what does needs tensors, which are not overlooked (unread_tensors.h).
[[nodiscard]] Status check_arithmetic(
    std::span<const ArithmeticField> fields,
    const std::function<std::optional<double>(std::string_view name)>& value_of, const std::string& source);

}  // namespace folio::model
