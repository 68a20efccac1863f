// model.safetensors.index.json: which files of a repository hold a model's weights.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/pull.h"

namespace folio::hub {

inline constexpr std::string_view kShardIndex = "model.safetensors.index.json";
inline constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;

// The files that the index names; none where `json` is no index.
[[nodiscard]] std::set<std::string, std::less<>> shards_of_index(std::string_view json);

// Drops the safetensors of `files` that the index does not name: the same weights in another form, or an
// adapter. An index that names none changes nothing: whoever loads the model says what is wrong with it.
// Errors: kNotFound for a file that is named and not in `files`.
[[nodiscard]] Status keep_indexed(std::string_view json, std::vector<HubFile>& files);

}  // namespace folio::hub
