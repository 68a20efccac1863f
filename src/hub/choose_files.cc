#include <algorithm>

#include "hub/pull.h"

namespace folio::hub {
namespace {

// Where a repository has several and none is asked for: small enough to run fast, good enough to like.
constexpr std::string_view kPreferred[] = {"Q4_K_M", "Q4_0", "Q4_1", "Q4_K_S", "Q8_0",
                                           "Q5_K_M", "Q6_K", "BF16", "F16"};
constexpr std::string_view kTokenizerFiles[] = {
    "config.json",           "generation_config.json",      "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json",     "chat_template.jinja",
    "chat_template.json",    "model.safetensors.index.json"};

bool equal_letters(char a, char b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return lower(a) == lower(b);
}

bool contains(std::string_view text, std::string_view part) {
  return std::ranges::search(text, part, equal_letters).size() == part.size();
}

// "a-00002-of-00003.gguf" -> "a", so that the parts of a model are known by one name; else the path itself.
std::string_view stem(std::string_view path) {
  constexpr std::size_t kEnd = std::string_view("-00001-of-00003.gguf").size();
  if (path.size() <= kEnd) return path;
  const std::string_view end = path.substr(path.size() - kEnd);
  return end[0] == '-' && end.substr(6, 4) == "-of-" ? path.substr(0, path.size() - kEnd) : path;
}

std::vector<HubFile> parts_of(const std::vector<HubFile>& files, std::string_view model) {
  std::vector<HubFile> parts;
  std::ranges::copy_if(files, std::back_inserter(parts),
                       [&](const HubFile& f) { return stem(f.path) == model; });
  std::ranges::sort(parts, {}, &HubFile::path);
  return parts;
}

// A model's projector for images is no model.
bool is_model(const HubFile& file) { return file.path.ends_with(".gguf") && !contains(file.path, "mmproj"); }

std::vector<HubFile> hf_model(const std::vector<HubFile>& files) {
  std::vector<HubFile> chosen;
  for (const HubFile& file : files) {
    const bool at_top = file.path.find('/') == std::string::npos;
    if (at_top && (file.path.ends_with(".safetensors") ||
                   std::ranges::find(kTokenizerFiles, file.path) != std::end(kTokenizerFiles)))
      chosen.push_back(file);
  }
  const bool weights =
      std::ranges::any_of(chosen, [](const HubFile& f) { return f.path.ends_with(".safetensors"); });
  const bool config = std::ranges::any_of(chosen, [](const HubFile& f) { return f.path == "config.json"; });
  return weights && config ? chosen : std::vector<HubFile>();
}

}  // namespace

Result<std::vector<HubFile>> choose_files(const std::vector<HubFile>& files, const std::string& wanted) {
  std::vector<std::string_view> models;
  for (const HubFile& file : files) {
    if (file.path == wanted) return parts_of(files, stem(file.path));
    if (is_model(file) && contains(file.path, wanted) &&
        std::ranges::find(models, stem(file.path)) == models.end())
      models.push_back(stem(file.path));
  }
  if (models.size() == 1) return parts_of(files, models.front());
  if (models.empty() && wanted.empty()) {
    if (auto chosen = hf_model(files); !chosen.empty()) return chosen;
    return fail(ErrorKind::kNotFound, "it holds neither a GGUF file nor safetensors with a config.json");
  }
  if (wanted.empty())
    for (const std::string_view type : kPreferred)
      for (const std::string_view model : models)
        if (contains(model, type)) return parts_of(files, model);
  std::string names;
  for (const HubFile& file : files)
    if (is_model(file) && names.size() < 1000) names += (names.empty() ? "" : ", ") + file.path;
  if (models.empty()) return fail(ErrorKind::kNotFound, "it holds no '{}'; it has: {}", wanted, names);
  return fail(ErrorKind::kInvalid, "'{}' may be any of: {}; name one behind a colon", wanted, names);
}

}  // namespace folio::hub
