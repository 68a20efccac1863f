// The engine's threadless half: how it is set up, and what other threads may call. The steps are in
// engine_step.cc.
#include "engine/engine.h"

#include <algorithm>
#include <random>

#include "base/check.h"
#include "platform/memory.h"

namespace folio::engine {
namespace {

std::uint64_t draw_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

Status check_stop(const GenerationRequest& request) {
  if (!std::ranges::any_of(request.stop, &std::string::empty)) return {};
  return fail(ErrorKind::kInvalid, "a stop text is empty; it would end every answer at once");
}

Status check_hidden(const GenerationRequest& request) {
  if (!request.wants_hidden()) return {};
  if (request.max_tokens == 0 && request.choices == 1 && !request.logprobs && !request.prompt_logprobs &&
      !request.on_logits && !request.beams)
    return {};
  return fail(ErrorKind::kInvalid,
              "hidden states are given instead of an answer: max_tokens must be 0, n 1, and no logits or "
              "logprobs be wanted");
}

Status check_logits(const GenerationRequest& request) {
  if (request.choices == 1 || !request.on_logits) return {};
  return fail(ErrorKind::kInvalid, "logits are reported for one answer, but n is {}", request.choices);
}

Status check_deadline(const GenerationRequest& request) {
  if (request.deadline_ms >= 0) return {};  // NaN is not
  return fail(ErrorKind::kInvalid, "a deadline of {} ms is none; give a time, or 0 for none",
              request.deadline_ms);
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::assemble(EngineParts parts) {
  FOLIO_TRY_STATUS(parts.scheduling.validate(parts.context_tokens));
  FOLIO_CHECK(parts.workspace.limits().rows >= parts.scheduling.max_num_batched_tokens &&
                  parts.workspace.limits().output_rows >= parts.scheduling.max_outputs,
              "a workspace smaller than a step");
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(EngineParts parts)
    : parts_(std::move(parts)),
      context_tokens_(
          std::min(parts_.context_tokens, parts_.cache->blocks() * parts_.cache->geometry().block_tokens())),
      sampler_(parts_.model->config().vocab),
      end_tokens_(parts_.tokenizer.description().end_of_generation),
      blocks_(*parts_.cache, sequences_, *parts_.cost),
      scheduler_(parts_.scheduling, *parts_.cost) {}

Engine::~Engine() = default;

Result<Job> Engine::submit(GenerationRequest request) {
  if (auto checked = check_request(request); !checked)
    return std::unexpected(std::move(checked).error().error);
  if (request.seed == Seed::kDraw) request.sampling.seed = draw_seed();
  const std::size_t choices = request.choices;
  if (unfinished_.fetch_add(choices) + choices > kMaxSequences) {
    unfinished_ -= choices;
    return fail(ErrorKind::kTooLarge, "{} answers are under way or waiting already; try again later",
                unfinished_.load());
  }
  Job job;
  if (arrivals_.try_push(make_sequences(std::move(request), job)) != Push::kDone) {
    unfinished_ -= choices;
    return fail(ErrorKind::kTooLarge, "{} requests are waiting already; try again later",
                arrivals_.capacity());
  }
  return job;
}

std::expected<void, Refusal> Engine::check_request(const GenerationRequest& request) const {
  const auto because = [](RequestPart part, Status status) -> std::expected<void, Refusal> {
    if (status) return {};
    return std::unexpected(Refusal{.part = part, .error = std::move(status).error()});
  };
  if (!accepting_)
    return because(
        RequestPart::kNone,
        fail(ErrorKind::kCancelled, "folio is about to stop and takes no more requests; try again later"));
  auto checked = because(RequestPart::kSampling, check_sampling(request));
  if (checked) checked = because(RequestPart::kLogprobs, check_logprobs(request));
  if (checked) checked = because(RequestPart::kPrompt, check_prompt(request));
  if (checked) checked = because(RequestPart::kLength, check_length(request));
  if (checked) checked = because(RequestPart::kStop, check_stop(request));
  if (checked) checked = because(RequestPart::kChoices, check_choices(request));
  if (checked) checked = because(RequestPart::kHidden, check_hidden(request));
  if (checked) checked = because(RequestPart::kLogits, check_logits(request));
  if (checked && request.beams) checked = because(RequestPart::kBeams, check_beams(request));
  if (checked) checked = because(RequestPart::kDeadline, check_deadline(request));
  return checked;
}

Status Engine::check_sampling(const GenerationRequest& request) const {
  FOLIO_TRY_STATUS(request.sampling.validate());
  return request.sampling.validate_tokens(config().vocab);
}

Status Engine::check_logprobs(const GenerationRequest& request) const {
  for (const auto& wanted : {request.logprobs, request.prompt_logprobs})
    if (wanted.value_or(0) > config().vocab)
      return fail(ErrorKind::kInvalid,
                  "logprobs asks for the {} most likely tokens, but the vocabulary has {}", *wanted,
                  config().vocab);
  return {};
}

Status Engine::check_prompt(const GenerationRequest& request) const {
  if (request.prompt.empty())
    return fail(ErrorKind::kInvalid,
                "the prompt is empty: there is nothing to continue; give at least one token");
  for (TokenId token : request.prompt)
    if (raw(token) < 0 || static_cast<std::uint32_t>(raw(token)) >= config().vocab)
      return fail(ErrorKind::kInvalid, "the prompt holds token {}, outside the vocabulary of {}", raw(token),
                  config().vocab);
  return {};
}

Status Engine::check_length(const GenerationRequest& request) const {
  const std::size_t room = request.max_tokens == 0 ? context_tokens_ : context_tokens_ - 1;
  if (request.prompt.size() <= room) return {};
  if (context_tokens_ < parts_.context_tokens)
    return fail(
        ErrorKind::kTooLarge,
        "the prompt has {} tokens, but all blocks of the KV cache hold {} together; shorten it to {} or "
        "give them more memory: --kv-tokens, or --kv-cache-memory-bytes of folio serve",
        request.prompt.size(), context_tokens_, room);
  return fail(ErrorKind::kTooLarge,
              "the prompt has {} tokens and leaves no room in the context of {}; shorten it or raise "
              "--ctx-size (the model allows {})",
              request.prompt.size(), context_tokens_, config().max_context);
}

Status Engine::check_choices(const GenerationRequest& request) const {
  const std::size_t most = std::min(parts_.scheduling.max_num_seqs, kMaxChoices);
  if (request.choices >= 1 && request.choices <= most) return {};
  return fail(ErrorKind::kInvalid,
              "n is {}, but must be from 1 to {}: as many sequences may run at once (--max-num-seqs)",
              request.choices, most);
}

// The first choice's sequence, with those of the others in it.
std::unique_ptr<Sequence> Engine::make_sequences(GenerationRequest what, Job& job) {
  const auto request = std::make_shared<const GenerationRequest>(std::move(what));
  job.id = SequenceId{next_id_.fetch_add(request->choices)};
  job.seed = request->sampling.seed;
  const std::shared_ptr<BeamGroup> beams = request->beams ? make_beams(*request) : nullptr;
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<Sequence> first;
  for (std::size_t index = 0; index < request->choices; ++index) {
    auto sequence = std::make_unique<Sequence>(Choice{.job = job.id, .index = index}, request,
                                               parts_.tokenizer, cancelled);
    sequence->submitted_ms = parts_.time->now_ms();
    sequence->max_length = request->prompt.size() + most_new_tokens(*request);
    sequence->beams = beams;
    sequence->stats.prompt_tokens = request->prompt.size();
    sequence->stats.seed = request->sampling.seed;
    job.streams.push_back(sequence->stream);
    if (beams) beams->holders.push_back(sequence.get());
    if (index == 0) {
      first = std::move(sequence);
    } else {
      first->forks.push_back(std::move(sequence));
    }
  }
  job.stream = job.streams.front();
  return first;
}

std::size_t Engine::most_new_tokens(const GenerationRequest& request) const {
  return std::min(request.max_tokens, context_tokens_ - request.prompt.size());
}

void Engine::stop_accepting() { accepting_ = false; }

MemoryUse Engine::memory_use() const {
  return {.weight_bytes = parts_.model->weight_bytes(),
          .kv_bytes = parts_.cache->memory().size(),
          .resident_bytes = platform::resident_bytes(),
          .peak_resident_bytes = platform::peak_resident_bytes(),
          .huge_page_bytes = platform::huge_page_bytes()};
}

}  // namespace folio::engine
