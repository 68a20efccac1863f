// The shapes of models that can be made: three well-known ones by name, any other by its numbers.
// Thread rule: pure functions and plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::model_maker {

// A dense Llama. Every number is one that ShapeField names.
struct ModelShape {
  std::string name;  // "1b", or that of the file it was read from
  std::uint32_t hidden = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;  // 0: as many as heads
  std::uint32_t head_dim = 0;  // 0: hidden / heads
  std::uint32_t ffn = 0;
  std::uint32_t vocab = 0;
  std::uint32_t context = 8192;
  std::uint32_t rope_base = 500'000;
  std::uint32_t tied = 0;  // 1: the embedding is the output matrix too
};

// One number of a shape: its name in a JSON file and, with dashes, on the command line.
struct ShapeField {
  std::string_view name;
  std::uint32_t ModelShape::* number;
  std::uint32_t least, most;
  std::string_view help;
};
[[nodiscard]] std::span<const ShapeField> shape_fields();

// "1b", "3b" or "8b": Llama-3.2-1B, Llama-3.2-3B (its output matrix untied, like the others'), Llama-3.1-8B.
// nullptr for any other name.
[[nodiscard]] const ModelShape* known_shape(std::string_view name);

// A JSON object of the fields' names and whole numbers; `path` is what messages name. Errors: not such an
// object, a name that is no field, a number out of its range. Numbers that are absent stay as they are.
[[nodiscard]] Result<ModelShape> read_shape(const std::string& path);

// Fills in what 0 stands for. Errors: a number that is missing or out of its range; heads that KV heads do
// not divide; head sizes that cannot be rotated.
[[nodiscard]] Result<ModelShape> complete(ModelShape shape);

}  // namespace folio::model_maker
