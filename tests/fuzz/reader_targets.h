// What the fuzzers do with one input. Shared with src/weights/fuzz_corpus_test.cc, which runs the committed
// inputs in every build, so that a crash once found stays found without a fuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "weights/gguf.h"
#include "weights/json_text.h"
#include "weights/safetensors.h"

namespace folio::fuzz {

using Bytes = std::span<const std::byte>;

inline void require(bool holds) {
  if (!holds) std::abort();
}

// Whether `part` lies inside `whole`; compares addresses, so any two ranges may be given.
inline bool inside(Bytes part, Bytes whole) {
  const auto at_or_before = [](const std::byte* a, const std::byte* b) {
    return std::less_equal<const std::byte*>()(a, b);
  };
  return part.empty() || (at_or_before(whole.data(), part.data()) &&
                          at_or_before(part.data() + part.size(), whole.data() + whole.size()));
}

inline Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// Every answer of the getters, whatever the type, without a crash.
inline void use_metadata(const weights::GgufMetadata& metadata, Bytes file) {
  for (const weights::GgufEntry& entry : metadata.all()) {
    require(metadata.find(entry.key) == &entry);
    require(inside(bytes_of(entry.key), file));
    require(metadata.find_u32(entry.key) || !metadata.find_u32(entry.key).error().message.empty());
    require(!weights::gguf_value_type(entry.value).empty());
    (void)metadata.find_f32(entry.key);
    (void)metadata.find_i32_array(entry.key);
    (void)metadata.find_f32_array(entry.key);
    (void)metadata.get_u32_per_layer(entry.key, 3);
    if (const auto text = metadata.get_string(entry.key)) require(inside(bytes_of(*text), file));
    if (const auto texts = metadata.get_string_array(entry.key)) {
      for (const std::string_view text : *texts) require(inside(bytes_of(text), file));
    }
  }
}

// A GGUF file: what is accepted has its invariants, and every weight can be dequantised.
inline void gguf_target(Bytes file) {
  const auto part = weights::parse_gguf(file, "fuzz.gguf");
  if (!part) return require(part.error().message.starts_with("fuzz.gguf: "));
  use_metadata(part->metadata, file);
  const std::byte* end_before = file.data();
  for (const weights::Tensor& tensor : part->tensors) {
    const std::uint64_t n = tensor.elements();
    require(!tensor.shape.empty() && inside(tensor.data, file) && tensor.data.data() >= end_before);
    require(tensor.data.size() == kernels::row_bytes(tensor.type, tensor.columns()) * tensor.rows());
    end_before = tensor.data.data() + tensor.data.size();
    std::vector<float> values(n);
    kernels::dequantize(tensor.type, tensor.data.data(), values.data(), n);
  }
  require(weights::TensorStore::make("fuzz.gguf", {}, part->tensors).has_value());
}

// A safetensors file: the tensors that are accepted cover its data.
inline void safetensors_target(Bytes file) {
  const auto header = weights::parse_safetensors(file, "fuzz.safetensors");
  if (!header) return require(header.error().message.starts_with("fuzz.safetensors: "));
  std::uint64_t covered = 0;
  for (const weights::SafetensorsEntry& entry : header->entries) {
    require(inside(entry.data, file));
    require(header->find(entry.name) == &entry);
    require(entry.data.empty() || entry.data.data() == file.data() + entry.offset);
    covered += entry.data.size();
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  require(covered == file.size() - sizeof header_bytes - header_bytes);
}

// config.json and the other JSON files of a model directory: what is accepted can be written and read again.
inline void json_target(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto ordered = weights::parse_ordered_json(text, "fuzz.json");
  const auto plain = weights::parse_json(text, "fuzz.json");
  require(ordered.has_value() == plain.has_value());
  if (!ordered) return require(ordered.error().message.starts_with("fuzz.json: "));
  require(weights::parse_ordered_json(ordered->dump(), "fuzz.json").has_value());
}

}  // namespace folio::fuzz
