// Arithmetic that takes denormals for zero, as the dot products of bfloat16 do always.
#pragma once

#include <xmmintrin.h>

namespace folio::kernels {
namespace {

// While one lives, the thread's arithmetic takes denormals for zero, on the way in and out, and rounds to
// nearest. The compiler does not know that: pin() (avx2.h, avx512.h) what is computed from, behind the
// beginning, and what was computed, before the end and behind it.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(kFlush | kDenormalsAreZero | kNoExceptions); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlush = 0x8000, kDenormalsAreZero = 0x0040, kNoExceptions = 0x1f80;
  unsigned before_;
};

}  // namespace
}  // namespace folio::kernels
