// The facts of `folio inspect` as one JSON object, a member per section of kInspectSections. A part that
// cannot be had is {"error": sentence}. Reads headers and the tokenizer, never tensor data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/options.h"
#include "base/result.h"
#include "model/model_config.h"
#include "weights/open.h"

namespace folio::app {

inline constexpr std::size_t kShownElements = 8;       // of an array in the metadata
inline constexpr std::size_t kShownStringBytes = 400;  // of a string in the metadata

// Sections that need a model: all but "cpu". Errors: only those of opening the model.
[[nodiscard]] Result<nlohmann::ordered_json> model_report(const std::string& path,
                                                          const InspectOptions& options);

[[nodiscard]] nlohmann::ordered_json cpu_report();

// Internal parts.
[[nodiscard]] nlohmann::ordered_json metadata_report(const weights::AnyModel& files);
[[nodiscard]] nlohmann::ordered_json tensors_report(const weights::TensorStore& tensors);
[[nodiscard]] nlohmann::ordered_json text_report(
    const weights::AnyModel& files);  // {"tokenizer": ..., "template": ...}
[[nodiscard]] nlohmann::ordered_json config_report(const model::ModelConfig& config);
[[nodiscard]] nlohmann::ordered_json kv_report(const weights::TensorStore& tensors,
                                               const model::ModelConfig& config,
                                               const InspectOptions& options);

}  // namespace folio::app
