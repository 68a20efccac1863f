// libFuzzer entry of safetensors_target(); `./dev fuzz safetensors`.
#include "fuzz/reader_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  folio::fuzz::safetensors_target(std::as_bytes(std::span(data, size)));
  return 0;
}
