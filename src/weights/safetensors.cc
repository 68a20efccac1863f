#include "weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "weights/quote.h"
#include "weights/safetensors_header.h"

namespace folio::weights {
namespace {

struct Dtype {
  std::string_view name;
  std::uint32_t bits;
};

// Source: the safetensors format, enum Dtype.
constexpr Dtype kDtypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},    {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16}, {"BF16", 16}, {"I32", 32},
    {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64}, {"U64", 64},
};

// Bytes of a tensor; nullopt if they overflow or are not whole.
std::optional<std::uint64_t> size_of(const SafetensorsLine& line, std::uint32_t bits) {
  std::uint64_t size = bits;
  for (const std::uint64_t dim : line.shape) {
    if (__builtin_mul_overflow(size, dim, &size)) return std::nullopt;
  }
  return size % 8 == 0 ? std::optional(size / 8) : std::nullopt;
}

// Error unless dtype and shape agree with data_offsets.
Status check_line(const SafetensorsLine& line, std::string_view source) {
  const std::optional<std::uint32_t> bits = safetensors_dtype_bits(line.dtype);
  if (!bits) {
    return fail(ErrorKind::kUnsupported, "{}: tensor {} has the unknown dtype {} (byte {})", source,
                quote(line.name), quote(line.dtype), line.at);
  }
  const std::optional<std::uint64_t> size = size_of(line, *bits);
  if (!size) {
    return fail(ErrorKind::kInvalid,
                "{}: tensor {} has a shape whose size overflows or is no whole number of bytes (byte {})",
                source, quote(line.name), line.at);
  }
  if (line.end < line.begin || line.end - line.begin != *size) {
    return fail(ErrorKind::kInvalid,
                "{}: tensor {} needs {} bytes but its data_offsets are [{}, {}) (byte {})", source,
                quote(line.name), *size, line.begin, line.end, line.at);
  }
  return {};
}

// Error unless the tensors, ordered by offset, cover `data_bytes` without overlap, hole or rest.
Status check_cover(const std::vector<SafetensorsLine>& lines, std::uint64_t data_at, std::uint64_t data_bytes,
                   std::string_view source) {
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(lines[i].begin, lines[i].end); });
  std::uint64_t covered = 0;
  for (const std::size_t i : order) {
    const SafetensorsLine& line = lines[i];
    if (line.begin != covered) {
      return fail(ErrorKind::kInvalid,
                  "{}: tensor {} starts at {} of the data, {} the end of the tensor before it, {} (byte {})",
                  source, quote(line.name), line.begin,
                  line.begin < covered ? "inside, before" : "after a hole behind", covered, line.at);
    }
    if (line.end > data_bytes) {
      return fail(ErrorKind::kInvalid,
                  "{}: tensor {} ends at byte {} but the file ends at byte {}; it is truncated or damaged "
                  "(byte {})",
                  source, quote(line.name), data_at + line.end, data_at + data_bytes, line.at);
    }
    covered = line.end;
  }
  if (covered == data_bytes) return {};
  return fail(ErrorKind::kInvalid, "{}: {} bytes after the last tensor belong to none (byte {})", source,
              data_bytes - covered, data_at + covered);
}

Result<std::string_view> header_text(std::span<const std::byte> bytes, std::string_view source) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) {
    return fail(ErrorKind::kInvalid, "{}: header size needs 8 bytes but the file ends at byte {} (byte 0)",
                source, bytes.size());
  }
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kMaxSafetensorsHeaderBytes) {
    return fail(ErrorKind::kTooLarge,
                "{}: header size is {} bytes, the limit is {}; is it a safetensors file? (byte 0)", source,
                size, kMaxSafetensorsHeaderBytes);
  }
  if (size > bytes.size() - sizeof size) {
    return fail(ErrorKind::kInvalid,
                "{}: header of {} bytes does not fit: the file ends at byte {}; it is truncated (byte 0)",
                source, size, bytes.size());
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof size, size);
  if (!text.starts_with('{'))
    return fail(ErrorKind::kInvalid, "{}: header does not start with {{ (byte 8)", source);
  return text;
}

}  // namespace

std::optional<std::uint32_t> safetensors_dtype_bits(std::string_view dtype) {
  const auto* found = std::ranges::find(kDtypes, dtype, &Dtype::name);
  return found != std::end(kDtypes) ? std::optional(found->bits) : std::nullopt;
}

const SafetensorsEntry* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::ranges::find(entries, name, &SafetensorsEntry::name);
  return found != entries.end() ? &*found : nullptr;
}

const std::string* SafetensorsHeader::find_metadata(std::string_view key) const {
  const auto found = std::ranges::find(metadata, key, &std::pair<std::string, std::string>::first);
  return found != metadata.end() ? &found->second : nullptr;
}

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> bytes, std::string_view source) {
  FOLIO_TRY(text, header_text(bytes, source));
  const std::uint64_t data_at = sizeof(std::uint64_t) + text.size();
  FOLIO_TRY(lines, read_safetensors_header(text, sizeof(std::uint64_t), source));
  for (const SafetensorsLine& line : lines.tensors) FOLIO_TRY_STATUS(check_line(line, source));
  FOLIO_TRY_STATUS(check_cover(lines.tensors, data_at, bytes.size() - data_at, source));

  SafetensorsHeader header;
  header.metadata = std::move(lines.metadata);
  header.entries.reserve(lines.tensors.size());
  for (SafetensorsLine& line : lines.tensors) {
    const std::uint64_t at = data_at + line.begin;
    const auto data = bytes.subspan(at, line.end - line.begin);
    header.entries.push_back({std::move(line.name), std::move(line.dtype), std::move(line.shape), data, at});
  }
  return header;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  FOLIO_TRY(file, platform::MappedFile::open(path));
  auto header = parse_safetensors(file.bytes(), path);
  FOLIO_TRY_STATUS(file.check_whole());  // what was read of a file cut short is no matter
  if (!header) return pass(std::move(header));
  return SafetensorsFile{std::move(file), std::move(*header)};
}

}  // namespace folio::weights
