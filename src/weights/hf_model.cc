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
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
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

Result<Tensor> weight_of(const SafetensorsEntry& entry, const std::string& path) {
  const kernels::TensorTypeInfo* type = kernels::find_tensor_type(entry.dtype);
  if (entry.dtype != "F32" && entry.dtype != "F16" && entry.dtype != "BF16") {
    return fail(ErrorKind::kUnsupported,
                "{}: tensor {} has dtype {}, folio reads F32, F16 and BF16 weights (byte {})", path,
                quote(entry.name), entry.dtype, entry.offset);
  }
  Tensor tensor{entry.name, type->type, entry.shape, entry.data};
  if (tensor.shape.empty()) tensor.shape.push_back(1);
  return tensor;
}

// What was read so far, and the index's mapping if there is one.
struct Weights {
  std::vector<std::string> paths;
  std::vector<platform::MappedFile> files;
  std::vector<Tensor> tensors;
};

Status add_file(const std::string& path, Weights& weights) {
  FOLIO_TRY(opened, SafetensorsFile::open(path));
  for (const SafetensorsEntry& entry : opened.header.entries) {
    FOLIO_TRY(tensor, weight_of(entry, path));
    weights.tensors.push_back(std::move(tensor));
  }
  weights.paths.push_back(path);
  weights.files.push_back(std::move(opened.file));
  return {};
}

// Error unless the tensors from `first` on, which are those of file `name`, are the ones that the index
// expects there. A tensor that the index does not know at all is taken as it is.
Status check_shard(const Weights& weights, std::size_t first, const std::string& name, const Shards& shards) {
  const std::string& path = weights.paths.back();
  std::set<std::string_view> held;
  for (std::size_t i = first; i < weights.tensors.size(); ++i) held.insert(weights.tensors[i].name);
  for (const std::string& expected : shards.at(name)) {
    if (!held.contains(expected)) {
      return fail(ErrorKind::kInvalid, "{}: tensor {} is missing, {} says it is in this file", path,
                  quote(expected), kIndex);
    }
  }
  return {};
}

Result<Weights> read_weights(const std::string& directory) {
  Weights weights;
  if (const std::string single = join(directory, kSingle); exists(single)) {
    FOLIO_TRY_STATUS(add_file(single, weights));
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
    const std::size_t first = weights.tensors.size();
    FOLIO_TRY_STATUS(add_file(path, weights));
    FOLIO_TRY_STATUS(check_shard(weights, first, name, shards));
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
               {"generation_config.json", kMaxConfigBytes, model.generation_config_json},
               {"chat_template.jinja", kMaxConfigBytes, model.chat_template_jinja},
               {"chat_template.json", kMaxConfigBytes, model.chat_template_json}};
  for (const auto& file : files) {
    FOLIO_TRY(text, read_text(join(model.directory, file.name), file.max_bytes));
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
  FOLIO_TRY(store, TensorStore::make(directory, std::move(weights.files), std::move(weights.tensors)));
  model.tensors = std::move(store);
  FOLIO_TRY_STATUS(read_texts(model));
  return model;
}

}  // namespace folio::weights
