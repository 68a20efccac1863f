// parse_gguf(): one file's header, metadata and tensor table.
#include <algorithm>
#include <bit>
#include <optional>
#include <unordered_set>

#include "weights/gguf.h"
#include "weights/gguf_cursor.h"
#include "weights/quote.h"

namespace folio::weights {
namespace {

constexpr std::uint32_t kDefaultAlignment = 32;
constexpr std::uint64_t kMinEntryBytes = 8 + 4 + 1;       // empty key, type, one-byte value
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // empty name, no dims, type, offset

struct Counts {
  std::uint32_t version;
  std::uint64_t tensors;
  std::uint64_t entries;
};

std::string names_of_types() {
  std::string names;
  for (const auto& type : kernels::tensor_types()) {
    if (!names.empty()) names += ' ';
    names += type.name;
  }
  return names;
}

// Error: more than `limit`, or more than the rest of the file can hold.
Status check_count(const GgufCursor& in, std::uint64_t count, std::string_view what, std::uint64_t limit,
                   std::uint64_t min_bytes) {
  const std::uint64_t at = in.offset() - sizeof count;
  if (count > limit) {
    return in.error(ErrorKind::kTooLarge, at, fmt::format("{} is {}, the limit is {}", what, count, limit));
  }
  if (count > in.left() / min_bytes) {
    return in.error(
        ErrorKind::kInvalid, at,
        fmt::format("{} is {}, more than the {} bytes left in the file can hold", what, count, in.left()));
  }
  return {};
}

Result<std::uint32_t> read_version(GgufCursor& in) {
  FOLIO_TRY(magic, in.take(4, "magic"));
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) return in.error(ErrorKind::kInvalid, 0, "magic is not GGUF");
  FOLIO_TRY(version, in.number<std::uint32_t>("version"));
  if (version == 2 || version == 3) return version;
  if ((version & 0xffffu) == 0 && version != 0) {
    return in.error(ErrorKind::kUnsupported, 4, "the file is big-endian; convert it to little-endian");
  }
  return in.error(ErrorKind::kUnsupported, 4, fmt::format("version is {}, folio reads 2 and 3", version));
}

Result<Counts> read_header(GgufCursor& in) {
  FOLIO_TRY(version, read_version(in));
  FOLIO_TRY(tensors, in.number<std::uint64_t>("tensor count"));
  FOLIO_TRY_STATUS(check_count(in, tensors, "tensor count", kMaxTensors, kMinTensorBytes));
  FOLIO_TRY(entries, in.number<std::uint64_t>("metadata count"));
  FOLIO_TRY_STATUS(check_count(in, entries, "metadata count", kMaxGgufEntries, kMinEntryBytes));
  return Counts{version, tensors, entries};
}

Result<GgufValue> read_strings(GgufCursor& in, std::uint64_t count) {
  GgufStrings strings;
  strings.reserve(count);  // the caller compared count with the bytes left
  for (std::uint64_t i = 0; i < count; ++i) {
    auto element = in.string("array element", kMaxGgufStringBytes);
    if (!element) return pass(std::move(element));
    strings.push_back(*element);
  }
  return strings;
}

Result<GgufValue> read_array(GgufCursor& in) {
  const std::uint64_t at = in.offset();
  FOLIO_TRY(id, in.number<std::uint32_t>("array element type"));
  const auto element = static_cast<GgufType>(id);
  if (element == GgufType::kArray) {
    return in.error(ErrorKind::kUnsupported, at, "an array of arrays, which folio does not read");
  }
  const bool strings = element == GgufType::kString;
  const std::uint64_t width = strings ? sizeof(std::uint64_t) : gguf_type_width(element);
  if (width == 0)
    return in.error(ErrorKind::kInvalid, at, fmt::format("array element type {} is unknown", id));
  FOLIO_TRY(count, in.number<std::uint64_t>("array length"));
  FOLIO_TRY_STATUS(check_count(in, count, "array length", kMaxGgufArrayElements, width));
  if (strings) return read_strings(in, count);
  FOLIO_TRY(bytes, in.take(count * width, "array"));
  return GgufNumbers{element, count, bytes};
}

template <typename T>
Result<GgufValue> read_number(GgufCursor& in) {
  FOLIO_TRY(value, in.number<T>("value"));
  return value;
}

Result<GgufValue> read_value(GgufCursor& in, std::uint32_t type) {
  switch (static_cast<GgufType>(type)) {
    case GgufType::kU8:
      return read_number<std::uint8_t>(in);
    case GgufType::kI8:
      return read_number<std::int8_t>(in);
    case GgufType::kU16:
      return read_number<std::uint16_t>(in);
    case GgufType::kI16:
      return read_number<std::int16_t>(in);
    case GgufType::kU32:
      return read_number<std::uint32_t>(in);
    case GgufType::kI32:
      return read_number<std::int32_t>(in);
    case GgufType::kF32:
      return read_number<float>(in);
    case GgufType::kU64:
      return read_number<std::uint64_t>(in);
    case GgufType::kI64:
      return read_number<std::int64_t>(in);
    case GgufType::kF64:
      return read_number<double>(in);
    case GgufType::kArray:
      return read_array(in);
    case GgufType::kBool: {
      FOLIO_TRY(value, in.number<std::uint8_t>("value"));
      return value != 0;
    }
    case GgufType::kString: {
      FOLIO_TRY(value, in.string("value", kMaxGgufStringBytes));
      return value;
    }
  }
  return in.error(ErrorKind::kInvalid, in.offset() - sizeof type,
                  fmt::format("value type {} is unknown", type));
}

Status read_entries(GgufCursor& in, std::uint64_t count, GgufMetadata& metadata) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = in.offset();
    in.set_field(fmt::format("metadata entry {}", i));
    FOLIO_TRY(key, in.string("key", kMaxGgufKeyBytes));
    in.set_field(fmt::format("metadata key {}", quote(key)));
    FOLIO_TRY(type, in.number<std::uint32_t>("value type"));
    const std::uint64_t value_at = in.offset();
    FOLIO_TRY(value, read_value(in, type));
    if (!metadata.add({key, std::move(value), value_at})) {
      return in.error(ErrorKind::kInvalid, at, "the key is there twice");
    }
  }
  return {};
}

Result<std::uint32_t> read_alignment(const GgufMetadata& metadata) {
  FOLIO_TRY(found, metadata.find_u32("general.alignment"));
  const std::uint32_t alignment = found.value_or(kDefaultAlignment);
  if (!std::has_single_bit(alignment) || alignment > kMaxGgufAlignment) {
    return fail(ErrorKind::kInvalid,
                "{}: metadata key 'general.alignment' at byte {} is {}, expected a power of two up to {}",
                metadata.source(), metadata.find("general.alignment")->offset, alignment, kMaxGgufAlignment);
  }
  return alignment;
}

// A line of the tensor table.
struct TensorLine {
  Tensor tensor;     // without data
  std::uint64_t at;  // where the line starts
  std::uint64_t offset;
  std::uint64_t bytes;
};

// Row-major shape from the file's dims, which name the contiguous one first. No dims: one number.
Result<std::vector<std::uint64_t>> read_shape(GgufCursor& in) {
  const std::uint64_t at = in.offset();
  FOLIO_TRY(dims, in.number<std::uint32_t>("number of dimensions"));
  if (dims > kMaxGgufDims) {
    return in.error(ErrorKind::kInvalid, at,
                    fmt::format("{} dimensions, at most {} are allowed", dims, kMaxGgufDims));
  }
  std::vector<std::uint64_t> shape;
  for (std::uint32_t i = 0; i < dims; ++i) {
    const std::uint64_t dim_at = in.offset();
    FOLIO_TRY(dim, in.number<std::uint64_t>("dimension"));
    if (dim == 0) return in.error(ErrorKind::kInvalid, dim_at, fmt::format("dimension {} is 0", i));
    shape.push_back(dim);
  }
  if (shape.empty()) shape.push_back(1);
  std::ranges::reverse(shape);
  return shape;
}

// Bytes of a tensor; nullopt if they do not fit 63 bits.
std::optional<std::uint64_t> size_of(const kernels::TensorTypeInfo& type,
                                     const std::vector<std::uint64_t>& shape) {
  std::uint64_t bytes = type.bytes;
  if (__builtin_mul_overflow(bytes, shape.back() / type.elements, &bytes)) return std::nullopt;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) {
    if (__builtin_mul_overflow(bytes, shape[i], &bytes)) return std::nullopt;
  }
  return bytes <= std::uint64_t{INT64_MAX} - kMaxGgufAlignment ? std::optional(bytes) : std::nullopt;
}

Result<TensorLine> read_tensor_line(GgufCursor& in, std::uint64_t i) {
  const std::uint64_t at = in.offset();
  in.set_field(fmt::format("tensor {}", i));
  FOLIO_TRY(name, in.string("name", kMaxGgufNameBytes));
  in.set_field(fmt::format("tensor {}", quote(name)));
  const std::uint64_t shape_at = in.offset();
  FOLIO_TRY(shape, read_shape(in));
  const std::uint64_t type_at = in.offset();
  FOLIO_TRY(id, in.number<std::uint32_t>("type"));
  const kernels::TensorTypeInfo* type = kernels::find_tensor_type(id);
  if (type == nullptr) {
    return in.error(ErrorKind::kUnsupported, type_at,
                    fmt::format("type {} is not supported; folio reads {}", id, names_of_types()));
  }
  if (shape.back() % type->elements != 0) {
    return in.error(ErrorKind::kInvalid, shape_at,
                    fmt::format("rows of {} numbers are no multiple of {}, the block of {}", shape.back(),
                                type->elements, type->name));
  }
  const std::optional<std::uint64_t> bytes = size_of(*type, shape);
  if (!bytes) return in.error(ErrorKind::kInvalid, shape_at, "the product of the dimensions overflows");
  FOLIO_TRY(offset, in.number<std::uint64_t>("offset"));
  return TensorLine{{std::string(name), type->type, std::move(shape), {}}, at, offset, *bytes};
}

constexpr std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

// Gives each tensor its bytes. They follow each other in the order of the table, so they cannot overlap.
Status place_tensors(GgufCursor& in, std::span<const std::byte> bytes, std::uint64_t alignment,
                     std::vector<TensorLine>& lines) {
  const std::uint64_t data_at = padded(in.offset(), alignment);
  std::uint64_t expected = 0;
  for (TensorLine& line : lines) {
    in.set_field(fmt::format("tensor {}", quote(line.tensor.name)));
    if (line.offset != expected) {
      return in.error(ErrorKind::kInvalid, line.at,
                      fmt::format("offset is {}, expected {}: the padded end of the tensor before it",
                                  line.offset, expected));
    }
    // Below 2^63: data_at + expected is inside the file, or was refused in the round before.
    const std::uint64_t end = data_at + expected + line.bytes;
    if (end > bytes.size()) {
      return in.error(
          ErrorKind::kInvalid, data_at + expected,
          fmt::format("its {} bytes end at byte {} but the file ends at byte {}; it is truncated or damaged",
                      line.bytes, end, bytes.size()));
    }
    line.tensor.data = bytes.subspan(data_at + expected, line.bytes);
    expected = padded(expected + line.bytes, alignment);
  }
  return {};
}

}  // namespace

Result<GgufPart> parse_gguf(std::span<const std::byte> bytes, std::string_view source) {
  GgufCursor in(bytes, source);
  FOLIO_TRY(counts, read_header(in));
  GgufPart part{.version = counts.version, .metadata = GgufMetadata(std::string(source))};
  FOLIO_TRY_STATUS(read_entries(in, counts.entries, part.metadata));
  FOLIO_TRY(alignment, read_alignment(part.metadata));

  std::vector<TensorLine> lines;
  lines.reserve(counts.tensors);
  std::unordered_set<std::string_view> names;
  for (std::uint64_t i = 0; i < counts.tensors; ++i) {
    FOLIO_TRY(line, read_tensor_line(in, i));
    lines.push_back(std::move(line));
    if (!names.insert(lines.back().tensor.name).second) {
      return in.error(ErrorKind::kInvalid, lines.back().at, "the tensor is there twice");
    }
  }
  part.head = bytes.first(in.offset());
  FOLIO_TRY_STATUS(place_tensors(in, bytes, alignment, lines));
  part.tensors.reserve(lines.size());
  for (TensorLine& line : lines) part.tensors.push_back(std::move(line.tensor));
  return part;
}

}  // namespace folio::weights
