#include "model_shape.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "platform/file.h"
#include "vocabulary.h"

namespace folio::model_maker {
namespace {

constexpr std::size_t kMaxShapeFileBytes = 64 << 10;

using S = ModelShape;
constexpr std::array kFields = {
    ShapeField{"hidden", &S::hidden, 32, 65'536, "width of the residual stream"},
    ShapeField{"layers", &S::layers, 1, 1'024, "layers"},
    ShapeField{"heads", &S::heads, 1, 1'024, "heads of queries"},
    ShapeField{"kv_heads", &S::kv_heads, 0, 1'024, "heads of keys and values (default 0: as many as heads)"},
    ShapeField{"head_dim", &S::head_dim, 0, 1'024, "width of a head (default 0: hidden / heads)"},
    ShapeField{"ffn", &S::ffn, 32, 1'048'576, "width of the feed-forward part"},
    ShapeField{"vocab", &S::vocab, kMinVocabulary, kMaxVocabulary, "tokens of the vocabulary"},
    ShapeField{"context", &S::context, 16, 1'048'576, "context in tokens (default 8192)"},
    ShapeField{"rope_base", &S::rope_base, 1, 1'000'000'000, "base of the rotation (default 500000)"},
    ShapeField{"tied", &S::tied, 0, 1, "1: the embedding is the output matrix too (default 0)"},
};

ModelShape llama3(std::string_view name, std::uint32_t hidden, std::uint32_t layers, std::uint32_t heads,
                  std::uint32_t ffn) {
  return {.name = std::string(name),
          .hidden = hidden,
          .layers = layers,
          .heads = heads,
          .kv_heads = 8,
          .ffn = ffn,
          .vocab = 128'256,
          .context = 131'072};
}

Status check_range(const ShapeField& field, std::uint64_t value, const std::string& source) {
  if (value >= field.least && value <= field.most) return {};
  return fail(ErrorKind::kInvalid, "{}: {} must be a whole number from {} to {}, not {}", source, field.name,
              field.least, field.most, value);
}

Status read_field(const std::string& path, std::string_view name, const nlohmann::json& value,
                  ModelShape& shape) {
  const auto field = std::ranges::find(kFields, name, &ShapeField::name);
  if (field == kFields.end()) {
    std::vector<std::string_view> known;
    for (const ShapeField& each : kFields) known.push_back(each.name);
    return fail(ErrorKind::kInvalid, "{}: a shape has no field '{}'; it knows {}", path, name.substr(0, 40),
                fmt::join(known, ", "));
  }
  if (!value.is_number_unsigned())
    return fail(ErrorKind::kInvalid, "{}: {} must be a whole number from {} to {}", path, name, field->least,
                field->most);
  FOLIO_TRY_STATUS(check_range(*field, value.get<std::uint64_t>(), path));
  shape.*field->number = value.get<std::uint32_t>();
  return {};
}

}  // namespace

std::span<const ShapeField> shape_fields() { return kFields; }

const ModelShape* known_shape(std::string_view name) {
  static const std::array kShapes = {llama3("1b", 2048, 16, 32, 8192), llama3("3b", 3072, 28, 24, 8192),
                                     llama3("8b", 4096, 32, 32, 14336)};
  const auto found = std::ranges::find(kShapes, name, &ModelShape::name);
  return found == kShapes.end() ? nullptr : &*found;
}

Result<ModelShape> read_shape(const std::string& path) {
  FOLIO_TRY(text, platform::read_file(path, kMaxShapeFileBytes));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(ErrorKind::kInvalid, "{}: a shape is one JSON object of names and whole numbers", path);
  ModelShape shape{.name = std::filesystem::path(path).stem().string()};
  for (const auto& [name, value] : json.items()) FOLIO_TRY_STATUS(read_field(path, name, value, shape));
  return shape;
}

Result<ModelShape> complete(ModelShape shape) {
  const std::string source = "shape '" + shape.name + "'";
  for (const ShapeField& field : kFields) FOLIO_TRY_STATUS(check_range(field, shape.*field.number, source));
  if (shape.kv_heads == 0) shape.kv_heads = shape.heads;
  if (shape.heads % shape.kv_heads != 0)
    return fail(ErrorKind::kInvalid, "{}: kv_heads must divide heads; {} does not divide {}", source,
                shape.kv_heads, shape.heads);
  if (shape.head_dim == 0) {
    if (shape.hidden % shape.heads != 0)
      return fail(ErrorKind::kInvalid,
                  "{}: heads must divide hidden where head_dim is not given; {} does not "
                  "divide {}",
                  source, shape.heads, shape.hidden);
    shape.head_dim = shape.hidden / shape.heads;
  }
  if (shape.head_dim % 2 != 0)
    return fail(ErrorKind::kInvalid, "{}: head_dim must be even, because pairs are rotated; {} is not",
                source, shape.head_dim);
  return shape;
}

}  // namespace folio::model_maker
