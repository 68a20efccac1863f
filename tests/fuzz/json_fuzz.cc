// libFuzzer entry of json_target(); `./dev fuzz json`.
#include "fuzz/reader_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  folio::fuzz::json_target(std::as_bytes(std::span(data, size)));
  return 0;
}
