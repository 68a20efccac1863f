#include "hub/shard_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace folio::hub {

using Json = nlohmann::json;

std::set<std::string, std::less<>> shards_of_index(std::string_view json) {
  std::set<std::string, std::less<>> names;
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) { return depth <= 2; };
  const Json index = Json::parse(json, shallow, false);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) return names;
  for (const auto& [tensor, file] : map->items())
    if (file.is_string()) names.insert(file.get<std::string>());
  return names;
}

Status keep_indexed(std::string_view json, std::vector<HubFile>& files) {
  const auto named = shards_of_index(json);
  if (named.empty()) return {};
  for (const std::string& name : named)
    if (std::ranges::find(files, name, &HubFile::path) == files.end())
      return fail(ErrorKind::kNotFound, "{} names a file that the repository does not hold: '{}'",
                  kShardIndex, is_safe_path(name) ? name : "...");
  std::erase_if(files, [&](const HubFile& file) {
    return file.path.ends_with(".safetensors") && !named.contains(file.path);
  });
  return {};
}

}  // namespace folio::hub
