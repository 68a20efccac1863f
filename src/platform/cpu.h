// What this processor and operating system can execute, and how large its caches are.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace folio::platform {

// A feature counts only if the operating system saves its registers too (XCR0), and for AMX has granted them.
struct CpuFeatures {
  std::string model_name;  // "AMD EPYC 9654 96-Core Processor"
  bool avx2 = false;       // with FMA and F16C, which every AVX2 processor in use has
  bool avx_vnni = false;
  bool avx512 = false;  // F, BW, DQ and VL together
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool avx512_fp16 = false;
  bool amx_int8 = false;
  bool amx_bf16 = false;
  std::size_t l2_cache_bytes = 0;
  std::size_t last_level_cache_bytes = 0;

  // The names of the features present, for people: {"avx2", "avx512", ...}.
  std::vector<std::string> names() const;
};

// Asked once, then cached. Thread-safe.
const CpuFeatures& cpu_features();

// The numbers of the processors in the calling thread's affinity mask, ascending. At least one.
std::vector<int> affine_processors();

// Processors this process may use: the affinity mask, cut to the cgroups' quota (rounded up). At least 1.
int available_cpus();

}  // namespace folio::platform
