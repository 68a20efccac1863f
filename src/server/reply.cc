#include "server/reply.h"

#include <algorithm>
#include <utility>

#include "server/api_error.h"
#include "server/logprobs_json.h"

namespace folio::server {
namespace {

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string_view reason_name(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
    case engine::FinishReason::kDeadline:
      return "length";
    case engine::FinishReason::kCancelled:
      return "abort";
    case engine::FinishReason::kError:
      return "error";
  }
  return "error";
}

void append(engine::Delta& held, engine::Delta more) {
  held.text += more.text;
  held.tokens.insert(held.tokens.end(), more.tokens.begin(), more.tokens.end());
  std::ranges::move(more.logprobs, std::back_inserter(held.logprobs));
  std::ranges::move(more.prompt_logprobs, std::back_inserter(held.prompt_logprobs));
  held.finish = more.finish;
}

}  // namespace

Reply::Reply(Parts parts)
    : parts_(std::move(parts)),
      exchange_(std::move(parts_.exchange)),
      choices_(parts_.generation.sources.size()) {
  if (!parts_.request.stream) return;
  HttpResponse head{
      .content_type = "text/event-stream; charset=utf-8", .body = {}, .headers = parts_.headers};
  head.headers.push_back({"Cache-Control", "no-cache"});
  exchange_->begin(std::move(head));
}

Reply::State Reply::pump(Metrics& metrics) {
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (!choices_[i].finish) take(i, metrics);
  if (!std::ranges::all_of(choices_, [](const Choice& choice) { return choice.finish.has_value(); }))
    return State::kRunning;
  if (exchange_ && parts_.request.stream) end_stream();
  if (exchange_ && !parts_.request.stream) respond_whole();
  exchange_ = nullptr;
  return State::kEnded;
}

void Reply::take(std::size_t index, Metrics& metrics) {
  Choice& choice = choices_[index];
  const Source& source = parts_.generation.sources[index];
  engine::Delta delta = source.stream->take();
  if (!delta.tokens.empty()) measure(choice, delta.tokens.size(), metrics);
  if (delta.finish) {
    choice.finish = delta.finish;
    choice.stats = source.stream->stats();
    const bool leads = index == 0 || parts_.generation.sources[index - 1].prompt != source.prompt;
    metrics.ended({.finish_reason = reason_name(*delta.finish),
                   .choice = leads ? Leading::kYes : Leading::kNo,
                   .n = parts_.request.n,
                   .prompt_tokens = prompt_of(index).tokens.size(),
                   .cached_tokens = choice.stats.cached_tokens,
                   .generated_tokens = choice.generated,
                   .max_tokens = parts_.request.max_tokens.value_or(0),
                   .end_to_end_s = seconds(parts_.came, Clock::now()),
                   .first_token_s = choice.stats.first_token_s,
                   .prefill_s = choice.stats.prefill_s,
                   .decode_s = choice.stats.decode_s});
  }
  if (parts_.request.stream) {
    append(choice.held, std::move(delta));
    if (is_due(choice)) stream(index, std::exchange(choice.held, {}));
    return;
  }
  choice.text += delta.text;
  std::ranges::move(delta.logprobs, std::back_inserter(choice.logprobs));
  if (parts_.request.return_token_ids)
    choice.tokens.insert(choice.tokens.end(), delta.tokens.begin(), delta.tokens.end());
}

void Reply::measure(Choice& choice, std::size_t tokens, Metrics& metrics) const {
  const Clock::time_point now = Clock::now();
  std::size_t following = tokens;
  if (choice.generated == 0) {
    metrics.first_token(seconds(parts_.came, now));
    choice.last_token = now;
    --following;
  }
  metrics.next_tokens(following, seconds(choice.last_token, now));
  choice.last_token = now;
  choice.generated += tokens;
  metrics.generated(tokens);
}

const PreparedPrompt& Reply::prompt_of(std::size_t index) const {
  return parts_.prompts[parts_.generation.sources[index].prompt];
}

Json Reply::logprobs_of(Choice& choice, std::span<const sampling::Logprobs> logprobs) const {
  return logprobs_json(parts_.head.endpoint, *parts_.tokenizer, logprobs, choice.text_offset);
}

// What a choice has before its first token: the role, and with echo the prompt.
ChoiceText Reply::first_text(std::size_t index) const {
  ChoiceText first{.index = index, .text = {}, .finish_reason = {}, .token_ids = {}, .prompt_token_ids = {}};
  if (parts_.request.echo) first.text = prompt_of(index).text;
  if (parts_.request.return_token_ids) first.prompt_token_ids = prompt_of(index).tokens;
  return first;
}

// Whether what is held makes an event: it says something, and is the first, the last or long enough.
bool Reply::is_due(const Choice& choice) const {
  const engine::Delta& held = choice.held;
  if (held.finish) return true;
  const bool says = !held.text.empty() ||
                    ((parts_.request.return_token_ids || parts_.request.logprobs) && !held.tokens.empty());
  return says && (!choice.begun || held.tokens.size() >= parts_.stream_interval);
}

void Reply::stream(std::size_t index, engine::Delta delta) {
  Choice& choice = choices_[index];
  if (!exchange_) return;
  std::optional<Usage> so_far;
  const std::optional<Usage>* usage = parts_.request.include_usage ? &so_far : nullptr;
  if (parts_.request.continuous_usage) {
    so_far = usage_of(index);
    usage = &so_far;
  }
  std::string events;
  const bool announces =
      parts_.head.endpoint == kChat || parts_.request.echo || parts_.request.return_token_ids;
  if (!std::exchange(choice.begun, true) && announces)
    events += stream_piece(parts_.head, first_text(index), Piece::kFirst, usage);
  ChoiceText next{.index = index,
                  .text = std::move(delta.text),
                  .finish_reason = {},
                  .token_ids = {},
                  .prompt_token_ids = {}};
  if (delta.finish) next.finish_reason = reason_name(*delta.finish);
  if (!delta.logprobs.empty()) next.logprobs = logprobs_of(choice, delta.logprobs);
  if (parts_.request.return_token_ids) next.token_ids = std::move(delta.tokens);
  events += stream_piece(parts_.head, next, Piece::kNext, usage);
  exchange_->send(events);
}

void Reply::end_stream() {
  std::string events;
  if (const Error* error = failure())
    events += stream_event(error_body({.status = 500, .message = error->message, .param = {}, .code = {}}));
  else if (parts_.request.include_usage)
    events += stream_usage(parts_.head, usage());
  exchange_->send(events + stream_event("[DONE]"));
  exchange_->end();
}

void Reply::respond_whole() {
  if (const Error* error = failure()) {
    exchange_->respond(error_response({.status = 500, .message = error->message, .param = {}, .code = {}}));
    return;
  }
  std::vector<ChoiceText> texts;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    ChoiceText text = first_text(i);
    text.text += choices_[i].text;
    text.finish_reason = reason_name(*choices_[i].finish);
    if (parts_.request.logprobs) text.logprobs = logprobs_of(choices_[i], choices_[i].logprobs);
    if (parts_.request.return_token_ids) text.token_ids = choices_[i].tokens;
    texts.push_back(std::move(text));
  }
  exchange_->respond({.body = whole_response(parts_.head, texts, usage()), .headers = parts_.headers});
}

Usage Reply::usage_of(std::size_t index) const {
  const Choice& choice = choices_[index];
  return {.prompt_tokens = prompt_of(index).tokens.size(),
          .completion_tokens = choice.generated,
          .cached_tokens = choice.stats.cached_tokens};
}

// A prompt counts once, however many answers it has.
Usage Reply::usage() const {
  Usage all;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const Usage one = usage_of(i);
    all.completion_tokens += one.completion_tokens;
    if (i > 0 && parts_.generation.sources[i].prompt == parts_.generation.sources[i - 1].prompt) continue;
    all.prompt_tokens += one.prompt_tokens;
    all.cached_tokens += one.cached_tokens;
  }
  return all;
}

const Error* Reply::failure() const {
  static const Error kUnknown{ErrorKind::kIo, "the generation failed"};
  for (const Choice& choice : choices_)
    if (choice.finish == engine::FinishReason::kError)
      return choice.stats.error ? &*choice.stats.error : &kUnknown;
  return nullptr;
}

}  // namespace folio::server
