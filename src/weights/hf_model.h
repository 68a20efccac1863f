// A Hugging Face model directory: config.json, safetensors weights (one file or shards with an index), and
// the texts that the tokenizer and the chat template are made from. Knows no architecture: config is handed
// on as it is.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "weights/tensor_store.h"

namespace folio::weights {

inline constexpr std::uint64_t kMaxConfigBytes = 4u << 20;       // config.json and the other small files
inline constexpr std::uint64_t kMaxTokenizerBytes = 256u << 20;  // tokenizer.json
inline constexpr std::uint64_t kMaxIndexBytes = 64u << 20;       // model.safetensors.index.json
inline constexpr std::size_t kMaxShards = 9999;

struct HfModel {
  std::string directory;
  std::vector<std::string> paths;  // the safetensors files
  nlohmann::ordered_json config;   // an object; key order as in the file
  TensorStore tensors;             // F32, F16 and BF16

  // The text of each file, nullopt where the directory has none. Not checked beyond their size.
  std::optional<std::string> tokenizer_json;
  std::optional<std::string> tokenizer_config_json;
  std::optional<std::string> special_tokens_map_json;
  std::optional<std::string> added_tokens_json;
  std::optional<std::string> generation_config_json;
  std::optional<std::string> chat_template_jinja;
  std::optional<std::string> chat_template_json;

  // Errors: no config.json or weights; a file that is malformed or too large; a shard that is missing, or
  // does not hold what the index says; a tensor of a dtype that folio does not compute with. Cost: reads
  // headers and texts, no weights.
  static Result<HfModel> open(const std::string& directory);
};

}  // namespace folio::weights
