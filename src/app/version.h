// What this program is: for --version and `folio inspect`.
#pragma once

#include <string>
#include <string_view>

namespace folio::app {

inline constexpr std::string_view kVersion = "0.1.0";  // CMakeLists.txt says the same; tests/app checks it

[[nodiscard]] std::string build_type();  // "release", "debug", with "+asan" or "+tsan"
[[nodiscard]] std::string compiler();    // "g++ 12.2.0"
// "folio 0.1.0 (release, g++ 12.2.0; kernels: reference, avx2, avx512)\n"
[[nodiscard]] std::string version_text();

}  // namespace folio::app
