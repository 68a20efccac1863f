// libFuzzer entry of tokenizer_target(); `./dev fuzz tokenizer`.
#include <cstddef>
#include <cstdint>

#include "fuzz/text_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  folio::fuzz::tokenizer_target({reinterpret_cast<const char*>(data), size});
  return 0;
}
