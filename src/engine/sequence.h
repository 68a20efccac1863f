// One generation inside the engine: its tokens so far, what is computed of them, and where its answer goes.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "engine/request.h"
#include "engine/stop_matcher.h"
#include "kv/sequence_kv.h"
#include "sampling/token_history.h"
#include "text/detokenizer.h"

namespace folio::engine {

using Clock = std::chrono::steady_clock;

// computed (in kv) < tokens.size() is all there is to do: prefill, decode, a cache hit and a recomputation
// are the same.
struct Sequence {
  Sequence(SequenceId sequence_id, GenerationRequest what, const text::Tokenizer& tokenizer)
      : id(sequence_id),
        request(std::move(what)),
        tokens(request.prompt),
        detokenizer(tokenizer, text::SpecialText::kSkip, request.text_start),
        stop(request.stop) {}

  std::size_t generated() const { return tokens.size() - request.prompt.size(); }
  bool wants_logits() const { return request.logits_from != kNoLogits; }

  SequenceId id;
  GenerationRequest request;
  std::vector<TokenId> tokens;       // known: prompt, then generated
  std::size_t max_length = 0;        // tokens at most, prompt included
  std::optional<kv::SequenceKv> kv;  // from admission on
  std::size_t promised_blocks = 0;
  sampling::TokenHistory history;
  text::Detokenizer detokenizer;
  StopMatcher stop;
  std::shared_ptr<TokenStream> stream = std::make_shared<TokenStream>();
  std::optional<FinishReason> finished;

  GenerationStats stats;
  Clock::time_point submitted = Clock::now();
  Clock::time_point started;
  Clock::time_point first_token;
};

// What a step computes of one sequence: its tokens [first, end).
struct PlanItem {
  Sequence* sequence;
  std::size_t first, end;
  std::size_t outputs;           // of them, the last `outputs` want logits
  std::size_t first_output = 0;  // row of the step's logits
};

}  // namespace folio::engine
