#include "weights/hf_model.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "weights/json_text.h"
#include "weights/quote.h"
#include "weights/safetensors.h"

namespace folio::weights {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// File name -> names of the tensors that the index expects there.
using Shards = std::map<std::string, std::set<std::string>>;

std::string join(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / name).string();
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// nullopt if there is no such file.
Result<std::optional<std::string>> read_text(const std::string& path, std::uint64_t max_bytes) {
  if (!exists(path)) return std::optional<std::string>();
  FOLIO_TRY(file, platform::MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    return fail(ErrorKind::kTooLarge, "{}: has {} bytes, the limit is {}", path, bytes.size(), max_bytes);
  }
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  FOLIO_TRY_STATUS(file.check_whole());
  return text;
}

Result<nlohmann::ordered_json> read_config(const std::string& directory) {
  const std::string path = join(directory, "config.json");
  FOLIO_TRY(text, read_text(path, kMaxConfigBytes));
  if (!text) {
    return fail(ErrorKind::kNotFound,
                "{}: is missing; a model directory has config.json, tokenizer.json and {}", path, kSingle);
  }
  FOLIO_TRY(config, parse_ordered_json(*text, path));
  if (!config.is_object()) return fail(ErrorKind::kInvalid, "{}: is not a JSON object", path);
  return config;
}

// A shard is a file of the model's own directory.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Result<Shards> read_index(const std::string& path) {
  FOLIO_TRY(text, read_text(path, kMaxIndexBytes));
  FOLIO_TRY(index, parse_json(text.value_or(""), path));
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    return fail(ErrorKind::kInvalid, "{}: field 'weight_map' is missing or not an object of tensor names",
                path);
  }
  Shards shards;
  for (const auto& [tensor, file] : map->items()) {
    const std::string* name = file.get_ptr<const std::string*>();
    if (name == nullptr || !is_plain_name(*name)) {
      return fail(ErrorKind::kInvalid, "{}: field 'weight_map': tensor {} is not mapped to a file name", path,
                  quote(tensor));
    }
    shards[*name].insert(tensor);
    if (shards.size() > kMaxShards) {
      return fail(ErrorKind::kTooLarge, "{}: field 'weight_map' names more than {} files", path, kMaxShards);
    }
  }
  return shards;
}

// What was read so far, and the index's mapping if there is one.
struct Weights {
  std::vector<std::string> paths;
  std::vector<platform::MappedFile> files;
  std::vector<Tensor> tensors;
  std::vector<ForeignTensor> foreign;
};

// `expected`: the tensors that the index says are in this file, each of which must be there; one that the
// index does not know at all is taken as it is.
Status add_file(const std::string& path, const std::set<std::string>& expected, Weights& weights) {
  FOLIO_TRY(opened, SafetensorsFile::open(path));
  std::set<std::string_view> held;
  for (const SafetensorsEntry& entry : opened.header.entries) {
    held.insert(entry.name);
    if (entry.dtype != "F32" && entry.dtype != "F16" && entry.dtype != "BF16") {
      weights.foreign.push_back({entry.name, entry.dtype, entry.shape});
      continue;
    }
    Tensor tensor{entry.name, kernels::find_tensor_type(entry.dtype)->type, entry.shape, entry.data};
    if (tensor.shape.empty()) tensor.shape.push_back(1);
    weights.tensors.push_back(std::move(tensor));
  }
  for (const std::string& name : expected) {
    if (!held.contains(name))
      return fail(ErrorKind::kInvalid, "{}: tensor {} is missing, {} says it is in this file", path,
                  quote(name), kIndex);
  }
  weights.paths.push_back(path);
  weights.files.push_back(std::move(opened.file));
  return {};
}

Result<Weights> read_weights(const std::string& directory) {
  Weights weights;
  if (const std::string single = join(directory, kSingle); exists(single)) {
    FOLIO_TRY_STATUS(add_file(single, {}, weights));
    return weights;
  }
  const std::string index = join(directory, kIndex);
  if (!exists(index)) {
    return fail(ErrorKind::kNotFound,
                "{}: has neither {} nor {}; folio reads no other weight files (not .bin or .pth)", directory,
                kSingle, kIndex);
  }
  FOLIO_TRY(shards, read_index(index));
  for (const auto& [name, expected] : shards) {
    const std::string path = join(directory, name);
    if (!exists(path))
      return fail(ErrorKind::kNotFound, "{}: is missing, {} tensors are in it as {} says", path,
                  expected.size(), kIndex);
    FOLIO_TRY_STATUS(add_file(path, expected, weights));
  }
  return weights;
}

Status read_texts(HfModel& model) {
  const struct {
    const char* name;
    std::uint64_t max_bytes;
    std::optional<std::string>& text;
  } files[] = {{"tokenizer.json", kMaxTokenizerBytes, model.tokenizer_json},
               {"tokenizer_config.json", kMaxConfigBytes, model.tokenizer_config_json},
               {"special_tokens_map.json", kMaxConfigBytes, model.special_tokens_map_json},
               {"added_tokens.json", kMaxConfigBytes, model.added_tokens_json},
               {"generation_config.json", kMaxConfigBytes, model.generation_config_json},
               {"chat_template.jinja", kMaxConfigBytes, model.chat_template_jinja},
               {"chat_template.json", kMaxConfigBytes, model.chat_template_json}};
  for (const auto& file : files) {
    const std::string path = join(model.directory, file.name);
    FOLIO_TRY(text, read_text(path, file.max_bytes));
    // tokenizer.json has as many keys as tokens; its reader has bounds of its own.
    if (text && path.ends_with(".json") && file.max_bytes == kMaxConfigBytes)
      FOLIO_TRY_STATUS(check_ordered_json_bounds(*text, path));
    file.text = std::move(text);
  }
  return {};
}

}  // namespace

Result<HfModel> HfModel::open(const std::string& directory) {
  HfModel model;
  model.directory = directory;
  FOLIO_TRY(config, read_config(directory));
  model.config = std::move(config);
  FOLIO_TRY(weights, read_weights(directory));
  model.paths = std::move(weights.paths);
  FOLIO_TRY(store, TensorStore::make(directory, std::move(weights.files), std::move(weights.tensors),
                                     std::move(weights.foreign)));
  model.tensors = std::move(store);
  FOLIO_TRY_STATUS(read_texts(model));
  return model;
}

}  // namespace folio::weights
