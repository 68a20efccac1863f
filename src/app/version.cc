#include "app/version.h"

#include <fmt/format.h>

#include "kernels/isa.h"

namespace folio::app {

std::string build_type() {
#ifdef NDEBUG
  std::string type = "release";
#else
  std::string type = "debug";
#endif
#ifdef __SANITIZE_ADDRESS__
  type += "+asan";
#endif
#ifdef __SANITIZE_THREAD__
  type += "+tsan";
#endif
  return type;
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string version_text() {
  std::string kernels;
  for (const kernels::Isa isa : kernels::built_isas()) {
    if (!kernels.empty()) kernels += ", ";
    kernels += kernels::name(isa);
  }
  return fmt::format("folio {} ({}, {}; kernels: {})\n", kVersion, build_type(), compiler(), kernels);
}

}  // namespace folio::app
