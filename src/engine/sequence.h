// One generation inside the engine: its tokens so far, what is computed of them, and where its answer goes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/ids.h"
#include "engine/beam_search.h"
#include "engine/pooler.h"
#include "engine/request.h"
#include "engine/stop_matcher.h"
#include "kv/sequence_kv.h"
#include "kv/swap_area.h"
#include "sampling/token_history.h"
#include "text/detokenizer.h"

namespace folio::engine {

// Which of a request's answers a sequence is. A job's sequences have consecutive ids, the job's first.
struct Choice {
  SequenceId job;
  std::size_t index = 0;

  SequenceId sequence() const { return SequenceId{raw(job) + index}; }
};

struct Sequence;

// A request's beams: the search, and of each beam the sequence that has its tokens and its keys and values.
struct BeamGroup {
  BeamSearch search;
  std::vector<Sequence*> holders;
};

// computed (in kv) < tokens.size() is all there is to do: prefill, decode, a cache hit and a recomputation
// are the same.
struct Sequence {
  Sequence(const Choice& which, std::shared_ptr<const GenerationRequest> what,
           const text::Tokenizer& tokenizer, CancelFlag cancelled)
      : id(which.sequence()),
        choice(which),
        shared_request(std::move(what)),
        request(*shared_request),
        tokens(request.prompt),
        detokenizer(tokenizer, text::SpecialText::kSkip, request.text_start),
        stop(request.stop),
        pooler(request.pooling, request.prompt.size()),
        stream(std::make_shared<TokenStream>(std::move(cancelled))) {}

  std::size_t generated() const { return tokens.size() - request.prompt.size(); }
  // The first position whose logits are wanted, besides the last.
  std::size_t outputs_from() const { return request.prompt_logprobs ? 0 : request.logits_from; }
  std::span<const TokenId> output() const { return std::span(tokens).subspan(request.prompt.size()); }
  // The first position whose hidden state is wanted.
  std::size_t hidden_from() const {
    const std::size_t pooled = request.pooling == Pooling::kMean   ? 0
                               : request.pooling == Pooling::kLast ? tokens.size() - 1
                                                                   : kNoHidden;
    return std::min(pooled, request.hidden_from);
  }
  // The tokens whose K and V may come from the cache: those before the first position of which something is
  // wanted. (The last token is computed in any case.)
  std::span<const TokenId> reusable() const {
    const std::size_t hidden = hidden_from() + 1 == tokens.size() ? kNoHidden : hidden_from();
    return std::span(tokens).first(std::min({outputs_from(), hidden, tokens.size()}));
  }
  // Room to take beforehand, in tokens: most answers need no more, and few requests may wait with much.
  std::size_t likely_length() const {
    constexpr std::size_t kLikelyAnswer = 4096;
    return std::min(max_length, tokens.size() + kLikelyAnswer);
  }

  SequenceId id;
  Choice choice;
  std::shared_ptr<const GenerationRequest> shared_request;
  const GenerationRequest& request;
  std::vector<TokenId> tokens;           // known: prompt, then generated
  std::size_t max_length = 0;            // tokens at most, prompt included
  std::optional<kv::SequenceKv> kv;      // from the first time that the scheduler considers it
  std::optional<kv::BlockHash> awaited;  // somebody else computes this block of its prompt
  std::optional<kv::SwappedKv> swapped;  // what was computed when it was preempted
  bool began = false;                    // something was computed for it, ever
  // The other answers of its request, until the prompt is computed: then they fork from this one.
  std::vector<std::unique_ptr<Sequence>> forks;
  std::shared_ptr<BeamGroup> beams;  // null: its tokens are drawn
  std::size_t beam = 0;              // which of them it holds
  std::size_t prompt_logprobs_put = 0;
  sampling::TokenHistory history;
  text::Detokenizer detokenizer;
  StopMatcher stop;
  Pooler pooler;
  std::shared_ptr<TokenStream> stream;
  std::optional<FinishReason> finished;

  GenerationStats stats;
  double submitted_ms = 0, started_ms = 0, first_token_ms = 0;  // on the engine's clock
};

// The sequences of an engine, by id, and visited in this order.
class SequenceTable {
 public:
  Sequence& add(std::unique_ptr<Sequence> sequence) {
    Sequence& added = *sequence;
    const bool is_new = sequences_.emplace(added.id, std::move(sequence)).second;
    FOLIO_CHECK(is_new, "two sequences have one id");
    return added;
  }
  Sequence& at(SequenceId id) const {
    const auto found = sequences_.find(id);
    FOLIO_CHECK(found != sequences_.end(), "no such sequence");
    return *found->second;
  }
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [id, sequence] : sequences_) visit(*sequence);
  }
  void remove_finished() {
    std::erase_if(sequences_, [](const auto& entry) { return entry.second->finished.has_value(); });
  }
  std::size_t size() const { return sequences_.size(); }

 private:
  std::map<SequenceId, std::unique_ptr<Sequence>> sequences_;
};

// What a step computes of one sequence: its tokens [first, end).
struct PlanItem {
  Sequence* sequence;
  std::size_t first, end;
  std::size_t outputs;           // of them, the last `outputs` want logits, or their hidden state
  std::size_t first_output = 0;  // row of the step's logits; of hidden states, row of the step
};

}  // namespace folio::engine
