// Big buffers from the operating system, each under a tag that says what it is for, and the process's memory
// figures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace folio::platform {

// Where the pages of an arena go on a machine of several NUMA nodes.
enum class Placement : std::uint8_t {
  kFirstTouch,   // to the node of the thread that first touches them
  kInterleaved,  // evenly over all nodes, as far as the system allows: for what every thread reads
};

// One anonymous mapping: zero-filled, 64-byte aligned, committed by first touch, huge pages asked for.
// Move-only; the memory goes back to the system with the object. Thread-compatible.
class Arena {
 public:
  Arena() = default;
  // Errors: kTooLarge when the system refuses the size; the message names the tag and what is available.
  [[nodiscard]] static Result<Arena> create(std::size_t bytes, std::string_view tag,
                                            Placement placement = Placement::kFirstTouch);
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::string tag_;
};

struct TaggedBytes {
  std::string tag;
  std::size_t bytes;
};

// Bytes of the live arenas, summed by tag, in order of first use. Thread-safe.
std::vector<TaggedBytes> arena_bytes();

std::size_t resident_bytes();       // this process now (VmRSS)
std::size_t peak_resident_bytes();  // the most it ever was (VmHWM)
std::size_t huge_page_bytes();      // of it, in transparent huge pages now (AnonHugePages); 0 where unknown
// Whether the system gives huge pages to arenas: "always" and "madvise" do, "never" does not; empty: unknown.
std::string huge_page_mode();
// Gives the system back what was freed, as far as the heap can. Cost: some milliseconds after gigabytes.
void release_freed_memory();
// From here on large blocks go back to the system as soon as they are freed. Call once, at start.
void keep_no_large_blocks();
// What may still be allocated: the least that any of memory_bounds() leaves.
std::size_t available_bytes();

}  // namespace folio::platform
