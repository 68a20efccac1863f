#include "scheduler/scheduler.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace folio::scheduler {
namespace {

template <typename Entries>
auto find_in(Entries& entries, SequenceId id) {
  return std::ranges::find_if(entries, [id](const auto& entry) { return entry.spec.id == id; });
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, const StepCost& cost)
    : options_(options), cost_(cost), budget_(options, cost) {}

void Scheduler::add(const SequenceSpec& spec) {
  FOLIO_CHECK(spec.known > 0 && spec.seats > 0 && spec.seats <= options_.max_num_seqs,
              "a sequence that could never run");
  FOLIO_CHECK(find_in(waiting_, spec.id) == waiting_.end() && find_in(running_, spec.id) == running_.end(),
              "a sequence was added twice");
  const double key = options_.policy == Policy::kPriority ? spec.arrival_ms + kAgingMs * spec.priority : 0;
  insert(waiting_, {.spec = spec, .key = key, .serial = next_serial_++});
  tenants_.enter(spec.tenant);
}

void Scheduler::fork(SequenceId parent, SequenceId child, std::size_t computed, std::size_t known) {
  const auto at = find_in(running_, parent);
  FOLIO_CHECK(at != running_.end() && at->spec.seats > 1, "a fork of a sequence that kept no seat for it");
  --at->spec.seats;
  Entry entry = *at;
  entry.spec.id = child;
  entry.spec.seats = 1;
  entry.spec.known = known;
  entry.branch = raw(child);
  entry.computed = entry.charged = computed;
  insert(running_, entry);
  tenants_.enter(entry.spec.tenant);
}

void Scheduler::remove(SequenceId id) {
  for (auto* list : {&waiting_, &running_}) {
    const auto at = find_in(*list, id);
    if (at == list->end()) continue;
    tenants_.leave(at->spec.tenant);
    list->erase(at);
    return;
  }
}

void Scheduler::advance(SequenceId id, std::size_t computed, std::size_t known) {
  FOLIO_CHECK(computed <= known, "more is computed than known");
  auto at = find_in(running_, id);
  const bool waits = at == running_.end();
  if (waits) at = find_in(waiting_, id);
  FOLIO_CHECK(!waits || at != waiting_.end(), "a sequence advanced that was never added");
  if (!waits) at->computed = computed;
  at->spec.known = known;
  at->pauses = computed == known;
}

bool Scheduler::runs(SequenceId id) const { return find_in(running_, id) != running_.end(); }

const StepPlan& Scheduler::plan(SequenceBlocks& blocks) {
  begin_step();
  plan_decodes(blocks);
  plan_turns(blocks);
  if (plan_.empty()) plan_again(blocks);
  while (plan_.empty() && somebody_needs_room()) {
    preempt_last(blocks);
    plan_turns(blocks);
  }
  plan_.shape = budget_.taken();
  plan_.predicted_ms = plan_.empty() ? 0 : cost_.predict_ms(plan_.shape);
  return plan_;
}

void Scheduler::begin_step() {
  plan_.items.clear();
  plan_.admitted.clear();
  plan_.preempted.clear();
  budget_ = StepBudget(options_, cost_);
  chunk_given_ = false;
}

// By rank, whatever the tenant: a token for each costs little, and a stream that stalls shows.
void Scheduler::plan_decodes(SequenceBlocks& blocks) {
  for (std::size_t at = 0; at < running_.size(); ++at)
    if (running_[at].decodes()) give_rows(at, Kind::kDecode, blocks);
  if (!plan_.empty()) budget_.limit_time();
}

// Preempting for a newcomer takes planned rows back, perhaps all there were, after others were told that no
// room is left for theirs. By rank, somebody gets rows: the first needs nobody's leave.
void Scheduler::plan_again(SequenceBlocks& blocks) {
  chunk_given_ = false;
  for (std::size_t at = 0; at < running_.size(); ++at)
    give_rows(at, running_[at].decodes() ? Kind::kDecode : Kind::kPrefill, blocks);
}

// All that run pause, for some that wait: then those must have room, if only one after the other.
bool Scheduler::somebody_needs_room() const {
  return !running_.empty() && !std::ranges::all_of(waiting_, &Entry::pauses);
}

// Running prompts first, then those that wait; under priority both by rank; with fair sharing, whoever's
// tenant was served least.
void Scheduler::plan_turns(SequenceBlocks& blocks) {
  take_turns(blocks);
  std::size_t passed = 0;  // waiting ones, before the next in rank
  bool admitting = true;
  for (const Turn& turn : turns_) {
    if (budget_.rows_left() == 0) return;
    if (!turn.waits) {
      const auto at = find_in(running_, turn.id);  // unless one before it preempted it
      if (at != running_.end())
        give_rows(static_cast<std::size_t>(at - running_.begin()), Kind::kPrefill, blocks);
    } else if (admitting) {
      if (passed >= waiting_.size() || waiting_[passed].spec.id != turn.id)
        passed = static_cast<std::size_t>(find_in(waiting_, turn.id) - waiting_.begin());
      const Admission admission = admit(passed, blocks);
      if (admission == Admission::kPassedOver) ++passed;
      admitting = admission != Admission::kNoRoom;
    }
  }
}

Scheduler::Admission Scheduler::admit(std::size_t at, SequenceBlocks& blocks) {
  const bool has_place = has_seats(waiting_[at]) || victim_for(waiting_[at]);
  waiting_[at].awaits = has_place ? blocks.producer_of(waiting_[at].spec.id) : std::nullopt;
  if (!has_place) return Admission::kNoRoom;
  if (waiting_[at].awaits) return Admission::kPassedOver;
  Entry entry = waiting_[at];
  while (!has_seats(entry)) {
    const auto victim = victim_for(entry);
    if (!victim) return Admission::kNoRoom;
    preempt(*victim, blocks);
  }
  for (;;) {
    const Opening opening = blocks.open(entry.spec.id, spare_blocks(blocks));
    if (opening.answer == Opening::Answer::kReady) {
      entry.computed = opening.computed;
      break;
    }
    FOLIO_CHECK(!running_.empty(), "a sequence that the whole pool cannot hold was accepted");
    const auto victim = victim_for(entry);
    if (!victim) return Admission::kNoRoom;
    preempt(*victim, blocks);
  }
  waiting_.erase(find_in(waiting_, entry.spec.id));
  entry.charged = std::max(entry.charged, entry.computed);
  plan_.admitted.push_back(entry.spec.id);
  const std::size_t place = insert(running_, entry);
  give_rows(place, entry.decodes() ? Kind::kDecode : Kind::kPrefill, blocks);
  return Admission::kDone;
}

// Which running one makes room for one that waits, if any does.
std::optional<std::size_t> Scheduler::victim_for(const Entry& entry) const {
  if (running_.empty()) return std::nullopt;
  if (options_.fairness == Fairness::kTenants) return unfairly_seated(entry);
  if (options_.policy != Policy::kPriority || !entry.before(running_.back())) return std::nullopt;
  return running_.size() - 1;
}

// The last of the tenant with the most seats, if it keeps its share without it, for one whose tenant keeps
// within its own: whoever came that way is no victim in turn, and the first in rank never is.
std::optional<std::size_t> Scheduler::unfairly_seated(const Entry& entry) const {
  const std::size_t share = std::max<std::size_t>(1, options_.max_num_seqs / tenants_.at_work());
  if (seats_of(entry.spec.tenant) + entry.spec.seats > share) return std::nullopt;
  std::optional<std::size_t> victim;
  std::size_t most = share;
  for (std::size_t at = running_.size(); at-- > 0;) {
    const std::size_t seats = seats_of(running_[at].spec.tenant);
    if (seats <= most || seats - running_[at].spec.seats < share) continue;
    most = seats;
    victim = at;
  }
  return victim;
}

std::size_t Scheduler::seats_of(std::uint64_t tenant) const {
  std::size_t seats = 0;
  for (const Entry& entry : running_)
    if (entry.spec.tenant == tenant) seats += entry.spec.seats;
  return seats;
}

bool Scheduler::has_seats(const Entry& entry) const {
  const std::size_t taken =
      std::accumulate(running_.begin(), running_.end(), std::size_t{0},
                      [](std::size_t sum, const Entry& running) { return sum + running.spec.seats; });
  return taken + entry.spec.seats <= options_.max_num_seqs;
}

// What the running ones will want soon: the rest of their prompts, and a block each to go on with. Admitting
// into that room would only lead to preemptions.
std::size_t Scheduler::spare_blocks(const SequenceBlocks& blocks) const {
  std::size_t spare = running_.size();
  for (const Entry& entry : running_) spare += blocks.missing_blocks(entry.spec.id);
  return spare;
}

std::size_t Scheduler::wanted_end(const Entry& entry, Kind kind) const {
  const std::size_t known = entry.spec.known;
  if (kind == Kind::kDecode) return budget_.fit(entry.work(), known, 1);
  const std::size_t threshold = options_.long_prefill_token_threshold;
  const std::size_t limit = threshold > 0 ? std::min(known, entry.computed + threshold) : known;
  if (options_.chunked_prefill == ChunkedPrefill::kOn)
    return budget_.fit(entry.work(), limit, chunk_given_ ? 0 : kLeastPrefillTokens);
  // Whole or not at all; only logits over the prompt, of which a step has few, still cut it.
  const std::size_t end = budget_.fit(entry.work(), known, known);
  const bool cut_by_rows = end < known && end - entry.computed == budget_.rows_left();
  return cut_by_rows ? entry.computed : end;
}

void Scheduler::give_rows(std::size_t at, Kind kind, SequenceBlocks& blocks) {
  std::size_t end = wanted_end(running_[at], kind);
  if (end == running_[at].computed || !make_room(at, end, blocks)) return;
  Entry& entry = running_[at];
  const PlannedRows item{
      .sequence = entry.spec.id, .first = entry.computed, .end = end, .outputs = entry.work().outputs(end)};
  budget_.take(cost_.shape_of(item.first, item.end), item.outputs);
  plan_.items.push_back(item);
  chunk_given_ = chunk_given_ || kind == Kind::kPrefill;
  charge(entry, end);
}

// Reserves blocks for rows up to `end`, taking them from the sequences ranked after this one; the last of all
// takes fewer rows, or gives up itself. False: it gave up.
bool Scheduler::make_room(std::size_t at, std::size_t& end, SequenceBlocks& blocks) {
  const SequenceId id = running_[at].spec.id;
  const std::size_t first = running_[at].computed;
  while (!blocks.reserve(id, end)) {
    if (at + 1 < running_.size()) {
      preempt_last(blocks);
    } else if (end - first > 1 && options_.chunked_prefill == ChunkedPrefill::kOn) {
      end = first + (end - first) / 2;
    } else {
      FOLIO_CHECK(running_.size() > 1, "a sequence that the whole pool cannot hold was accepted");
      preempt_last(blocks);
      return false;
    }
  }
  return true;
}

void Scheduler::preempt(std::size_t at, SequenceBlocks& blocks) {
  Entry victim = running_[at];
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(at));
  drop_item(victim.spec.id);
  blocks.preempt(victim.spec.id);
  victim.computed = 0;
  insert(waiting_, victim);
  plan_.preempted.push_back(victim.spec.id);
  ++preemptions_;
}

void Scheduler::drop_item(SequenceId id) {
  std::erase(plan_.admitted, id);
  const auto item = std::ranges::find(plan_.items, id, &PlannedRows::sequence);
  if (item == plan_.items.end()) return;
  budget_.give_back(cost_.shape_of(item->first, item->end), item->outputs);
  plan_.items.erase(item);
}

// Computing again what was computed before is not the tenant's doing.
void Scheduler::charge(Entry& entry, std::size_t end) {
  if (end <= entry.charged) return;
  tenants_.charge(entry.spec.tenant, end - entry.charged);
  entry.charged = end;
}

void Scheduler::take_turns(SequenceBlocks& blocks) {
  const bool fair = options_.fairness == Fairness::kTenants;
  const bool by_rank = options_.policy == Policy::kPriority && !fair;
  turns_.clear();
  for (const auto* list : {&running_, &waiting_})
    for (const Entry& entry : *list)
      if (!entry.pauses && (list == &waiting_ || !entry.decodes()))
        turns_.push_back({.id = entry.spec.id,
                          .served = fair ? tenants_.served(entry.spec.tenant) : 0,
                          .rank = &entry,
                          .waits = list == &waiting_});
  const bool urged = urge_producers(blocks);
  if (!fair && !by_rank && !urged) return;  // in order already
  std::ranges::sort(turns_, [by_rank](const Turn& a, const Turn& b) {
    if (a.served != b.served) return a.served < b.served;
    if (!by_rank && a.waits != b.waits) return b.waits;
    return a.rank != b.rank ? a.rank->before(*b.rank) : a.waits < b.waits;
  });
}

// Who computes a prefix gets the turn of whoever waits for it, if that is earlier: else others between the
// two could keep both waiting. True: somebody did.
bool Scheduler::urge_producers(SequenceBlocks& blocks) {
  const auto first_waiting = std::ranges::find(turns_, true, &Turn::waits);
  bool urged = false;
  for (Entry& waiting : waiting_) {
    if (!waiting.awaits || waiting.pauses) continue;
    waiting.awaits = blocks.producer_of(waiting.spec.id);  // it may be there by now
    if (!waiting.awaits) continue;
    const auto producer = std::find_if(turns_.begin(), first_waiting,
                                       [&](const Turn& turn) { return turn.id == *waiting.awaits; });
    if (producer == first_waiting) continue;
    if (options_.fairness == Fairness::kTenants)
      producer->served = std::min(producer->served, tenants_.served(waiting.spec.tenant));
    if (waiting.before(*producer->rank)) producer->rank = &waiting;
    urged = true;
  }
  return urged;
}

std::size_t Scheduler::insert(std::vector<Entry>& entries, const Entry& entry) {
  const auto at =
      std::ranges::upper_bound(entries, entry, [](const Entry& a, const Entry& b) { return a.before(b); });
  const auto place = entries.insert(at, entry);
  return static_cast<std::size_t>(place - entries.begin());
}

}  // namespace folio::scheduler
