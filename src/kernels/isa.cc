#include "kernels/isa.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "platform/cpu.h"

namespace folio::kernels {
namespace {

#if defined(__x86_64__)
constexpr std::array kBuilt = {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAmx};
#else
constexpr std::array kBuilt = {Isa::kReference};
#endif

bool executes(Isa isa) {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  switch (isa) {
    case Isa::kReference:
      return true;
    case Isa::kAvx2:
      return cpu.avx2;
    case Isa::kAvx512:
      return cpu.avx512 && cpu.avx512_vnni;
    case Isa::kAmx:
      return cpu.avx512 && cpu.avx512_vnni && cpu.amx_int8;
  }
  return false;
}

std::string names_of(std::span<const Isa> isas) {
  std::string text;
  for (Isa isa : isas) {
    if (!text.empty()) text += ", ";
    text += name(isa);
  }
  return text;
}

}  // namespace

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::kReference:
      return "reference";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  return "?";
}

std::span<const Isa> built_isas() { return kBuilt; }

std::span<const Isa> available_isas() {
  static const std::vector<Isa> available = [] {
    std::vector<Isa> found;
    for (Isa isa : kBuilt)
      if (executes(isa)) found.push_back(isa);
    return found;
  }();
  return available;
}

Result<Isa> choose_isa() {
  const char* forced = std::getenv("FOLIO_ISA");
  return choose_isa(forced == nullptr ? "" : forced);
}

Result<Isa> choose_isa(std::string_view forced) {
  if (forced.empty()) return available_isas().back();
  for (Isa isa : available_isas())
    if (forced == name(isa)) return isa;
  return fail(ErrorKind::kUnsupported,
              "FOLIO_ISA={} cannot be used on this machine: available are {}; unset it to use the fastest",
              forced, names_of(available_isas()));
}

}  // namespace folio::kernels
