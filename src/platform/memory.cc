#include "platform/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <mutex>
#include <utility>

#include "platform/memory_bounds.h"
#include "platform/proc_files.h"
#include "platform/topology.h"

namespace folio::platform {
namespace {

struct Registry {
  std::mutex mutex;
  std::vector<TaggedBytes> tags;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

void account(const std::string& tag, std::size_t bytes, bool add) {
  Registry& r = registry();
  const std::scoped_lock lock(r.mutex);
  auto it = std::ranges::find(r.tags, tag, &TaggedBytes::tag);
  if (it == r.tags.end()) it = r.tags.insert(it, TaggedBytes{.tag = tag, .bytes = 0});
  it->bytes = add ? it->bytes + bytes : it->bytes - bytes;
}

std::size_t kib(const char* path, std::string_view label) {
  return labelled_number(path, label).value_or(0) * 1024;
}

}  // namespace

Result<Arena> Arena::create(std::size_t bytes, std::string_view tag, Placement placement) {
  Arena arena;
  arena.tag_ = tag;
  if (bytes == 0) return arena;
  void* data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return fail(ErrorKind::kTooLarge, "cannot reserve {} bytes for {}: {} bytes of memory are available",
                bytes, tag, available_bytes());
  madvise(data, bytes, MADV_HUGEPAGE);  // advice only: without it the arena works, more slowly
  arena.data_ = static_cast<std::byte*>(data);
  if (placement == Placement::kInterleaved) interleave(arena.data_, bytes);  // advice as well
  arena.size_ = bytes;
  account(arena.tag_, bytes, true);
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      tag_(std::move(other.tag_)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(tag_, other.tag_);
  return *this;
}

Arena::~Arena() {
  if (data_ == nullptr) return;
  munmap(data_, size_);
  account(tag_, size_, false);
}

std::vector<TaggedBytes> arena_bytes() {
  Registry& r = registry();
  const std::scoped_lock lock(r.mutex);
  return r.tags;
}

std::size_t resident_bytes() { return kib("/proc/self/status", "VmRSS:"); }
std::size_t peak_resident_bytes() { return kib("/proc/self/status", "VmHWM:"); }
std::size_t huge_page_bytes() { return kib("/proc/self/smaps_rollup", "AnonHugePages:"); }

void release_freed_memory() { malloc_trim(0); }

// Setting either stops glibc from raising both with the sizes that it sees.
void keep_no_large_blocks() {
  constexpr int kLargeBlock = 1 << 18, kKeptAtTop = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, kKeptAtTop);
}

std::string huge_page_mode() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");  // "always [madvise] never"
  std::string word;
  while (file >> word)
    if (word.starts_with('[') && word.ends_with(']')) return word.substr(1, word.size() - 2);
  return {};
}

std::size_t available_bytes() {
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const MemoryBound& bound : memory_bounds()) least = std::min(least, bound.free_bytes);
  return least;
}

}  // namespace folio::platform
