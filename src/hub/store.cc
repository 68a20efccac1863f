#include "hub/store.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "hub/file_name.h"
#include "hub/reference.h"

namespace folio::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;  // ORGANISATION/NAME/FOLDER/FILE

std::size_t bytes_in(const fs::path& folder) {
  std::error_code error;
  std::size_t sum = 0;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (std::error_code ignored; at->is_regular_file(ignored)) sum += at->file_size(ignored);
  return sum;
}

// "organisation/name/file.gguf" -> "organisation/name:file.gguf"
std::string name_of_file(const fs::path& below) {
  const std::string text = below.generic_string();
  const std::size_t first = text.find('/'),
                    second = first == std::string::npos ? first : text.find('/', first + 1);
  return second == std::string::npos ? text : text.substr(0, second) + ":" + text.substr(second + 1);
}

// A part is no model but the first one's.
void gather_parts(std::vector<StoredModel>& models) {
  using Whole = std::pair<std::string, std::size_t>;  // stem and number of parts
  std::map<Whole, std::size_t> first;                 // part's place in `models`
  std::vector<StoredModel> kept;
  for (StoredModel& model : models) {  // by name, so the first part comes first
    const auto part = part_of_name(model.path);
    const auto found = part ? first.find({std::string(part->stem), part->parts}) : first.end();
    if (found != first.end()) {
      kept[found->second].bytes += model.bytes;
      kept[found->second].more_parts.push_back(std::move(model.path));
      continue;
    }
    if (part && part->number == 1) first.emplace(Whole(part->stem, part->parts), kept.size());
    kept.push_back(std::move(model));
  }
  models = std::move(kept);
}

std::string_view without(std::string_view text, std::string_view end) {
  return text.ends_with(end) ? text.substr(0, text.size() - end.size()) : text;
}

}  // namespace

std::vector<StoredModel> Store::list() const {
  std::vector<StoredModel> models;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    const fs::path below = at->path().lexically_relative(folder_);
    if (!is_safe_path(below.generic_string()) || at.depth() > kMaxDepth) {
      at.disable_recursion_pending();
    } else if (at->is_directory(ignored)) {
      if (!fs::exists(at->path() / "config.json", ignored)) continue;
      models.push_back({.name = below.generic_string(),
                        .path = at->path().string(),
                        .bytes = bytes_in(at->path()),
                        .more_parts = {}});
      at.disable_recursion_pending();
    } else if (at->path().extension() == ".gguf" && at->is_regular_file(ignored)) {
      models.push_back({.name = name_of_file(below),
                        .path = at->path().string(),
                        .bytes = static_cast<std::size_t>(at->file_size(ignored)),
                        .more_parts = {}});
    }
  }
  std::ranges::sort(models, {}, &StoredModel::name);
  gather_parts(models);
  return models;
}

Result<StoredModel> Store::find(std::string_view name) const {
  std::string_view wanted = name;
  if (wanted.starts_with("hf://")) wanted.remove_prefix(5);
  wanted = without(wanted, ".gguf");
  std::vector<StoredModel> found;
  for (const StoredModel& model : list()) {
    const std::string_view full = without(model.name, ".gguf");
    if (full == wanted) return model;
    if (full.substr(0, full.find(':')) == wanted) found.push_back(model);
  }
  if (found.empty()) return fail(ErrorKind::kNotFound, "there is no model '{}' in {}", name, folder_);
  if (found.size() == 1) return found.front();
  std::string names;
  for (const StoredModel& model : found) names += (names.empty() ? "" : ", ") + model.name;
  return fail(ErrorKind::kInvalid, "'{}' may be any of: {}; say which", name, names);
}

Status Store::remove(const StoredModel& model) const {
  std::error_code error;
  fs::remove_all(model.path, error);
  for (const std::string& part : model.more_parts)
    if (!error) fs::remove(part, error);
  if (error) return fail(ErrorKind::kIo, "{}: cannot be removed: {}", model.path, error.message());
  for (fs::path up = fs::path(model.path).parent_path();
       up != fs::path(folder_) && up.string().starts_with(folder_); up = up.parent_path())
    if (std::error_code ignored; !fs::remove(up, ignored)) break;  // not empty
  return {};
}

}  // namespace folio::hub
