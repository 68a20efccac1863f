#include <algorithm>
#include <set>

#include "hub/file_name.h"
#include "hub/pull.h"
#include "hub/shard_index.h"

namespace folio::hub {
namespace {

using Files = std::vector<HubFile>;
using Models = std::vector<std::string_view>;  // keys of models, each once

// Where a repository has several and none is asked for: small enough to run fast, good enough to like.
constexpr std::string_view kPreferred[] = {"Q4_K_M", "Q4_0", "Q4_1", "Q4_K_S", "Q8_0",
                                           "Q5_K_M", "Q6_K", "BF16", "F16"};
constexpr std::string_view kTexts[] = {"config.json",        "generation_config.json", "tokenizer.json",
                                       "added_tokens.json",  "tokenizer_config.json",  "chat_template.jinja",
                                       "chat_template.json", "special_tokens_map.json"};
constexpr std::string_view kSingle = "model.safetensors";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool equal_letters(char a, char b) { return lower(a) == lower(b); }

bool equal(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, equal_letters); }

bool contains(std::string_view text, std::string_view part) {
  return std::ranges::search(text, part, equal_letters).size() == part.size();
}

// Words end at these. An underscore is within a word: Q2_K is one, and not one of Q2_K_L.
bool is_border(std::string_view text, std::size_t at) {
  return at >= text.size() || text[at] == '-' || text[at] == '.' || text[at] == '/' || text[at] == ' ';
}

bool contains_word(std::string_view text, std::string_view word) {
  for (std::string_view rest = text; !rest.empty();) {
    const auto found = std::ranges::search(rest, word, equal_letters);
    if (found.empty()) return false;
    const auto at = static_cast<std::size_t>(found.data() - text.data());
    const bool begins = at == 0 || is_border(text, at - 1) || text[at - 1] == '_';
    if (begins && is_border(text, at + word.size())) return true;
    rest = text.substr(at + 1);
  }
  return false;
}

// "dir/m-Q2_K-00001-of-00003.gguf" -> "m-Q2_K"
std::string_view plain_name(std::string_view model) {
  model.remove_prefix(model.rfind('/') + 1);  // npos + 1 is 0
  if (const auto part = part_of_name(model)) return part->stem;
  return model.ends_with(".gguf") ? model.substr(0, model.size() - 5) : model;
}

// Characters that all names begin with, up to the end of a word.
std::size_t common_start(const Models& models) {
  std::string_view common = plain_name(models.front());
  for (const std::string_view model : models) {
    const std::string_view name = plain_name(model);
    common = common.substr(
        0, static_cast<std::size_t>(std::ranges::mismatch(common, name, equal_letters).in1 - common.begin()));
  }
  while (!common.empty() && common.back() != '-' && common.back() != '.') common.remove_suffix(1);
  return common.size();
}

// The models that fit `wanted` best: by what tells them from the others, by a word, by a part.
Models fitting(const Models& models, std::string_view wanted) {
  if (models.empty()) return {};
  const std::size_t start = common_start(models);
  const auto having = [&](auto fits) {
    Models found;
    std::ranges::copy_if(models, std::back_inserter(found), fits);
    return found;
  };
  if (auto found = having([&](std::string_view m) { return equal(plain_name(m).substr(start), wanted); });
      !found.empty())
    return found;
  if (auto found = having([&](std::string_view m) { return contains_word(m, wanted); }); !found.empty())
    return found;
  return having([&](std::string_view m) { return contains(m, wanted); });
}

// A model's projector for images is no model.
bool is_model(const HubFile& file) { return file.path.ends_with(".gguf") && !contains(file.path, "mmproj"); }

// Whether both are the same file or parts of the same model.
bool is_same_model(std::string_view a, std::string_view b) {
  const auto part = part_of_name(a), other = part_of_name(b);
  if (!part || !other) return a == b;
  return part->stem == other->stem && part->parts == other->parts;
}

Result<Files> parts_of(const Files& files, std::string_view model) {
  Files parts;
  std::ranges::copy_if(files, std::back_inserter(parts),
                       [&](const HubFile& f) { return is_same_model(f.path, model); });
  std::ranges::sort(parts, {}, &HubFile::path);
  const auto name = part_of_name(model);
  if (!name) return parts;
  for (std::size_t i = 0; i < name->parts; ++i)
    if (i >= parts.size() || part_of_name(parts[i].path)->number != i + 1)
      return fail(ErrorKind::kNotFound, "it holds no part {} of the {} of {}", i + 1, name->parts, model);
  return parts;
}

// The safetensors that transformers reads: one file, else those beside the index. consolidated*.safetensors
// are the same weights once more, in their makers' own form.
Files weights_of(const Files& files) {
  Files single, shards;
  bool index = false;
  for (const HubFile& file : files) {
    if (file.path.find('/') != std::string::npos) continue;
    index = index || file.path == kShardIndex;
    if (file.path == kSingle) single.push_back(file);
    if (file.path.ends_with(".safetensors") && !file.path.starts_with("consolidated")) shards.push_back(file);
  }
  if (!single.empty()) return single;
  return index ? shards : Files();
}

Result<Files> hf_model(const Files& files) {
  Files chosen = weights_of(files);
  if (chosen.empty())
    return fail(ErrorKind::kNotFound,
                "it holds neither a GGUF file nor {}, nor {} with its files; folio reads no other weights",
                kSingle, kShardIndex);
  const bool sharded = chosen.front().path != kSingle;
  bool config = false;
  for (const HubFile& file : files) {
    config = config || file.path == "config.json";
    if (std::ranges::find(kTexts, file.path) != std::end(kTexts) || (sharded && file.path == kShardIndex))
      chosen.push_back(file);
  }
  if (!config)
    return fail(ErrorKind::kNotFound, "it holds neither a GGUF file nor safetensors with a config.json");
  std::ranges::sort(chosen, {}, [](const HubFile& f) { return std::pair(f.path != kShardIndex, f.path); });
  return chosen;
}

std::string names_of(const Models& models) {
  std::string names;
  for (const std::string_view model : models) {
    if (names.size() > 1000) return names + ", ...";
    names += (names.empty() ? "" : ", ") + std::string(model);
  }
  return names;
}

}  // namespace

Result<Files> choose_files(const Files& files, const std::string& wanted) {
  Models models;
  std::set<std::pair<std::string_view, std::size_t>> known;  // stem and number of parts
  for (const HubFile& file : files) {
    if (file.path == wanted) return parts_of(files, file.path);
    const PartName name = part_of_name(file.path).value_or(PartName{.stem = file.path});
    if (is_model(file) && known.emplace(name.stem, name.parts).second) models.push_back(file.path);
  }
  if (wanted.empty()) {
    if (models.empty()) return hf_model(files);
    if (models.size() == 1) return parts_of(files, models.front());
    for (const std::string_view type : kPreferred) {
      const Models found = fitting(models, type);
      if (!found.empty() && contains_word(found.front(), type)) return parts_of(files, found.front());
    }
    return fail(ErrorKind::kInvalid, "it holds several models; name one behind a colon: {}",
                names_of(models));
  }
  const Models found = fitting(models, wanted);
  if (found.size() == 1) return parts_of(files, found.front());
  if (found.empty())
    return fail(ErrorKind::kNotFound, "it holds no '{}'; it has: {}", wanted, names_of(models));
  return fail(ErrorKind::kInvalid, "'{}' may be any of: {}; name one behind a colon", wanted,
              names_of(found));
}

}  // namespace folio::hub
