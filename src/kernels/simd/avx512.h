// Sixteen lanes on AVX-512: the vocabulary in which x86_impl.h of each kernel family is written. avx2.h has
// the same. Everything has internal linkage: code compiled for one instruction set must never be linked into
// another's path.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace folio::kernels {
namespace {

inline constexpr int kLaneRegisters = 32;  // F32x16 values that the register file holds

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
// 64 bytes: four consecutive k of each of 16 outputs.
struct Bytes64 {
  __m512i v;
};

inline F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
inline __mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}  // count < 16
// Lanes at or past `count` read nothing and are zero.
inline F32x16 load_first(const float* p, std::size_t count) {
  return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
}
inline void store_first(float* p, F32x16 a, std::size_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), a.v);
}
inline F32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
inline F32x16 zero() { return {_mm512_setzero_ps()}; }
inline F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }

inline float reduce_max(F32x16 a) { return _mm512_reduce_max_ps(a.v); }
// Lane l plus lane l + 8, then + 4, + 2, + 1: the order that reference.cc spells out.
inline float reduce_add(F32x16 a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

// The largest magnitude of all lanes; not finite where one is not.
inline float largest_magnitude(F32x16 a, F32x16 b) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);  // whose bits order like integers, NaN above all
  const __m512i x = _mm512_and_si512(_mm512_castps_si512(a.v), magnitude);
  const __m512i y = _mm512_and_si512(_mm512_castps_si512(b.v), magnitude);
  return __builtin_bit_cast(float, _mm512_reduce_max_epi32(_mm512_max_epi32(x, y)));
}

// Lanes [first, end) of a, minus infinity elsewhere.
inline F32x16 keep_lanes(F32x16 a, std::uint32_t first, std::uint32_t end) {
  const auto mask = static_cast<__mmask16>(((1u << end) - 1u) & ~((1u << first) - 1u));
  return {_mm512_mask_blend_ps(mask, _mm512_set1_ps(-__builtin_inff()), a.v)};
}

// The integer nearest to each lane (ties to even), as float and scaled into an exponent: 2^n for n in [-126,
// 127].
inline F32x16 round_nearest(F32x16 a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline F32x16 power_of_two(F32x16 n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
// a where x >= limit, else zero.
inline F32x16 zero_below(F32x16 x, float limit, F32x16 a) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_set1_ps(limit), _CMP_GE_OQ), a.v)};
}

inline F32x16 load_f16(const std::uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_f16(std::uint16_t* p, F32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
// 32 bf16 as 16 pairs: the first and the second of each pair, expanded.
inline void load_bf16_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  const __m512i pairs = _mm512_loadu_si512(p);
  first.v = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  second.v = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

// The nearest bf16 of each lane, ties to even; NaN becomes quiet. In integers: the conversion instruction
// takes denormals for zero.
inline void store_bf16(std::uint16_t* p, F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v), high = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i raised = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i rounded =
      _mm512_mask_or_epi32(_mm512_srli_epi32(raised, 16), is_nan, high, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
}

// Ties x to this place in the program: see flush_denormals.h.
inline void pin(F32x16& a) { asm volatile("" : "+v"(a.v)); }

// Starts loading the line at `p`, which need not be mapped, into the second level of the cache.
// Always inlined: GCC 12 takes a function that only prefetches for one without effect and drops the calls.
[[gnu::always_inline]] inline void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
}

inline F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline I32x16 set1_int(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
inline I32x16 add_int(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I32x16 times_256(I32x16 a) { return {_mm512_slli_epi32(a.v, 8)}; }
// a - 2^log2 * x
template <int log2>
inline I32x16 less(I32x16 a, std::int32_t x) {
  return {_mm512_sub_epi32(a.v, _mm512_slli_epi32(_mm512_set1_epi32(x), log2))};
}
inline Bytes64 load_bytes(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline Bytes64 low_nibbles(Bytes64 a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(0x0f))}; }
inline Bytes64 high_nibbles(Bytes64 a) {
  return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(0x0f))};
}
// x with the bits of `mask` of y shifted left by `left` (right, if negative) in words of 16; bits that cross
// a byte are the mask's to remove. The second form is the shifted bits alone.
template <int left>
inline __m512i shifted(__m512i y) {
  if constexpr (left > 0) return _mm512_slli_epi16(y, left);
  if constexpr (left < 0) return _mm512_srli_epi16(y, -left);
  return y;
}
template <int left, int mask>
inline Bytes64 with_bits(Bytes64 x, Bytes64 y) {
  return {
      _mm512_ternarylogic_epi32(x.v, shifted<left>(y.v), _mm512_set1_epi8(mask), 0xf8)};  // x | (y & mask)
}
template <int left, int mask>
inline Bytes64 bits(Bytes64 y) {
  return {_mm512_and_si512(shifted<left>(y.v), _mm512_set1_epi8(mask))};
}
// 32 bytes to 64 nibbles, the low one of each byte first.
inline Bytes64 load_nibbles(const std::uint8_t* p) {
  const __m512i words = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_and_si512(_mm512_or_si512(words, _mm512_slli_epi16(words, 4)), _mm512_set1_epi8(0x0f))};
}
// acc[o] += the dot product of four codes 0..127 of output o and the four signed activations at `a`.
inline I32x16 dot_small(I32x16 acc, Bytes64 w, const std::int8_t* a) {
  asm("vpdpbusd %2%{1to16%}, %1, %0"
      : "+v"(acc.v)
      : "v"(w.v), "m"(*reinterpret_cast<const std::int32_t*>(a)));
  return acc;
}
// Signed codes: the instruction wants one unsigned side, so the codes are raised by kSignedOffset (a flip of
// the top bit), which the caller takes off again, times the sum of the activations. All integer, so exact.
inline constexpr std::int32_t kSignedOffset = 128;
using SignedCodes = Bytes64;
inline SignedCodes load_signed(const std::int8_t* p) {
  return {_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(0x80)))};
}
inline I32x16 dot_signed(I32x16 acc, SignedCodes w, const std::int8_t* a) { return dot_small(acc, w, a); }

// Sixteen signed codes (above -128), and those that nibbles pick.
struct CodeTable {
  __m512i raised;
};
inline CodeTable load_table(const signed char* table) {
  const __m512i codes = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm512_xor_si512(codes, _mm512_set1_epi8(static_cast<char>(0x80)))};
}
inline SignedCodes look_up(CodeTable table, Bytes64 nibbles) {
  return {_mm512_shuffle_epi8(table.raised, nibbles.v)};
}

inline F32x16 load_int8(const std::int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline F32x16 load_uint8(const std::uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
// The low and the high nibbles of 16 bytes.
inline void load_nibble_pairs(const std::uint8_t* p, F32x16& low, F32x16& high) {
  const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  low.v = _mm512_cvtepi32_ps(_mm512_and_si512(bytes, _mm512_set1_epi32(15)));
  high.v = _mm512_cvtepi32_ps(_mm512_srli_epi32(bytes, 4));
}
inline F32x16 load_bf16(const std::uint16_t* p) {
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16))};
}
// 16 floats to bytes; the lanes are integers in [-128, 127].
inline void store_as_int8(std::int8_t* p, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

}  // namespace
}  // namespace folio::kernels
