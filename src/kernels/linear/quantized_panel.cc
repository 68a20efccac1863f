#include "kernels/linear/quantized_panel.h"

#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/linear/block_parts.h"
#include "kernels/linear/panel_units.h"
#include "kernels/quant/half.h"

namespace folio::kernels {
namespace {

enum class Codes : std::uint8_t { kBytes, kNibbles, kPairs };
enum class Scale : std::uint8_t { kHalf, kBfloat, kTimesByte, kTimesSignedByte, kTimesLowNibble };
enum class Minimum : std::uint8_t { kNone, kHalf, kTimesByte, kTimesHighNibble };  // kHalf is added

// How a format is laid out and what its numbers mean: the table of linear_kernels.h.
struct QuantizedFormat {
  UnitLayout units;
  Codes codes;
  Scale scale = Scale::kHalf;
  Minimum minimum = Minimum::kNone;
  int offset = 0;
  const signed char* table = nullptr;

  // Lines of whole codes, nibbles or pairs in a group; the bits that follow them, per code.
  std::size_t lines() const {
    return codes == Codes::kBytes ? units.columns / 4 : codes == Codes::kNibbles ? units.columns / 8 : 1;
  }
  unsigned high_bits() const {
    const std::size_t rest =
        units.code_bytes - lines() * 64;  // 16 outputs times `columns` times the bits / 8
    return static_cast<unsigned>(rest * 8 / (units.columns * kPanelOutputs));
  }
};

QuantizedFormat describe(LinearFormat format) {
  switch (format) {
    case LinearFormat::kQ8_0:
      return {.units = kQ8_0Units, .codes = Codes::kBytes};
    case LinearFormat::kQ4_0:
      return {.units = kQ4_0Units, .codes = Codes::kNibbles, .offset = 8};
    case LinearFormat::kQ4_1:
      return {.units = kQ4_1Units, .codes = Codes::kNibbles, .minimum = Minimum::kHalf};
    case LinearFormat::kQ5_0:
      return {.units = kQ5_0Units, .codes = Codes::kNibbles, .offset = 16};
    case LinearFormat::kQ5_1:
      return {.units = kQ5_1Units, .codes = Codes::kNibbles, .minimum = Minimum::kHalf};
    case LinearFormat::kQ4_K:
    case LinearFormat::kQ5_K:
      return {.units = format == LinearFormat::kQ4_K ? kQ4_KUnits : kQ5_KUnits,
              .codes = Codes::kNibbles,
              .scale = Scale::kTimesByte,
              .minimum = Minimum::kTimesByte};
    case LinearFormat::kQ6_K:
      return {.units = kQ6_KUnits, .codes = Codes::kNibbles, .scale = Scale::kTimesSignedByte, .offset = 32};
    case LinearFormat::kQ2_K:
      return {.units = kQ2_KUnits,
              .codes = Codes::kPairs,
              .scale = Scale::kTimesLowNibble,
              .minimum = Minimum::kTimesHighNibble};
    case LinearFormat::kQ3_K:
      return {.units = kQ3_KUnits, .codes = Codes::kPairs, .scale = Scale::kTimesSignedByte, .offset = 4};
    case LinearFormat::kIQ4_NL:
      return {.units = kQ4_0Units, .codes = Codes::kNibbles, .table = kBell};
    case LinearFormat::kIQ4_XS:
      return {
          .units = kIQ4_XSUnits, .codes = Codes::kNibbles, .scale = Scale::kTimesSignedByte, .table = kBell};
    case LinearFormat::kMXFP4:
      return {.units = kQ4_0Units, .codes = Codes::kNibbles, .scale = Scale::kBfloat, .table = kE2M1};
    case LinearFormat::kF32:
    case LinearFormat::kF16:
    case LinearFormat::kBF16:
    case LinearFormat::kBF16Dots:
    case LinearFormat::kRows:
      break;
  }
  FOLIO_CHECK(false, "not a quantised layout");
}

// ---- codes: words of the four codes of a quad, one byte each

constexpr std::uint32_t kEachByte = 0x01010101;

// The high bits of the quads, each quad's beside those of the one before.
std::uint32_t gather(const std::uint8_t* codes, std::size_t columns, unsigned first_bit, unsigned bits) {
  const std::uint32_t mask = kEachByte * ((1u << bits) - 1);
  std::uint32_t word = 0;
  for (std::size_t quad = 0; quad < columns / 4; ++quad)
    word |= (load_u32(codes + quad * 4) >> first_bit & mask) << (quad * bits);
  return word;
}

void put_word(std::byte* line, std::size_t o, std::uint32_t word) { std::memcpy(line + o * 4, &word, 4); }

// Writes the codes of one group and output to `out`, where the group's codes begin.
void put_codes(const QuantizedFormat& format, const std::uint8_t* codes, std::size_t o, std::byte* out) {
  const std::size_t lines = format.lines(), columns = format.units.columns;
  for (std::size_t line = 0; line < lines; ++line) {
    std::uint32_t word = 0;
    if (format.codes == Codes::kBytes)
      word = load_u32(codes + line * 4);
    else if (format.codes == Codes::kNibbles)
      word = (load_u32(codes + line * 4) & kEachByte * 15) |
             (load_u32(codes + columns / 2 + line * 4) & kEachByte * 15) << 4;
    else
      word = gather(codes, columns, 0, 2);
    put_word(out + line * 64, o, word);
  }
  std::byte* rest = out + lines * 64;
  if (format.codes == Codes::kNibbles && format.high_bits() > 0)
    put_word(rest, o, gather(codes, columns, 4, format.high_bits()));
  if (format.codes == Codes::kPairs && format.high_bits() > 0) {
    const std::uint32_t nibbles = gather(codes, columns, 2, 1);  // one in each byte; two bytes hold the four
    rest[o * 2] = static_cast<std::byte>((nibbles & 15) | (nibbles >> 8 & 15) << 4);
    rest[o * 2 + 1] = static_cast<std::byte>((nibbles >> 16 & 15) | (nibbles >> 24 & 15) << 4);
  }
}

// The inverse: code `k` of a group and output.
int code_at(const QuantizedFormat& format, const std::uint8_t* codes, std::size_t o, std::size_t k) {
  const std::size_t lines = format.lines(), quad = k / 4, lane = o * 4 + k % 4;
  if (format.codes == Codes::kBytes) return static_cast<std::int8_t>(codes[quad * 64 + lane]);
  const std::uint8_t* rest = codes + lines * 64;
  if (format.codes == Codes::kNibbles) {
    const std::uint8_t byte = codes[quad % lines * 64 + lane];
    const int nibble = quad < lines ? byte & 15 : byte >> 4;
    const unsigned bits = format.high_bits();
    return bits == 0 ? nibble : nibble | (rest[lane] >> (quad * bits) & ((1 << bits) - 1)) << 4;
  }
  const int pair = codes[lane] >> (quad * 2) & 3;
  if (format.high_bits() == 0) return pair;
  return pair | (rest[lane / 2] >> (lane % 2 * 4) >> quad & 1) << 2;
}

// ---- scales and minima of one group and output

struct Factors {
  float scale, minimum;
};

Factors factors_at(const QuantizedFormat& format, const std::uint8_t* panel, std::size_t g, std::size_t o) {
  const auto half = [&](std::size_t h) { return load_u16(panel + format.units.halves_at(g, h) + o * 2); };
  const auto byte = [&](std::size_t b) { return panel[format.units.bytes_at(g, b) + o]; };
  const auto scale = [&] {
    switch (format.scale) {
      case Scale::kHalf:
        break;
      case Scale::kBfloat:
        return bf16_to_f32(half(0));
      case Scale::kTimesByte:
        return f16_to_f32(half(0)) * static_cast<float>(byte(0));
      case Scale::kTimesSignedByte:
        return f16_to_f32(half(0)) * static_cast<float>(static_cast<std::int8_t>(byte(0)));
      case Scale::kTimesLowNibble:
        return f16_to_f32(half(0)) * static_cast<float>(byte(0) & 15);
    }
    return f16_to_f32(half(0));
  };
  const auto minimum = [&] {
    switch (format.minimum) {
      case Minimum::kNone:
        break;
      case Minimum::kHalf:
        return f16_to_f32(half(1));
      case Minimum::kTimesByte:
        return -(f16_to_f32(half(1)) * static_cast<float>(byte(1)));
      case Minimum::kTimesHighNibble:
        return -(f16_to_f32(half(1)) * static_cast<float>(byte(0) >> 4));
    }
    return 0.0f;
  };
  return {.scale = scale(), .minimum = minimum()};
}

}  // namespace

std::size_t quantized_panel_bytes(const MatrixShape& shape) {
  const UnitLayout units = describe(shape.format).units;
  const std::size_t unit_columns = units.columns * units.groups;
  return (shape.columns + unit_columns - 1) / unit_columns * units.unit_bytes();
}

void pack_quantized(const MatrixShape& shape, const std::byte* source, std::size_t rows, std::byte* panel) {
  const QuantizedFormat format = describe(shape.format);
  const UnitLayout& units = format.units;
  const TensorTypeInfo& block = info(shape.type);
  const SplitBlock split = block_splitter(shape.type);
  FOLIO_CHECK(split != nullptr, "this type has no panel layout");
  const std::size_t block_groups = block.elements / units.columns;
  for (std::size_t g = 0; g < shape.columns / units.columns; g += units.groups)  // headers end in padding
    std::memset(panel + units.unit_at(g), 0, units.header_bytes());
  BlockParts parts;
  for (std::size_t o = 0; o < rows; ++o)
    for (std::size_t first = 0; first < shape.columns / units.columns; first += block_groups) {
      split(reinterpret_cast<const std::uint8_t*>(source), parts);
      source += block.bytes;
      for (std::size_t h = 0; h < units.group_halves + units.unit_halves; ++h)
        std::memcpy(panel + units.halves_at(first, h) + o * 2, &parts.halves[h], 2);
      for (std::size_t i = 0; i < block_groups; ++i) {
        for (std::size_t b = 0; b < units.bytes; ++b)
          panel[units.bytes_at(first + i, b) + o] = static_cast<std::byte>(parts.bytes[i][b]);
        put_codes(format, parts.codes.data() + i * units.columns, o, panel + units.codes_at(first + i));
      }
    }
}

void unpack_quantized(const MatrixShape& shape, const std::byte* panel, std::size_t o, float* out) {
  const QuantizedFormat format = describe(shape.format);
  const UnitLayout& units = format.units;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(panel);
  for (std::size_t g = 0; g < shape.columns / units.columns; ++g) {
    const Factors factors = factors_at(format, bytes, g, o);
    const std::uint8_t* codes = bytes + units.codes_at(g);
    for (std::size_t k = 0; k < units.columns; ++k) {
      int code = code_at(format, codes, o, k) - format.offset;
      if (format.table != nullptr) code = format.table[code];
      const float value = factors.scale * static_cast<float>(code);
      out[g * units.columns + k] = format.minimum == Minimum::kNone ? value : value + factors.minimum;
    }
  }
}

}  // namespace folio::kernels
