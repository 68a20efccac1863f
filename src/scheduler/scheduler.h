// Scheduler: who computes how many tokens in the next step. It knows sequences by two numbers, *computed* and
// *known*, and does one thing: let computed catch up with known. A sequence one token behind decodes, one
// further behind computes its prompt, was preempted, or found a prefix: there is no other difference.
//
//   waiting  | holds no blocks; in order of rank            add() -> waiting
//   running  | holds blocks, at most max_num_seqs seats     plan() admits, and preempts
//
// A sequence that has caught up and is not done pauses, running or waiting, until advance() says that more is
// known of it: a beam waits so for the other beams of its search.
//
// A step is filled in this order: sequences that decode, by rank; running prompts in chunks; then waiting
// sequences, the first of which that does not fit ends admission (but those that wait for a prefix somebody
// computes are passed over). Under priority the last two are one list by rank: a prompt that runs does not
// hold up a more urgent one that waits.
//
// Rank is a total order that never changes: by arrival, or by arrival moved by priority (kAgingMs). When
// blocks run out the running sequence of the last rank gives up its own, and keeps its rank. So the first in
// rank among the running is never preempted and has rows in every step: it ends, then the next is first.
// Whoever waits for a prefix lends its turn to who computes it (not its rank: producers are preempted as
// before, and then whoever waited computes the rest).
// That is why nobody starves: under fcfs a request waits at most for the steps that those before it need;
// under priority at most (p - q) * kAgingMs of later arrivals of priority q come before it; tenants, with
// fair sharing, come by their service, and who waits is not charged. A tenant that holds more than its share of
// the seats (all of them, divided by the tenants at work) gives up the last ones to a tenant that needs no more
// than its own: so nobody waits for others' long answers to end.
//
// A plan is a function of the calls made so far, their arguments, the answers of SequenceBlocks and the rates
// of the cost: no clock, no random number, no address decides anything.
//
// Thread rule: one thread, the engine's. Cost: plan() is O(running + waiting), with tenants
// times their number; it allocates nothing once its arrays have grown.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "scheduler/scheduler_options.h"
#include "scheduler/sequence_blocks.h"
#include "scheduler/step_budget.h"
#include "scheduler/step_cost.h"
#include "scheduler/step_plan.h"
#include "scheduler/tenants.h"

namespace folio::scheduler {

struct SequenceSpec {
  SequenceId id;
  std::size_t known = 0;                       // tokens, at least one
  std::int32_t priority = 0;                   // smaller first; only under Policy::kPriority
  std::uint64_t tenant = 0;                    // only under Fairness::kTenants
  double arrival_ms = 0;                       // on the caller's clock
  std::size_t seats = 1;                       // of max_num_seqs: itself and the forks it may still have
  std::size_t outputs_from = kLastOutputOnly;  // positions from which on logits are wanted
};

class Scheduler {
 public:
  // `cost` outlives the scheduler. Requires: options.validate().
  Scheduler(const SchedulerOptions& options, const StepCost& cost);

  // From now on it waits. Requires: the id is new, 0 < seats <= max_num_seqs.
  void add(const SequenceSpec& spec);
  // `child` runs at once, in one of the parent's seats and with its rank (after it). Requires: the parent
  // runs and has more than one seat.
  void fork(SequenceId parent, SequenceId child, std::size_t computed, std::size_t known);
  // It is done, or cancelled; its blocks are the caller's to release. Unknown ids are ignored.
  void remove(SequenceId id);

  // What the next step computes. Valid until the next call. Empty only if nothing is to do.
  const StepPlan& plan(SequenceBlocks& blocks);

  // After a step: how far a sequence has come. With computed == known it pauses. Of one that waits `computed`
  // does not count: it holds nothing. Requires: it is known; computed <= known.
  void advance(SequenceId id, std::size_t computed, std::size_t known);
  bool runs(SequenceId id) const;

  std::size_t running() const { return running_.size(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::uint64_t preemptions() const { return preemptions_; }
  const SchedulerOptions& options() const { return options_; }

 private:
  struct Entry {
    SequenceSpec spec;
    double key;                // of its rank; ties by serial
    std::uint64_t serial;      // order of add()
    std::uint64_t branch = 0;  // of forks: after what they were forked from
    std::size_t computed = 0;
    std::size_t charged = 0;  // tokens its tenant has paid for
    bool pauses = false;
    std::optional<SequenceId> awaits = {};  // of one that waits: who computes its prefix

    bool before(const Entry& other) const {
      if (key != other.key) return key < other.key;
      return serial != other.serial ? serial < other.serial : branch < other.branch;
    }
    Work work() const { return {computed, spec.known, spec.outputs_from}; }
    bool decodes() const { return computed + 1 == spec.known; }
  };
  struct Turn {
    SequenceId id;
    std::uint64_t served;  // its tenant
    const Entry* rank;     // its own, or that of who waits for it; valid until an entry moves
    bool waits;
  };
  enum class Kind { kDecode, kPrefill };

  void begin_step();
  void plan_decodes(SequenceBlocks& blocks);
  void plan_turns(SequenceBlocks& blocks);
  void take_turns(SequenceBlocks& blocks);
  bool urge_producers(SequenceBlocks& blocks);
  void plan_again(SequenceBlocks& blocks);
  bool somebody_needs_room() const;
  enum class Admission { kDone, kPassedOver, kNoRoom };
  Admission admit(std::size_t at, SequenceBlocks& blocks);
  std::optional<std::size_t> victim_for(const Entry& entry) const;
  std::optional<std::size_t> unfairly_seated(const Entry& entry) const;
  std::size_t seats_of(std::uint64_t tenant) const;
  bool has_seats(const Entry& entry) const;
  std::size_t spare_blocks(const SequenceBlocks& blocks) const;

  std::size_t wanted_end(const Entry& entry, Kind kind) const;
  void give_rows(std::size_t at, Kind kind, SequenceBlocks& blocks);
  bool make_room(std::size_t at, std::size_t& end, SequenceBlocks& blocks);
  void preempt(std::size_t at, SequenceBlocks& blocks);
  void preempt_last(SequenceBlocks& blocks) { preempt(running_.size() - 1, blocks); }
  void drop_item(SequenceId id);
  void charge(Entry& entry, std::size_t end);
  static std::size_t insert(std::vector<Entry>& entries, const Entry& entry);

  SchedulerOptions options_;
  const StepCost& cost_;
  StepBudget budget_;
  TenantService tenants_;
  std::vector<Entry> running_, waiting_;  // each by rank
  std::vector<Turn> turns_;               // scratch: who is asked, in order
  StepPlan plan_;
  bool chunk_given_ = false;  // has a prompt got its least share of this step?
  std::uint64_t next_serial_ = 0;
  std::uint64_t preemptions_ = 0;
};

}  // namespace folio::scheduler
