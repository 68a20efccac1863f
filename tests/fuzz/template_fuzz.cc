// libFuzzer entry of template_target(); `./dev fuzz template`.
#include <cstddef>
#include <cstdint>

#include "fuzz/text_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  folio::fuzz::template_target({reinterpret_cast<const char*>(data), size});
  return 0;
}
