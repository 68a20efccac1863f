// libFuzzer entry of gguf_target(); `./dev fuzz gguf`.
#include "fuzz/reader_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  folio::fuzz::gguf_target(std::as_bytes(std::span(data, size)));
  return 0;
}
