// IEEE binary16 (f16) and bfloat16 (bf16) to and from float32, one number at a time.
//
// Exact where the target can hold the value; otherwise round to nearest, ties to even. Subnormals are kept,
// overflow becomes infinity, NaN stays NaN with its upper payload bits and becomes quiet (as F16C's
// instructions do). No flush-to-zero mode of the thread changes a result. f16_to_f32 is branch-free, so that
// loops over it vectorise.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace folio::kernels {

constexpr float f16_to_f32(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  // Subnormals are mantissa * 2^-24, all of which are normal float32 numbers.
  const float small = static_cast<float>(static_cast<int>(magnitude)) * 0x1p-24f;
  const std::uint32_t normal = (magnitude << 13) + ((127u - 15u) << 23);
  const std::uint32_t special = (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00u ? 0x00400000u : 0u);
  // All ones where the case holds: masks, since compilers turn a choice between float results into a branch.
  const std::uint32_t is_small = 0u - static_cast<std::uint32_t>(magnitude < 0x0400u);
  const std::uint32_t is_special = 0u - static_cast<std::uint32_t>(magnitude >= 0x7c00u);
  const std::uint32_t finite = (std::bit_cast<std::uint32_t>(small) & is_small) | (normal & ~is_small);
  return std::bit_cast<float>(sign | (special & is_special) | (finite & ~is_special));
}

constexpr std::uint16_t f32_to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x03ffu));
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // from 65520 on: infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 moves the result's bits, rounded, to the low end
    const float moved = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(moved) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13));
}

constexpr float bf16_to_f32(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

constexpr std::uint16_t f32_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x0040u;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded);
}

// Loads from any address, little-endian as every file format here is.
inline std::uint16_t load_u16(const void* from) {
  std::uint16_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline std::uint32_t load_u32(const void* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline float load_f16(const void* from) { return f16_to_f32(load_u16(from)); }

}  // namespace folio::kernels
