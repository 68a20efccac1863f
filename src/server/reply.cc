#include "server/reply.h"

#include <algorithm>
#include <utility>

#include "server/error_response.h"

namespace folio::server {
namespace {

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// What the request's own rules make impossible is the client's to mend.
int status_of(const Error& error) { return error.kind == ErrorKind::kUnsupported ? 400 : 500; }

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
  last_sent_ = Clock::now();
}

void Reply::ping(Clock::time_point now) {
  if (!exchange_ || !parts_.request.stream || now - last_sent_ < kPingAfter) return;
  exchange_->send(": ping\n\n");
  last_sent_ = now;
}

Reply::State Reply::pump(Metrics& metrics) {
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (!choices_[i].answer.finish) take(i, metrics);
  if (!std::ranges::all_of(choices_, [](const Choice& choice) { return choice.answer.finish.has_value(); }))
    return State::kRunning;
  if (exchange_ && parts_.request.stream) end_stream();
  if (exchange_ && !parts_.request.stream) respond_whole();
  exchange_ = nullptr;
  return State::kEnded;
}

void Reply::take(std::size_t index, Metrics& metrics) {
  Choice& choice = choices_[index];
  const Source& source = parts_.generation.sources[index];
  const std::size_t before = choice.answer.tokens.size();
  choice.answer.take(*source.stream);
  if (choice.answer.tokens.size() > before) measure(choice, choice.answer.tokens.size() - before, metrics);
  if (choice.answer.finish) {
    const engine::GenerationStats& stats = choice.answer.stats;
    metrics.ended({.finish_reason = api::finish_name(*choice.answer.finish),
                   .choice = first_of(index) == index ? Leading::kYes : Leading::kNo,
                   .n = parts_.request.n,
                   .prompt_tokens = prompt_of(index).tokens.size(),
                   .cached_tokens = stats.cached_tokens,
                   .generated_tokens = choice.generated,
                   .max_tokens = parts_.request.max_tokens.value_or(0),
                   .end_to_end_s = seconds(parts_.came, Clock::now()),
                   .first_token_s = stats.first_token_s,
                   .prefill_s = stats.prefill_s,
                   .decode_s = stats.decode_s});
  }
  if (!parts_.request.stream || !is_due(choice)) return;
  // What all answers to a prompt say of it comes with the first one's stream, before any has a token.
  const std::size_t first = first_of(index);
  if (first != index && !choice.begun && !choices_[first].answer.finish) take(first, metrics);
  stream(index);
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

const api::PreparedPrompt& Reply::prompt_of(std::size_t index) const {
  return parts_.prompts[parts_.generation.sources[index].prompt];
}

std::size_t Reply::first_of(std::size_t index) const {
  const std::vector<Source>& sources = parts_.generation.sources;
  while (index > 0 && sources[index - 1].prompt == sources[index].prompt) --index;
  return index;
}

api::AnswerTo Reply::question_of(std::size_t index) const {
  return {.request = parts_.request, .prompt = prompt_of(index), .tokenizer = *parts_.tokenizer};
}

// Whether what is held makes an event: it says something, and is the first, the last or long enough.
bool Reply::is_due(const Choice& choice) const {
  const api::Answer& held = choice.answer;
  if (held.finish) return true;
  const bool says = !held.text.empty() ||
                    ((parts_.request.return_token_ids || parts_.request.logprobs) && !held.tokens.empty());
  return says && (!choice.begun || held.tokens.size() >= parts_.stream_interval);
}

void Reply::stream(std::size_t index) {
  Choice& choice = choices_[index];
  api::Answer& news = choice.answer;
  const api::Request& request = parts_.request;
  if (!exchange_) return;
  std::optional<api::Usage> so_far;
  const std::optional<api::Usage>* usage = request.include_usage ? &so_far : nullptr;
  if (request.continuous_usage) {
    so_far = usage_of(index);
    usage = &so_far;
  }
  std::string events;
  const api::AnswerTo question = question_of(index);
  const bool announces = parts_.head.endpoint == api::kChat || request.echo || request.return_token_ids;
  if (!std::exchange(choice.begun, true)) {
    choice.text_offset = api::head_characters(question);
    const api::ChoiceText head =
        api::choice_head(question, index, choices_[first_of(index)].answer.prompt_logprobs);
    if (announces) events += api::stream_piece(parts_.head, head, api::Piece::kFirst, usage);
  }
  events += api::stream_piece(parts_.head, api::next_piece(question, index, news, choice.text_offset),
                              api::Piece::kNext, usage);
  exchange_->send(events);
  last_sent_ = Clock::now();
}

void Reply::end_stream() {
  std::string events;
  if (const Error* error = failure())
    events += api::stream_event(
        api::error_body({.status = status_of(*error), .message = error->message, .param = {}, .code = {}}));
  else if (parts_.request.include_usage)
    events += api::stream_usage(parts_.head, usage());
  exchange_->send(events + api::stream_event("[DONE]"));
  exchange_->end();
}

void Reply::respond_whole() {
  if (const Error* error = failure()) {
    exchange_->respond(
        error_response({.status = status_of(*error), .message = error->message, .param = {}, .code = {}}));
    return;
  }
  std::vector<api::ChoiceText> texts;
  for (std::size_t i = 0; i < choices_.size(); ++i)
    texts.push_back(api::whole_choice(question_of(i), i, choices_[i].answer, choices_[first_of(i)].answer));
  HttpResponse response{.body = api::whole_response(parts_.head, texts, usage()), .headers = parts_.headers};
  compress(response, parts_.coding);
  exchange_->respond(std::move(response));
}

api::Usage Reply::usage_of(std::size_t index) const {
  const Choice& choice = choices_[index];
  return {.prompt_tokens = prompt_of(index).tokens.size(),
          .completion_tokens = choice.generated,
          .cached_tokens = choice.answer.stats.cached_tokens};
}

// A prompt counts once, however many answers it has.
api::Usage Reply::usage() const {
  api::Usage all;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const api::Usage one = usage_of(i);
    all.completion_tokens += one.completion_tokens;
    if (first_of(i) != i) continue;
    all.prompt_tokens += one.prompt_tokens;
    all.cached_tokens += one.cached_tokens;
  }
  return all;
}

const Error* Reply::failure() const {
  static const Error kUnknown{ErrorKind::kIo, "the generation failed"};
  for (const Choice& choice : choices_)
    if (choice.answer.finish == engine::FinishReason::kError)
      return choice.answer.stats.error ? &*choice.answer.stats.error : &kUnknown;
  return nullptr;
}

}  // namespace folio::server
