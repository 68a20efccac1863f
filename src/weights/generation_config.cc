#include "weights/generation_config.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <variant>

#include "platform/file.h"
#include "weights/json_text.h"
#include "weights/quote.h"

namespace folio::weights {
namespace {

namespace fs = std::filesystem;

constexpr double kLargest = 1e9;

Result<GenerationConfig> read_json(const std::string& text, const std::string& source) {
  FOLIO_TRY(json, parse_json(text, source));
  if (!json.is_object()) return fail(ErrorKind::kInvalid, "{}: is no JSON object", source);
  const auto number = [&](const char* key) -> Result<std::optional<double>> {
    const auto field = json.find(key);
    if (field == json.end() || field->is_null()) return std::nullopt;
    if (!field->is_number()) return fail(ErrorKind::kInvalid, "{}: '{}' is no number", source, key);
    const double value = field->template get<double>();
    if (!(std::abs(value) <= kLargest))
      return fail(ErrorKind::kInvalid, "{}: '{}' is out of range", source, key);
    return value;
  };
  GenerationConfig found{.source = source};
  for (const auto& [key, target] : {std::pair{"temperature", &found.temperature},
                                    {"top_p", &found.top_p},
                                    {"min_p", &found.min_p},
                                    {"repetition_penalty", &found.repetition_penalty}}) {
    FOLIO_TRY(value, number(key));
    if (value) *target = static_cast<float>(*value);
  }
  FOLIO_TRY(top_k, number("top_k"));
  if (top_k) found.top_k = static_cast<std::int32_t>(*top_k);
  FOLIO_TRY(longest, number("max_new_tokens"));
  if (longest && *longest >= 1) found.max_new_tokens = static_cast<std::size_t>(*longest);
  return found;
}

Result<GenerationConfig> read(const HfModel& model) {
  if (!model.generation_config_json) return GenerationConfig{};
  return read_json(*model.generation_config_json,
                   (fs::path(model.directory) / "generation_config.json").string());
}

// llama.cpp's keys (gguf-py constants.py, Keys.General.SAMPLING_*).
Result<GenerationConfig> read(const GgufModel& model) {
  GenerationConfig found;
  for (const auto& [key, target] : {std::pair{"general.sampling.temp", &found.temperature},
                                    {"general.sampling.top_p", &found.top_p},
                                    {"general.sampling.min_p", &found.min_p},
                                    {"general.sampling.penalty_repeat", &found.repetition_penalty}}) {
    FOLIO_TRY(value, model.metadata.find_f32(key));
    if (value && !(std::abs(*value) <= kLargest))
      return fail(ErrorKind::kInvalid, "{}: '{}' is out of range", model.metadata.source(), key);
    *target = value;
  }
  if (const GgufEntry* entry = model.metadata.find("general.sampling.top_k"); entry != nullptr) {
    if (const auto* signed_k = std::get_if<std::int32_t>(&entry->value)) {
      found.top_k = *signed_k;
    } else {
      FOLIO_TRY(top_k, model.metadata.get_u32("general.sampling.top_k"));
      found.top_k =
          static_cast<std::int32_t>(std::min<std::uint32_t>(top_k, std::numeric_limits<std::int32_t>::max()));
    }
  }
  if (found.says_sampling()) found.source = model.metadata.source() + ": general.sampling";
  return found;
}

}  // namespace

Result<GenerationConfig> generation_config(const AnyModel& model) {
  return std::visit([](const auto& files) { return read(files); }, model);
}

Result<GenerationConfig> generation_config_in(const std::string& folder) {
  const std::string path = (fs::path(folder) / "generation_config.json").string();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return GenerationConfig{};
  FOLIO_TRY(text, platform::read_regular_file(path, kMaxConfigBytes));
  return read_json(text, path);
}

}  // namespace folio::weights
