// GgufMetadata: the typed key-value list at the head of a GGUF file, in file order.
//
// Ownership: strings and arrays are views into the file's bytes, which must outlive this object (GgufModel
// keeps the mapping beside it). Threads: const use from any thread. Cost of a lookup: one hash.
//
// Getters come in two forms: get_*() wants the key to be there, find_*() answers nullopt when it is not. Both
// answer an error that names file, key, and the type found when the value is of another kind. Integers of any
// width are taken where the value fits; an f64 is taken where an f32 is wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"

namespace folio::weights {

// clang-format off
enum class GgufType : std::uint32_t {
  kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9,
  kU64 = 10, kI64 = 11, kF64 = 12,
};
// clang-format on

// "u32"; "unknown" for an id outside the enum.
std::string_view gguf_type_name(GgufType type);

// Bytes of a number or bool; 0 for strings, arrays and ids outside the enum.
std::size_t gguf_type_width(GgufType type);

// An array of numbers or bools as it stands in the file: little-endian, any alignment.
struct GgufNumbers {
  GgufType element;
  std::uint64_t count;
  std::span<const std::byte> bytes;  // count * width of element

  double as_f64(std::uint64_t i) const;  // any element type; exact up to 2^53. Requires: i < count
  std::optional<std::int64_t> as_i64(
      std::uint64_t i) const;  // nullopt: a float, or does not fit. Requires: i < count
};

// Most layers that get_u32_per_layer() answers for.
inline constexpr std::uint32_t kMaxGgufLayers = 1u << 16;

using GgufStrings = std::vector<std::string_view>;

using GgufValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float,
                 bool, std::string_view, std::uint64_t, std::int64_t, double, GgufNumbers, GgufStrings>;

struct GgufEntry {
  std::string_view key;
  GgufValue value;
  std::uint64_t offset = 0;  // of the value in the file
};

// "u32", "string", "array of 12 f32".
std::string gguf_value_type(const GgufValue& value);

class GgufMetadata {
 public:
  GgufMetadata() = default;
  explicit GgufMetadata(std::string source) : source_(std::move(source)) {}

  const std::string& source() const { return source_; }  // the file that messages name
  std::span<const GgufEntry> all() const { return entries_; }
  const GgufEntry* find(std::string_view key) const;  // nullptr if absent
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  Result<std::uint32_t> get_u32(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;

  Result<std::optional<std::uint32_t>> find_u32(std::string_view key) const;
  Result<std::optional<std::uint64_t>> find_u64(std::string_view key) const;
  Result<std::optional<float>> find_f32(std::string_view key) const;
  Result<std::optional<bool>> find_bool(std::string_view key) const;
  Result<std::optional<std::string_view>> find_string(std::string_view key) const;

  // Arrays. The span of strings stays valid when this object is moved and ends with it.
  Result<std::span<const std::string_view>> get_string_array(std::string_view key) const;
  Result<std::optional<std::vector<std::int32_t>>> find_i32_array(std::string_view key) const;
  Result<std::optional<std::vector<float>>> find_f32_array(std::string_view key) const;

  // A value given once for all layers or as an array of one per layer: always `layers` numbers (bools count
  // as 0 and 1).
  Result<std::vector<std::uint32_t>> get_u32_per_layer(std::string_view key, std::uint32_t layers) const;
  Result<std::optional<std::vector<std::uint32_t>>> find_u32_per_layer(std::string_view key,
                                                                       std::uint32_t layers) const;

  // Used by the reader. False if the key is already there.
  bool add(GgufEntry entry);

 private:
  template <typename T>
  Result<std::optional<T>> find_scalar(std::string_view key, std::string_view wanted) const;
  std::unexpected<Error> missing(std::string_view key) const;
  std::unexpected<Error> wrong_type(const GgufEntry& found, std::string_view wanted) const;
  std::unexpected<Error> wrong_element(const GgufEntry& found, std::uint64_t i,
                                       std::string_view wanted) const;

  std::string source_;
  std::vector<GgufEntry> entries_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace folio::weights
