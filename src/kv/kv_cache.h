// KvCache: the door to everything kept about computed tokens. Nobody else touches pool or index.
//
// A sequence's life:
//   SequenceKv kv = cache.open(id, salt, context);
//   cache.claims().awaited(kv, prompt)       another computes a block of it right now: wait, ask again
//   cache.blocks_to_start(kv, prompt, upto)  is there room? nothing is pinned yet: wait, ask again
//   cache.match(kv, prompt);                 blocks already computed, by anyone, ever; pinned
//   cache.claims().claim(kv, prompt);        others wait for the blocks that this sequence will compute
//   repeat  cache.reserve(kv, upto)          tokens [computed, upto) are writable by this sequence alone
//           ... the model writes K and V through kv.blocks() ...
//           cache.commit(kv, tokens, upto)   full blocks enter the index; from here others share them
//   cache.release(kv)                        blocks stay cached until somebody needs the room
//
// Three rules make it simple:
// 1. A published block is never written. Whoever must write into one, or into one that a fork shares, gets a
//    copy.
// 2. One block per content. When two sequences computed the same block, the second to commit adopts the
//    first's and gives its own back: results do not depend on who computed them (batch invariance), so no
//    query can tell, and no byte is spent twice.
// 3. So a table's published blocks are each other's parents in the index. A sequence pins a block together
//    with all before it and releases the last first; least-recently-released order alone therefore evicts
//    children before parents, and every entry of the index can be reached from its root.
//
// A pool of geometry.blocks_for(n) blocks is always enough for one sequence of n tokens that is alone.
//
// Thread rule: one thread, the engine's. Errors: "no room" is an answer; misuse is a bug and CHECKed.
// Cost: per block touched, O(block_tokens) for its name and to find it, once in its sequence's life as long
// as it stays; nothing allocates between open() and the sequence's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv/block_pool.h"
#include "kv/claims.h"
#include "kv/eviction.h"
#include "kv/kv_geometry.h"
#include "kv/kv_group.h"
#include "kv/kv_observer.h"
#include "kv/prefix_hash.h"
#include "kv/prefix_index.h"
#include "kv/sequence_kv.h"
#include "kv/swap_area.h"

namespace folio::kv {

enum class Reserve { kDone, kNoBlocks };
enum class Reset { kDone, kInUse };
enum class Matching {
  kNew,     // counts as a query of the prefix cache
  kResume,  // a sequence looks for what is left of its own: counts as resumed
};
// Whether match() takes a part of one more block after the full ones.
enum class Partial { kYes, kNo };

struct KvCacheOptions {
  KvGeometry geometry;
  std::size_t blocks = 0;
  // Everything the bits depend on besides the tokens; see hash_root(). Copied into a hash.
  std::span<const std::byte> name_space = {};
  PrefixCaching prefix_caching = PrefixCaching::kOn;
  LinkHash hash = &hash_link;  // another only in tests
  Eviction eviction = Eviction::kLru;
  double attention_share = 0;   // see make_evictor()
  std::size_t swap_blocks = 0;  // room in RAM for what preempted sequences give up
};

struct KvStats {
  std::size_t blocks = 0;  // free + cached + in use
  std::size_t free_blocks = 0;
  std::size_t cached_blocks = 0;
  std::size_t in_use_blocks = 0;
  std::size_t block_bytes = 0;
  std::size_t saved_blocks = 0;  // that would be in use too, if no sequence shared any
  std::size_t swap_blocks = 0, free_swap_blocks = 0;
  // Since creation:
  std::uint64_t queried_tokens = 0;    // given to match() by sequences that went on to compute something
  std::uint64_t hit_tokens = 0;        // of those, found: K and V are read, not computed
  std::uint64_t resumed_tokens = 0;    // found by sequences that had lost their blocks
  std::uint64_t looked_up_blocks = 0;  // that the index was asked for, whole or a part
  std::uint64_t evicted_blocks = 0;    // lost to make room
  std::uint64_t copied_blocks = 0;     // by copy-on-write
  std::uint64_t merged_blocks = 0;     // computed twice at the same time, kept once
  std::uint64_t forks = 0;
  std::uint64_t swapped_out_blocks = 0, swapped_in_blocks = 0;
};

class KvCache {
 public:
  // Takes blocks * block_bytes of address space (committed as blocks are first used) and the metadata.
  // Errors: kInvalid for no blocks, kTooLarge for more than can be addressed or than the machine gives.
  [[nodiscard]] static Result<std::unique_ptr<KvCache>> create(const KvCacheOptions& options);
  ~KvCache();  // Requires: every SequenceKv is gone.
  // What create() takes beside the blocks' and the swap area's memory, to the byte: index, lists, counts.
  // Grows with `blocks`. Cost: some arithmetic.
  [[nodiscard]] static std::size_t metadata_bytes(const KvCacheOptions& options);

  const KvGeometry& geometry() const { return geometry_; }
  std::size_t blocks() const { return pool_.blocks(); }
  // What reserve() could hand out now.
  std::size_t obtainable_blocks() const { return pool_.obtainable_blocks(); }
  // The blocks' memory: block b is at [b * block_bytes, (b + 1) * block_bytes), laid out as KvGeometry says.
  std::span<std::byte> memory() const { return pool_.memory(); }

  // From now on `observer` hears what enters and leaves the index. It outlives the cache's last operation.
  void observe(KvObserver& observer) { observers_.push_back(&observer); }

  // A new, empty sequence, whose claims are known by `owner`. Sequences of different salts never share.
  // Allocates; nothing later does while the sequence stays within `capacity_tokens`.
  [[nodiscard]] SequenceKv open(SequenceId owner, std::string_view salt, std::size_t capacity_tokens);

  // Who computes which blocks right now.
  Claims& claims() { return claims_; }

  // Pins the longest resident prefix of `tokens` and returns its length in tokens. Never all of `tokens`: the
  // last one must be computed for its logits. After the full blocks a part of one more may be found; that
  // block is pinned too, and copied when reserve() makes room behind the part (as any block that others may
  // read). Partial::kNo takes full blocks only. Statistics count a match when its sequence first commits:
  // only then was anything read.
  // Requires: `sequence` is empty; `tokens` begins with what earlier calls were given.
  std::size_t match(SequenceKv& sequence, std::span<const TokenId> tokens, Matching matching = Matching::kNew,
                    Partial partial = Partial::kYes);

  // Blocks that must still be obtained until `sequence` holds tokens [0, upto), a copy included.
  std::size_t missing_blocks(const SequenceKv& sequence, std::size_t upto) const;
  // Asked before match(), which then pins nothing in vain: the obtainable blocks that would be taken by the
  // time `sequence` holds tokens [0, upto), those to be obtained and those that match() finds and nobody pins
  // now. There is room if obtainable_blocks() are as many. Requires: as match(). Cost: looks up only what
  // came since the last look-up; O(log blocks) else.
  std::size_t blocks_to_start(SequenceKv& sequence, std::span<const TokenId> tokens, std::size_t upto);
  // For one that waits for room: what match() would find counts as used last, so that it is still there when
  // there is room. Requires: as match(). Cost: that of its pins, no look-up but of what came since the last.
  void touch(SequenceKv& sequence, std::span<const TokenId> tokens);

  // Makes tokens [computed, upto) writable: appends blocks, evicting cached ones if need be, and copies the
  // block that computed() falls into if it is shared or published. All or nothing: kNoBlocks changes nothing.
  // Requires: upto >= computed().
  [[nodiscard]] Reserve reserve(SequenceKv& sequence, std::size_t upto);

  // K and V of `tokens` [0, computed) are valid now; full blocks among them enter the index.
  // Requires: sequence.computed() <= computed <= token_capacity() and tokens.size(); `tokens` begins with
  // what earlier calls were given.
  void commit(SequenceKv& sequence, std::span<const TokenId> tokens, std::size_t computed);

  // Forgets all after the first `tokens` tokens, which may be followed by others now. Blocks no longer needed
  // are released. Requires: tokens <= computed().
  void truncate(SequenceKv& sequence, std::size_t tokens);

  // A second sequence with the same past, sharing every block; the first of the two to write into a shared
  // block copies it. Claims stay with the first. Costs no block now. Allocates.
  [[nodiscard]] SequenceKv fork(const SequenceKv& sequence, SequenceId owner, std::size_t capacity_tokens);

  // Gives all blocks back: published ones stay cached, the others are free. The sequence is empty, as after
  // open(), but for the names of its tokens: whoever waits and asks again does not hash its prompt again.
  void release(SequenceKv& sequence);
  // The same, and from now on other tokens than those before may follow the first `same_tokens`.
  void reset(SequenceKv& sequence, std::size_t same_tokens);

  // Copies the computed tokens that only this sequence holds into the swap area, and releases its blocks.
  // nullopt, and nothing happens: the area has too little room, or nothing is computed.
  [[nodiscard]] std::optional<SwappedKv> swap_out(SequenceKv& sequence);
  // Brings them back into reserved blocks and commits them. False: blocks of the prefix that others held then
  // are gone by now; what match() found remains. Requires: match() came before, reserve() up to
  // swapped.computed() too, and `tokens` are those that were computed then.
  bool swap_in(SequenceKv& sequence, std::span<const TokenId> tokens, const SwappedKv& swapped);

  // Forgets all cached blocks. kInUse, and nothing happens, while any sequence holds blocks.
  [[nodiscard]] Reset reset();

  KvStats stats() const;

  // Proves in O(blocks) that every block is exactly one of free, cached and in use, that pins equal the
  // entries of all tables, that index and blocks agree, and that children leave before parents. Errors:
  // kInvalid, naming the first block that is wrong; such an error is a bug in folio.
  [[nodiscard]] Status check_integrity() const;

 private:
  KvCache(const KvCacheOptions& options, platform::Arena arena, platform::Arena swap);

  bool can_match(std::span<const TokenId> tokens) const;
  void look_up(SequenceKv& sequence, std::span<const TokenId> tokens);
  bool must_copy(const SequenceKv& sequence) const;
  BlockRef obtain();
  void lose(BlockId block);
  void copy_block(SequenceKv& sequence, std::size_t index);
  void count_match(SequenceKv& sequence);
  void publish_next_block(SequenceKv& sequence, std::span<const TokenId> tokens);
  bool continues(const SequenceKv& sequence, std::span<const TokenId> tokens) const;

  Status check_tables() const;
  Status check_table(const SequenceKv& sequence) const;
  Status check_eviction_order() const;

  KvGeometry geometry_;
  BlockHash namespace_root_;
  PrefixCaching prefix_caching_;
  LinkHash hash_;
  BlockPool pool_;
  PrefixIndex index_;
  KvGroup group_;
  OpenSequences sequences_;
  Claims claims_;
  SwapArea swap_;
  std::vector<KvObserver*> observers_;
  KvStats counters_;  // only the "since creation" part
};

}  // namespace folio::kv
