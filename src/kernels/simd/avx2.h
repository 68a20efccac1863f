// Sixteen lanes on AVX2 with FMA and F16C, as two registers of eight; the same vocabulary as avx512.h, lane
// for lane the same results. Everything has internal linkage (see avx512.h).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace folio::kernels {
namespace {

inline constexpr int kLaneRegisters = 8;  // F32x16 values that the register file holds

struct F32x16 {
  __m256 a, b;  // lanes 0-7 and 8-15
};
struct I32x16 {
  __m256i a, b;
};
struct Bytes64 {
  __m256i a, b;  // outputs 0-7 and 8-15
};

inline F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, F32x16 x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline F32x16 load_first(const float* p, std::size_t count) {  // count < 16
  alignas(32) float buffer[16] = {};
  for (std::size_t i = 0; i < count; ++i) buffer[i] = p[i];
  return load(buffer);
}
inline void store_first(float* p, F32x16 x, std::size_t count) {
  alignas(32) float buffer[16];
  store(buffer, x);
  for (std::size_t i = 0; i < count; ++i) p[i] = buffer[i];
}
inline F32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F32x16 add(F32x16 x, F32x16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline F32x16 sub(F32x16 x, F32x16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline F32x16 mul(F32x16 x, F32x16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline F32x16 div(F32x16 x, F32x16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline F32x16 max(F32x16 x, F32x16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline F32x16 min(F32x16 x, F32x16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline F32x16 fma(F32x16 x, F32x16 y, F32x16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline F32x16 abs(F32x16 x) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(x.a, mask), _mm256_and_ps(x.b, mask)};
}

inline float reduce_max(F32x16 x) {
  const __m256 h = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}
inline float reduce_add(F32x16 x) {
  const __m256 h = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

inline float largest_magnitude(F32x16 x, F32x16 y) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  const auto bits = [&](__m256 v) { return _mm256_and_si256(_mm256_castps_si256(v), magnitude); };
  const __m256i o =
      _mm256_max_epi32(_mm256_max_epi32(bits(x.a), bits(x.b)), _mm256_max_epi32(bits(y.a), bits(y.b)));
  const __m128i h = _mm_max_epi32(_mm256_castsi256_si128(o), _mm256_extracti128_si256(o, 1));
  const __m128i q = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
  return __builtin_bit_cast(float, _mm_cvtsi128_si32(_mm_max_epi32(q, _mm_shuffle_epi32(q, 0xb1))));
}

inline F32x16 keep_lanes(F32x16 x, std::uint32_t first, std::uint32_t end) {
  const __m256i lane_a = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i lane_b = _mm256_add_epi32(lane_a, _mm256_set1_epi32(8));
  const __m256i below = _mm256_set1_epi32(static_cast<int>(first) - 1);
  const __m256i end_v = _mm256_set1_epi32(static_cast<int>(end));
  const __m256 keep_a = _mm256_castsi256_ps(
      _mm256_and_si256(_mm256_cmpgt_epi32(lane_a, below), _mm256_cmpgt_epi32(end_v, lane_a)));
  const __m256 keep_b = _mm256_castsi256_ps(
      _mm256_and_si256(_mm256_cmpgt_epi32(lane_b, below), _mm256_cmpgt_epi32(end_v, lane_b)));
  const __m256 gone = _mm256_set1_ps(-__builtin_inff());
  return {_mm256_blendv_ps(gone, x.a, keep_a), _mm256_blendv_ps(gone, x.b, keep_b)};
}

inline F32x16 round_nearest(F32x16 x) {
  return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline __m256 power_of_two_8(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline F32x16 power_of_two(F32x16 n) { return {power_of_two_8(n.a), power_of_two_8(n.b)}; }
inline F32x16 zero_below(F32x16 x, float limit, F32x16 y) {
  const __m256 bound = _mm256_set1_ps(limit);
  return {_mm256_and_ps(_mm256_cmp_ps(x.a, bound, _CMP_GE_OQ), y.a),
          _mm256_and_ps(_mm256_cmp_ps(x.b, bound, _CMP_GE_OQ), y.b)};
}

inline __m256 load_f16_8(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline F32x16 load_f16(const std::uint16_t* p) { return {load_f16_8(p), load_f16_8(p + 8)}; }
inline void store_f16(std::uint16_t* p, F32x16 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
inline __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void load_bf16_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  const __m256i a = load_256(p), b = load_256(p + 16);
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(a, high)), _mm256_castsi256_ps(_mm256_and_si256(b, high))};
}

inline __m256i bf16_words(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i raised = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(_mm256_srli_epi32(raised, 16), quiet, is_nan);
}
inline void store_bf16(std::uint16_t* p, F32x16 x) {
  const __m256i words = _mm256_packus_epi32(bf16_words(x.a), bf16_words(x.b));  // per 128-bit half
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(words, 0xd8));
}

inline void pin(F32x16& x) { asm volatile("" : "+x"(x.a), "+x"(x.b)); }

// Starts loading the line at `p`, which need not be mapped, into the second level of the cache.
// Always inlined: GCC 12 takes a function that only prefetches for one without effect and drops the calls.
[[gnu::always_inline]] inline void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
}

inline F32x16 to_float(I32x16 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline I32x16 set1_int(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline I32x16 add_int(I32x16 x, I32x16 y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline I32x16 times_256(I32x16 x) { return {_mm256_slli_epi32(x.a, 8), _mm256_slli_epi32(x.b, 8)}; }
template <int log2>
inline I32x16 less(I32x16 x, std::int32_t y) {
  const __m256i product = _mm256_slli_epi32(_mm256_set1_epi32(y), log2);
  return {_mm256_sub_epi32(x.a, product), _mm256_sub_epi32(x.b, product)};
}
inline Bytes64 load_bytes(const std::uint8_t* p) { return {load_256(p), load_256(p + 32)}; }
inline Bytes64 low_nibbles(Bytes64 x) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
inline Bytes64 high_nibbles(Bytes64 x) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  return {_mm256_and_si256(_mm256_srli_epi16(x.a, 4), mask),
          _mm256_and_si256(_mm256_srli_epi16(x.b, 4), mask)};
}

// See avx512.h.
template <int left>
inline __m256i shifted(__m256i y) {
  if constexpr (left > 0) return _mm256_slli_epi16(y, left);
  if constexpr (left < 0) return _mm256_srli_epi16(y, -left);
  return y;
}
template <int left, int mask>
inline Bytes64 bits(Bytes64 y) {
  return {_mm256_and_si256(shifted<left>(y.a), _mm256_set1_epi8(mask)),
          _mm256_and_si256(shifted<left>(y.b), _mm256_set1_epi8(mask))};
}
template <int left, int mask>
inline Bytes64 with_bits(Bytes64 x, Bytes64 y) {
  const Bytes64 high = bits<left, mask>(y);
  return {_mm256_or_si256(x.a, high.a), _mm256_or_si256(x.b, high.b)};
}
inline __m256i expand_nibbles(const std::uint8_t* p) {
  const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_and_si256(_mm256_or_si256(words, _mm256_slli_epi16(words, 4)), _mm256_set1_epi8(0x0f));
}
inline Bytes64 load_nibbles(const std::uint8_t* p) { return {expand_nibbles(p), expand_nibbles(p + 16)}; }

inline __m256i broadcast_four(const std::int8_t* a) {
  std::int32_t word;
  __builtin_memcpy(&word, a, 4);
  return _mm256_set1_epi32(word);
}
// acc plus the dots of four unsigned and four signed bytes. AVX-VNNI is one instruction for it (in AVX-512's
// encoding on the machines of the tests); without it pairs of products pass through 16 bits.
#if defined(__AVXVNNI__) || defined(__AVX512VNNI__)
inline __m256i add_dot(__m256i acc, __m256i unsigned_side, __m256i signed_side) {
#if defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(acc, unsigned_side, signed_side);
#else
  return _mm256_dpbusd_epi32(acc, unsigned_side, signed_side);
#endif
}
#else
// 127 * 127 * 2 in dot_small and 128 * 127 * 2 in dot_signed, both below 2^15, so nothing saturates.
inline __m256i add_dot(__m256i acc, __m256i unsigned_side, __m256i signed_side) {
  const __m256i pairs = _mm256_maddubs_epi16(unsigned_side, signed_side);
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif
inline I32x16 dot_small(I32x16 acc, Bytes64 w, const std::int8_t* a) {
  const __m256i four = broadcast_four(a);
  return {add_dot(acc.a, w.a, four), add_dot(acc.b, w.b, four)};
}

// Signed codes, and what of a table's sixteen (above -128) nibbles pick.
struct CodeTable {
  __m256i codes;
};
#if defined(__AVXVNNI__) || defined(__AVX512VNNI__)
// Raised as in avx512.h.
inline constexpr std::int32_t kSignedOffset = 128;
using SignedCodes = Bytes64;
inline __m256i raised(__m256i codes) {
  return _mm256_xor_si256(codes, _mm256_set1_epi8(static_cast<char>(0x80)));
}
inline SignedCodes load_signed(const std::int8_t* p) {
  return {raised(load_256(p)), raised(load_256(p + 32))};
}
inline I32x16 dot_signed(I32x16 acc, SignedCodes w, const std::int8_t* a) { return dot_small(acc, w, a); }
inline CodeTable load_table(const signed char* table) {
  return {raised(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))))};
}
inline SignedCodes look_up(CodeTable table, Bytes64 nibbles) {
  return {_mm256_shuffle_epi8(table.codes, nibbles.a), _mm256_shuffle_epi8(table.codes, nibbles.b)};
}
#else
// |w| times the activation with w's sign; activations are in [-127, 127], so their sign can be flipped and
// nothing is left to take off.
inline constexpr std::int32_t kSignedOffset = 0;
struct SignedCodes {
  Bytes64 value, magnitude;
};
inline SignedCodes load_signed(const std::int8_t* p) {
  const __m256i a = load_256(p), b = load_256(p + 32);
  return {{a, b}, {_mm256_abs_epi8(a), _mm256_abs_epi8(b)}};
}
inline I32x16 dot_signed(I32x16 acc, SignedCodes w, const std::int8_t* a) {
  const __m256i four = broadcast_four(a);
  return {add_dot(acc.a, w.magnitude.a, _mm256_sign_epi8(four, w.value.a)),
          add_dot(acc.b, w.magnitude.b, _mm256_sign_epi8(four, w.value.b))};
}
inline CodeTable load_table(const signed char* table) {
  return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)))};
}
inline SignedCodes look_up(CodeTable table, Bytes64 nibbles) {
  const __m256i a = _mm256_shuffle_epi8(table.codes, nibbles.a);
  const __m256i b = _mm256_shuffle_epi8(table.codes, nibbles.b);
  return {{a, b}, {_mm256_abs_epi8(a), _mm256_abs_epi8(b)}};
}
#endif

inline F32x16 load_int8(const std::int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline void load_words(const std::uint8_t* p, __m256i& a, __m256i& b) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  a = _mm256_cvtepu8_epi32(bytes);
  b = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
}
inline F32x16 load_uint8(const std::uint8_t* p) {
  __m256i a, b;
  load_words(p, a, b);
  return {_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)};
}
inline void load_nibble_pairs(const std::uint8_t* p, F32x16& low, F32x16& high) {
  __m256i a, b;
  load_words(p, a, b);
  const __m256i mask = _mm256_set1_epi32(15);
  low = {_mm256_cvtepi32_ps(_mm256_and_si256(a, mask)), _mm256_cvtepi32_ps(_mm256_and_si256(b, mask))};
  high = {_mm256_cvtepi32_ps(_mm256_srli_epi32(a, 4)), _mm256_cvtepi32_ps(_mm256_srli_epi32(b, 4))};
}
inline __m256 load_bf16_8(const std::uint16_t* p) {
  const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}
inline F32x16 load_bf16(const std::uint16_t* p) { return {load_bf16_8(p), load_bf16_8(p + 8)}; }
inline void store_as_int8(std::int8_t* p, F32x16 x) {
  const __m256i words =
      _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));  // per 128-bit half
  const __m256i in_order = _mm256_permute4x64_epi64(words, 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(in_order), _mm256_extracti128_si256(in_order, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

}  // namespace
}  // namespace folio::kernels
