// What a caller asks of the engine, and what it gets back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/shared_list.h"
#include "sampling/logprobs.h"
#include "sampling/sampling_params.h"
#include "text/detokenizer.h"

namespace folio::engine {

enum class EndTokens { kStop, kIgnore };  // does a token that ends a generation end it?

enum class Seed {
  kGiven,  // sampling.seed
  kDraw,   // a new one; Job::seed and the statistics say which, so that the answer can be had again
};

// What a request wants of its prompt, instead of tokens that follow it: the hidden states after the final
// norm, as one vector.
enum class Pooling {
  kNone,
  kLast,  // that of the last token
  kMean,  // the mean of all, added up in their order
};

// Instead of drawing tokens, the most likely answers are searched for, as many beams wide as answers are
// asked for. See beam_search.h.
struct BeamOptions {
  double length_penalty = 1;  // [-10, 10]; above 0 longer answers are preferred, below 0 shorter ones
};

// Tokens that end an answer, besides the model's own: a beam search looks at as many more of the next tokens,
// of every beam in every step.
inline constexpr std::size_t kMaxBeamStops = 1024;

inline constexpr std::size_t kNoHidden = std::numeric_limits<std::size_t>::max();
inline constexpr std::size_t kNoLogits = std::numeric_limits<std::size_t>::max();

struct GenerationRequest {
  std::vector<TokenId> prompt;  // at least one token
  sampling::SamplingParams sampling;
  // Tokens to generate at most; what the context leaves if that is less. 0: only compute the prompt (see
  // on_logits).
  std::size_t max_tokens = std::numeric_limits<std::size_t>::max();
  SharedList<std::string> stop;  // texts that end the answer and are not part of it; none may be empty
  EndTokens end_tokens = EndTokens::kStop;
  // Does the answer's text begin anew, or go on with the prompt's last word?
  text::TextStart text_start = text::TextStart::kFresh;
  std::string cache_salt;  // sequences of different salts never share blocks
  // Answers to the same prompt, each with a stream of its own; they share the prompt's blocks.
  std::size_t choices = 1;
  // Set: the answers are the `choices` best of a beam search, best first. They come when it is over, each in
  // one piece. Temperature must be 0; penalties, stop texts and what else changes a token's rank are refused.
  std::optional<BeamOptions> beams;
  Seed seed = Seed::kGiven;
  std::int32_t priority = 0;  // smaller first; only under Policy::kPriority
  std::uint64_t tenant = 0;   // who shares fairly with whom; only under Fairness::kTenants
  // From submission to the end at most; what is there by then is the answer. 0: no limit.
  double deadline_ms = 0;
  // Log-probabilities as the model gave them, before any parameter: of each generated token, with the so many
  // most likely ones; and of each token of the prompt after the first. A request that wants the latter reuses
  // no cached block (cached_tokens is 0).
  std::optional<std::uint32_t> logprobs, prompt_logprobs;
  // Called on the engine's thread with the logits that follow each position from `logits_from` on, in order;
  // after a preemption some come again, with the same bits. Such a request reuses no cached block past that
  // position. The span is valid during the call.
  std::size_t logits_from = kNoLogits;
  std::function<void(std::size_t position, std::span<const float> logits)> on_logits;
  // Another kind of request: nothing is generated (max_tokens must be 0, choices 1, and nothing above asks
  // for logits), Delta::embedding is the answer. Its rows want the hidden state, and no logits are computed.
  // kMean reuses no cached block (cached_tokens is 0), kLast whatever is found before the last token.
  Pooling pooling = Pooling::kNone;
  // For such a request, or instead of pooling: called as on_logits, with the hidden state of each position
  // from `hidden_from` on, f32 [hidden].
  std::size_t hidden_from = kNoHidden;
  std::function<void(std::size_t position, std::span<const float> hidden)> on_hidden;

  bool wants_hidden() const { return pooling != Pooling::kNone || hidden_from != kNoHidden; }
};

// The part of a request that is wrong, for callers whose users know it by another name.
enum class RequestPart {
  kNone,      // the request is fine; it is not taken now
  kPrompt,    // empty, or a token outside the vocabulary
  kLength,    // the prompt leaves no room
  kSampling,  // sampling
  kLogprobs,  // logprobs or prompt_logprobs
  kStop,
  kChoices,
  kBeams,
  kHidden,  // pooling or hidden_from, with what does not go with them
  kLogits,  // on_logits
  kDeadline,
};

struct Refusal {
  RequestPart part;
  Error error;
};

enum class FinishReason {
  kStop,       // a token that ends the generation, or a stop text; of a pooled prompt, its vector is there
  kLength,     // max_tokens or the context is reached
  kCancelled,  // by cancel()
  kDeadline,   // deadline_ms is over
  kError,      // see GenerationStats::error
};

struct GenerationStats {
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;  // of the prompt, whose K and V were read from the cache
  std::size_t generated_tokens = 0;
  std::size_t preemptions = 0;  // times its blocks were taken for others
  std::uint64_t seed = 0;
  double first_token_s = 0;   // from submit to the first token
  double prefill_s = 0;       // computing the rest of the prompt, first token included
  double decode_s = 0;        // from the first token to the last
  std::size_t kv_blocks = 0;  // held at the end
  std::size_t kv_bytes = 0;   // of those blocks
  std::optional<Error> error;

  double prefill_tokens_per_s() const {
    return prefill_s > 0 ? static_cast<double>(prompt_tokens - cached_tokens) / prefill_s : 0;
  }
  double decode_tokens_per_s() const {
    return decode_s > 0 && generated_tokens > 1 ? static_cast<double>(generated_tokens - 1) / decode_s : 0;
  }
};

// News since the last look.
struct Delta {
  std::string text;                          // whole UTF-8 characters
  std::vector<TokenId> tokens;               // generated, the ending token included
  std::vector<sampling::Logprobs> logprobs;  // of these tokens, if asked for
  // Of the prompt's tokens from the second on, if asked for; in the first answer's stream.
  std::vector<sampling::Logprobs> prompt_logprobs;
  std::vector<float> embedding;        // [hidden] of a request with pooling, before its end; not normalised
  std::optional<FinishReason> finish;  // set once, in the last delta
};

// Has somebody cancelled the request? Shared by the streams of its answers and the engine.
using CancelFlag = std::shared_ptr<std::atomic<bool>>;

// The way of one answer from the engine's thread to its reader, and of the reader's "no more" back. Text
// waits here in one piece however slow the reader is, so that the engine never waits for it; the answer's own
// length bounds it. Thread rule: every member may be called from any thread; one reader.
class TokenStream {
 public:
  explicit TokenStream(CancelFlag cancelled) : cancelled_(std::move(cancelled)) {}

  // The request ends at the next step with kCancelled, all its answers with it. No effect on one that has
  // ended. The flag is the message: however many are cancelled, and however often, none is lost.
  void cancel() { cancelled_->store(true, std::memory_order_relaxed); }

  Delta take();           // what is there, possibly nothing
  Delta wait();           // waits for text, tokens or the end
  bool finished() const;  // the last delta has been put (it may not have been taken)
  GenerationStats stats() const;

  // The engine's side.
  bool is_cancelled() const { return cancelled_->load(std::memory_order_relaxed); }
  void put(std::string_view text, std::optional<TokenId> token, const sampling::Logprobs* logprobs = nullptr);
  void put_prompt(const sampling::Logprobs& logprobs);
  void put_embedding(std::vector<float> embedding);
  void finish(FinishReason reason, const GenerationStats& stats);

 private:
  CancelFlag cancelled_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  Delta pending_;
  bool finished_ = false;
  GenerationStats stats_;
};

}  // namespace folio::engine
