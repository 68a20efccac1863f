// Plan: all memory of one engine, decided before any of it is taken, as one sum against what is available.
//
//   program and vocabulary   measured: what the process holds when the plan is made
//   weights                  packed matrices (arena)
//   norms and biases
//   activations, logits, attention scratch     the workspace of a step (arenas)
//   KV blocks, KV swap area                    (arenas)
//   KV index                 what the cache knows of each block: names, tokens, lists
//   threads                  stacks and heaps, as far as threads touch them
//   prompts and answers      tokens of requests that wait or run (Wish::queue)
//   ...                      what the caller takes beside the engine (Wish::beside)
//   while loading            the file's pages of the largest tensor, where they are not there instead of
//                            something that comes later
//
// The sum is the process's peak, and what it holds once every buffer was used to its end. Arenas are mapped
// whole at the start and become memory as they are touched, so that a fresh engine holds less; it is promised
// all the same. Not counted: answers that wait for slow clients, a few KB of a sequence's own.
//
// The engine takes what its plan says and then compares (check_taken()), so that the two cannot drift apart.
// Thread rule: pure functions of values.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "capacity/machine.h"
#include "capacity/model_shape.h"
#include "capacity/wish.h"
#include "platform/memory.h"

namespace folio::capacity {

struct Line {
  enum class Kind {
    kArena,   // of the arenas of this tag (platform/memory.h), to the byte
    kHeap,    // everything else that stays
    kLoading  // gone once the engine is loaded
  };
  std::string tag;
  std::size_t bytes = 0;
  Kind kind = Kind::kHeap;
};

struct Plan {
  std::vector<Line> lines;  // those of 0 bytes left out
  std::size_t context_tokens = 0;
  std::size_t blocks = 0, swap_blocks = 0;
  // Of one step: sequences, tokens, and tokens with logits.
  std::size_t sequences = 0, rows = 0, output_rows = 0;
  Bound bound;  // the tightest

  std::size_t total_bytes() const;  // of all lines; the largest number where they overflow
  std::size_t bytes_of(std::string_view tag) const;
};

// The plan of a wish. What is left to choose (context, blocks) is chosen so that it fits. Errors, each one
// sentence: a wish that does not fit (kTooLarge, with the sum, what is available and what fits), sizes that
// contradict each other, more blocks than a BlockId can number, more --memory than there is.
[[nodiscard]] Result<Plan> plan(const Machine& machine, const ModelShape& shape, const Wish& wish);

// Whether the arenas taken between two looks at platform::arena_bytes() are those of the plan. Errors: the
// first tag that differs; it is a bug in folio.
[[nodiscard]] Status check_taken(const Plan& plan, std::span<const platform::TaggedBytes> before,
                                 std::span<const platform::TaggedBytes> after);

// For people: a line for each of the plan's, the sum, and what it is held against. MB and GB are units of
// 1024 everywhere, as in flags.
[[nodiscard]] std::string table_text(const Plan& plan);

}  // namespace folio::capacity
