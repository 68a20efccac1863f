// SequenceBlocks: all that the scheduler knows of the KV cache. The engine answers from kv::KvCache, tests
// from a count.
//
// Thread rule: the scheduler's thread.
#pragma once

#include <cstddef>
#include <optional>

#include "base/ids.h"

namespace folio::scheduler {

struct Opening {
  enum class Answer {
    kReady,   // it holds blocks now
    kNoRoom,  // too few blocks; it holds nothing
  };
  Answer answer;
  std::size_t computed = 0;  // tokens that need not be computed (kReady)
};

class SequenceBlocks {
 public:
  virtual ~SequenceBlocks() = default;

  // The running sequence that computes a prefix of this waiting one right now: it should wait for that.
  // nullopt: there is nothing to wait for.
  virtual std::optional<SequenceId> producer_of(SequenceId sequence) = 0;

  // A waiting sequence begins or resumes: what is computed of it is found and pinned. kNoRoom unless the
  // blocks for all its known tokens can be had and `spare_blocks` more stay obtainable.
  // Never kNoRoom with 0 spare blocks while no other sequence holds any.
  virtual Opening open(SequenceId sequence, std::size_t spare_blocks) = 0;

  // Makes tokens up to `upto` writable. False: too few blocks, and nothing happened.
  virtual bool reserve(SequenceId sequence, std::size_t upto) = 0;

  // How many blocks a running sequence must still get until it holds all its known tokens.
  virtual std::size_t missing_blocks(SequenceId sequence) const = 0;

  // A running sequence gives up its blocks; open() will say what is left of its work.
  virtual void preempt(SequenceId sequence) = 0;
};

}  // namespace folio::scheduler
