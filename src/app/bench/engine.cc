#include "app/bench/engine.h"

#include <algorithm>
#include <chrono>

namespace folio::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Streams of one depth find it under this name.
std::string salt_of(const RunShape& shape, std::size_t stream) {
  return shape.shared == SharedPrefix::kOn ? fmt::format("bench/{}/shared", shape.depth)
                                           : fmt::format("bench/{}/{}", shape.depth, stream);
}

// Tokens of one stream so far; a stream that ended in an error is an error.
Result<std::size_t> count_news(const engine::Job& job, bool& finished) {
  const engine::Delta delta = job.stream->take();
  if (delta.finish) {
    finished = true;
    if (const auto error = job.stream->stats().error; *delta.finish == engine::FinishReason::kError && error)
      return std::unexpected(*error);
  }
  return delta.tokens.size();
}

}  // namespace

// Decoding starts from one token of its own, and a first token is generated before the clock starts.
std::size_t RunShape::length() const { return depth + prompt + (generate == 0 ? 1 : generate + 2); }

Result<BenchEngine> BenchEngine::load(BenchEngineOptions options) {
  options.engine.context_tokens = options.context_tokens;
  // The scheduler admits a sequence while every running one could still take a block.
  const std::size_t spare_tokens = kMaxStreams * options.engine.block_tokens;
  if (options.kv_tokens > 0) options.engine.kv_size = capacity::KvTokens{options.kv_tokens + spare_tokens};
  options.engine.step_budget_ms = 0;  // every step as large as it may be: what is measured is the machine
  const Clock::time_point start = Clock::now();
  auto loaded = engine::load_parts(options.engine);
  if (!loaded && loaded.error().kind == ErrorKind::kTooLarge && options.kv_tokens > 0)
    return fail(ErrorKind::kTooLarge, "{} (lower --batch, --depth, --prompt or --gen)",
                loaded.error().message);
  FOLIO_TRY(parts, std::move(loaded));
  const FillParts fill{.kernels = &parts.kernels,
                       .pool = parts.pool.get(),
                       .cache = parts.cache.get(),
                       .vocab = parts.model->config().vocab};
  FOLIO_TRY(engine, engine::Engine::assemble(std::move(parts)));
  const double load_s = seconds_since(start);
  return BenchEngine(std::move(engine), fill, load_s);
}

// Ids spread over the vocabulary, unlike those of any other series; which ones they are does not matter for
// the time.
void BenchEngine::append_tokens(std::vector<TokenId>& tokens, std::size_t count, std::uint64_t series) const {
  const std::uint64_t usable = engine_->config().vocab - engine_->config().vocab / 16;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t mixed = (series << 32 | i) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    tokens.push_back(TokenId{static_cast<std::int32_t>((mixed >> 32) % usable)});
  }
}

std::vector<TokenId> BenchEngine::depth_tokens(const RunShape& shape, std::size_t stream) const {
  std::vector<TokenId> tokens;
  append_tokens(tokens, shape.depth, shape.shared == SharedPrefix::kOn ? 0 : stream);
  return tokens;
}

Status BenchEngine::prepare(const RunShape& shape) {
  if (shape.depth == 0) return {};
  const std::size_t contexts = shape.shared == SharedPrefix::kOn ? 1 : shape.streams;
  for (std::size_t stream = 0; stream < contexts; ++stream)
    FOLIO_TRY_STATUS(fill_context(parts_, salt_of(shape, stream), depth_tokens(shape, stream)));
  return {};
}

// `own_tokens` of each stream come after its depth; they are others in every repetition.
Result<std::vector<engine::Job>> BenchEngine::submit(const RunShape& shape, std::size_t own_tokens,
                                                     std::size_t max_tokens) {
  std::vector<engine::Job> jobs;
  for (std::size_t stream = 0; stream < shape.streams; ++stream) {
    engine::GenerationRequest request;
    request.prompt = depth_tokens(shape, stream);
    append_tokens(request.prompt, own_tokens, 1'000 + repetition_ * kMaxStreams + stream);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    request.end_tokens = engine::EndTokens::kIgnore;
    request.cache_salt =
        shape.depth == 0 ? fmt::format("bench/own/{}/{}", repetition_, stream) : salt_of(shape, stream);
    FOLIO_TRY(job, engine_->submit(std::move(request)));
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<double> BenchEngine::time_prefill(const RunShape& shape) {
  const Clock::time_point start = Clock::now();
  FOLIO_TRY(jobs, submit(shape, shape.prompt, 1));
  while (engine_->step()) {
  }
  const double seconds = seconds_since(start);
  for (const engine::Job& job : jobs) {
    bool finished = false;
    FOLIO_TRY(tokens, count_news(job, finished));
    static_cast<void>(tokens);
    const std::size_t cached = job.stream->stats().cached_tokens;
    if (cached < shape.depth)
      return fail(
          ErrorKind::kTooLarge,
          "a stream found {} tokens in the cache instead of its depth of {}; lower --batch or --depth",
          cached, shape.depth);
  }
  return seconds;
}

// The clock runs while every stream generates: from the step after the last first token to the first end.
Status BenchEngine::time_decode(const RunShape& shape, RunTimes& times) {
  FOLIO_TRY(jobs, submit(shape, shape.prompt + 1, shape.generate + 1));
  std::vector<std::size_t> tokens(jobs.size());
  bool any_finished = false, all_started = false;
  while (!any_finished) {
    const Clock::time_point start = Clock::now();
    if (!engine_->step()) break;
    std::size_t news = 0;
    bool started = true;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      FOLIO_TRY(fresh, count_news(jobs[i], any_finished));
      tokens[i] += fresh;
      news += fresh;
      started = started && tokens[i] > 0;
    }
    if (all_started) {
      times.decode_s += seconds_since(start);
      times.decode_tokens += news;
    }
    all_started = started;
  }
  while (engine_->step()) {  // the streams that started later
  }
  return {};
}

Result<RunTimes> BenchEngine::run(const RunShape& shape) {
  ++repetition_;
  RunTimes times;
  if (shape.prompt > 0) {
    FOLIO_TRY(seconds, time_prefill(shape));
    times.prefill_s = seconds;
  }
  if (shape.generate > 0) FOLIO_TRY_STATUS(time_decode(shape, times));
  return times;
}

}  // namespace folio::app
