#include "weights/gguf_metadata.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "weights/quote.h"

namespace folio::weights {
namespace {

struct TypeFacts {
  std::string_view name;
  std::size_t width;
};

constexpr TypeFacts kTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                                {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                                {"u64", 8}, {"i64", 8}, {"f64", 8}};

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Calls visit(number) with element i in its own type; bool as bool.
template <typename Visit>
auto with_element(const GgufNumbers& array, std::uint64_t i, Visit visit) {
  const std::byte* at = array.bytes.data() + i * gguf_type_width(array.element);
  switch (array.element) {
    case GgufType::kU8:
      return visit(load<std::uint8_t>(at));
    case GgufType::kI8:
      return visit(load<std::int8_t>(at));
    case GgufType::kU16:
      return visit(load<std::uint16_t>(at));
    case GgufType::kI16:
      return visit(load<std::int16_t>(at));
    case GgufType::kU32:
      return visit(load<std::uint32_t>(at));
    case GgufType::kI32:
      return visit(load<std::int32_t>(at));
    case GgufType::kF32:
      return visit(load<float>(at));
    case GgufType::kBool:
      return visit(load<std::uint8_t>(at) != 0);
    case GgufType::kU64:
      return visit(load<std::uint64_t>(at));
    case GgufType::kI64:
      return visit(load<std::int64_t>(at));
    default:
      return visit(load<double>(at));
  }
}

template <typename To, typename From>
std::optional<To> integer_as(From value) {
  if constexpr (!std::is_integral_v<From>) {
    return std::nullopt;
  } else if constexpr (std::is_same_v<From, bool>) {
    return static_cast<To>(value);
  } else {
    return std::in_range<To>(value) ? std::optional(static_cast<To>(value)) : std::nullopt;
  }
}

template <typename T, typename Held>
std::optional<T> held_as(const Held& held) {
  constexpr bool kIntegers = std::is_integral_v<Held> && std::is_integral_v<T>;
  constexpr bool kBools = std::is_same_v<Held, bool> || std::is_same_v<T, bool>;
  if constexpr (std::is_same_v<Held, T>) {
    return held;
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Held, double>) {
    return static_cast<float>(held);
  } else if constexpr (kIntegers && !kBools) {
    return integer_as<T>(held);
  } else {
    return std::nullopt;
  }
}

// A scalar as T; nullopt if it is of another kind or does not fit.
template <typename T>
std::optional<T> scalar_as(const GgufValue& value) {
  return std::visit([](const auto& held) { return held_as<T>(held); }, value);
}

// " -5" for an integer, so that a message shows why it does not fit; else nothing.
std::string shown_integer(const GgufValue& value) {
  return std::visit(
      [](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_integral_v<Held> && !std::is_same_v<Held, bool>)
          return fmt::format(" {}", held);
        return std::string();
      },
      value);
}

template <typename T>
Result<T> required(Result<std::optional<T>> found, const std::unexpected<Error>& missing) {
  if (!found) return pass(std::move(found));
  if (!*found) return missing;
  return std::move(**found);
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  const auto id = static_cast<std::uint32_t>(type);
  return id < std::size(kTypes) ? kTypes[id].name : "unknown";
}

std::size_t gguf_type_width(GgufType type) {
  const auto id = static_cast<std::uint32_t>(type);
  return id < std::size(kTypes) ? kTypes[id].width : 0;
}

double GgufNumbers::as_f64(std::uint64_t i) const {
  return with_element(*this, i, [](auto value) { return static_cast<double>(value); });
}

std::optional<std::int64_t> GgufNumbers::as_i64(std::uint64_t i) const {
  return with_element(*this, i, [](auto value) { return integer_as<std::int64_t>(value); });
}

std::string gguf_value_type(const GgufValue& value) {
  if (const auto* numbers = std::get_if<GgufNumbers>(&value)) {
    return fmt::format("array of {} {}", numbers->count, gguf_type_name(numbers->element));
  }
  if (const auto* strings = std::get_if<GgufStrings>(&value))
    return fmt::format("array of {} string", strings->size());
  static constexpr std::string_view kScalars[] = {"u8",  "i8",   "u16",    "i16", "u32", "i32",
                                                  "f32", "bool", "string", "u64", "i64", "f64"};
  return std::string(kScalars[value.index()]);
}

bool GgufMetadata::add(GgufEntry entry) {
  if (!index_.emplace(entry.key, entries_.size()).second) return false;
  entries_.push_back(std::move(entry));
  return true;
}

const GgufEntry* GgufMetadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::unexpected<Error> GgufMetadata::missing(std::string_view key) const {
  return fail(ErrorKind::kInvalid, "{}: metadata key {} is missing", source_, quote(key));
}

std::unexpected<Error> GgufMetadata::wrong_type(const GgufEntry& found, std::string_view wanted) const {
  return fail(ErrorKind::kInvalid, "{}: metadata key {} at byte {} is {}{}, expected {}", source_,
              quote(found.key), found.offset, gguf_value_type(found.value), shown_integer(found.value),
              wanted);
}

std::unexpected<Error> GgufMetadata::wrong_element(const GgufEntry& found, std::uint64_t i,
                                                   std::string_view wanted) const {
  return fail(ErrorKind::kInvalid, "{}: metadata key {} at byte {}: element {} is no {}", source_,
              quote(found.key), found.offset, i, wanted);
}

template <typename T>
Result<std::optional<T>> GgufMetadata::find_scalar(std::string_view key, std::string_view wanted) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<T>();
  const std::optional<T> held = scalar_as<T>(entry->value);
  if (!held) return wrong_type(*entry, wanted);
  return held;
}

Result<std::optional<std::uint32_t>> GgufMetadata::find_u32(std::string_view key) const {
  return find_scalar<std::uint32_t>(key, "an unsigned 32-bit integer");
}
Result<std::optional<std::uint64_t>> GgufMetadata::find_u64(std::string_view key) const {
  return find_scalar<std::uint64_t>(key, "an unsigned integer");
}
Result<std::optional<float>> GgufMetadata::find_f32(std::string_view key) const {
  return find_scalar<float>(key, "a float");
}
Result<std::optional<bool>> GgufMetadata::find_bool(std::string_view key) const {
  return find_scalar<bool>(key, "a bool");
}
Result<std::optional<std::string_view>> GgufMetadata::find_string(std::string_view key) const {
  return find_scalar<std::string_view>(key, "a string");
}

Result<std::uint32_t> GgufMetadata::get_u32(std::string_view key) const {
  return required(find_u32(key), missing(key));
}
Result<std::string_view> GgufMetadata::get_string(std::string_view key) const {
  return required(find_string(key), missing(key));
}

Result<std::span<const std::string_view>> GgufMetadata::get_string_array(std::string_view key) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return missing(key);
  if (const auto* numbers = std::get_if<GgufNumbers>(&entry->value);
      numbers != nullptr && numbers->count == 0) {
    return std::span<const std::string_view>();
  }
  const auto* strings = std::get_if<GgufStrings>(&entry->value);
  if (strings == nullptr) return wrong_type(*entry, "an array of strings");
  return std::span<const std::string_view>(*strings);
}

Result<std::optional<std::vector<std::int32_t>>> GgufMetadata::find_i32_array(std::string_view key) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<std::vector<std::int32_t>>();
  const auto* numbers = std::get_if<GgufNumbers>(&entry->value);
  if (numbers == nullptr) return wrong_type(*entry, "an array of integers");
  std::vector<std::int32_t> out(numbers->count);
  for (std::uint64_t i = 0; i < numbers->count; ++i) {
    const std::optional<std::int64_t> number = numbers->as_i64(i);
    if (!number || !std::in_range<std::int32_t>(*number)) {
      return wrong_element(*entry, i, "32-bit integer");
    }
    out[i] = static_cast<std::int32_t>(*number);
  }
  return out;
}

Result<std::optional<std::vector<float>>> GgufMetadata::find_f32_array(std::string_view key) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<std::vector<float>>();
  const auto* numbers = std::get_if<GgufNumbers>(&entry->value);
  const bool floats =
      numbers != nullptr && (numbers->element == GgufType::kF32 || numbers->element == GgufType::kF64);
  if (!floats) return wrong_type(*entry, "an array of floats");
  std::vector<float> out(numbers->count);
  for (std::uint64_t i = 0; i < numbers->count; ++i) out[i] = static_cast<float>(numbers->as_f64(i));
  return out;
}

Result<std::optional<std::vector<std::uint32_t>>> GgufMetadata::find_u32_per_layer(
    std::string_view key, std::uint32_t layers) const {
  const GgufEntry* entry = find(key);
  if (entry == nullptr) return std::optional<std::vector<std::uint32_t>>();
  if (layers > kMaxGgufLayers) {
    return fail(ErrorKind::kTooLarge, "{}: {} layers are more than the limit of {}", source_, layers,
                kMaxGgufLayers);
  }
  const auto* numbers = std::get_if<GgufNumbers>(&entry->value);
  if (numbers == nullptr) {
    const std::optional<std::uint32_t> all = scalar_as<std::uint32_t>(entry->value);
    if (!all) return wrong_type(*entry, "an unsigned 32-bit integer or an array of them");
    return std::vector<std::uint32_t>(layers, *all);
  }
  if (numbers->count != layers) {
    return fail(ErrorKind::kInvalid, "{}: metadata key {} at byte {} has {} elements for {} layers", source_,
                quote(key), entry->offset, numbers->count, layers);
  }
  std::vector<std::uint32_t> out(layers);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::optional<std::int64_t> number = numbers->as_i64(i);
    if (!number || !std::in_range<std::uint32_t>(*number)) {
      return wrong_element(*entry, i, "unsigned 32-bit integer");
    }
    out[i] = static_cast<std::uint32_t>(*number);
  }
  return out;
}

Result<std::vector<std::uint32_t>> GgufMetadata::get_u32_per_layer(std::string_view key,
                                                                   std::uint32_t layers) const {
  return required(find_u32_per_layer(key, layers), missing(key));
}

}  // namespace folio::weights
