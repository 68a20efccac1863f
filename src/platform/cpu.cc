#include "platform/cpu.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "platform/cgroup.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace folio::platform {
namespace {

std::string model_name_from_proc() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown processor";
}

#if defined(__x86_64__)
struct CpuidLeaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidLeaf r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool bit(std::uint32_t word, int index) { return (word >> index & 1) != 0; }

// The register states that the operating system saves: bits 1-2 AVX, 5-7 AVX-512, 17-18 AMX.
std::uint64_t xcr0() {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// The tile registers are large, so Linux wants every process to ask for them once (arch_prctl(2),
// ARCH_REQ_XCOMP_PERM for XTILEDATA, kernel 5.16).
bool granted_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

void detect_x86(CpuFeatures& f) {
  const CpuidLeaf one = cpuid(1, 0);
  const bool osxsave = bit(one.ecx, 27);
  if (!osxsave) return;
  const std::uint64_t saved = xcr0();
  const bool os_avx = (saved & 0x6) == 0x6;
  const bool os_avx512 = (saved & 0xe6) == 0xe6;
  const CpuidLeaf seven = cpuid(7, 0);
  const CpuidLeaf seven_one = cpuid(7, 1);
  f.avx2 = os_avx && bit(seven.ebx, 5) && bit(one.ecx, 12) && bit(one.ecx, 29);
  f.avx_vnni = f.avx2 && bit(seven_one.eax, 4);
  f.avx512 = f.avx2 && os_avx512 && bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 30) &&
             bit(seven.ebx, 31);
  f.avx512_vnni = f.avx512 && bit(seven.ecx, 11);
  f.avx512_bf16 = f.avx512 && bit(seven_one.eax, 5);
  f.avx512_fp16 = f.avx512 && bit(seven.edx, 23);
  const bool os_amx = (saved & 0x60000) == 0x60000 && bit(seven.edx, 24) && granted_tiles();
  f.amx_bf16 = os_amx && bit(seven.edx, 22);
  f.amx_int8 = os_amx && bit(seven.edx, 25);
}
#endif

// Bytes of the first processor's cache of a level as the kernel describes it; 0 where it does not. Asked
// before sysconf(), which on some AMD processors answers with the sum over a socket.
std::size_t kernel_cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream level_file(folder + "/level"), type_file(folder + "/type"), size_file(folder + "/size");
    int its_level = 0;
    std::string type, unit;
    std::size_t size = 0;
    if (!(level_file >> its_level) || its_level != level) continue;
    if (!(type_file >> type) || type == "Instruction" || !(size_file >> size)) continue;
    size_file >> unit;
    return unit == "M" ? size << 20 : unit == "K" ? size << 10 : size;
  }
  return 0;
}

std::size_t cache_bytes(int level, int sysconf_name) {
  if (const std::size_t bytes = kernel_cache_bytes(level); bytes > 0) return bytes;
  const long bytes = sysconf(sysconf_name);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

CpuFeatures detect() {
  CpuFeatures f;
  f.model_name = model_name_from_proc();
  f.l2_cache_bytes = cache_bytes(2, _SC_LEVEL2_CACHE_SIZE);
  f.last_level_cache_bytes = std::max(cache_bytes(3, _SC_LEVEL3_CACHE_SIZE), f.l2_cache_bytes);
#if defined(__x86_64__)
  detect_x86(f);
#endif
  return f;
}

// The cgroups' quota in whole processors, rounded up; a large number without a limit.
int cgroup_cpus() {
  const std::optional<double> processors = cgroup_processors();
  if (!processors) return 1 << 20;
  return std::max(1, static_cast<int>(std::ceil(std::min(*processors, 1e6))));
}

}  // namespace

std::vector<std::string> CpuFeatures::names() const {
  std::vector<std::string> result;
  const auto add = [&](bool present, const char* name) {
    if (present) result.emplace_back(name);
  };
  add(avx2, "avx2");
  add(avx_vnni, "avx_vnni");
  add(avx512, "avx512");
  add(avx512_vnni, "avx512_vnni");
  add(avx512_bf16, "avx512_bf16");
  add(avx512_fp16, "avx512_fp16");
  add(amx_int8, "amx_int8");
  add(amx_bf16, "amx_bf16");
  return result;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::vector<int> affine_processors() {
  // The kernel refuses a mask shorter than its own; no kernel has one of more than 2^16 processors.
  for (std::size_t words = 16; words <= 1024; words *= 2) {
    std::vector<unsigned long> mask(words);
    const long bytes = syscall(SYS_sched_getaffinity, 0, words * sizeof(unsigned long), mask.data());
    if (bytes < 0) continue;
    std::vector<int> processors;
    for (int bit = 0; bit < bytes * 8; ++bit)
      if ((mask[static_cast<std::size_t>(bit) / 64] >> (bit % 64) & 1) != 0) processors.push_back(bit);
    if (!processors.empty()) return processors;
  }
  return {0};
}

int available_cpus() {
  return std::max(1, std::min(static_cast<int>(affine_processors().size()), cgroup_cpus()));
}

}  // namespace folio::platform
