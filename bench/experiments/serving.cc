#include "serving.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <vector>

#include "app/progress_bar.h"
#include "base/rng.h"
#include "weights/open.h"

namespace folio::experiments {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Engine;
using engine::GenerationRequest;
using engine::Job;

constexpr std::size_t kRequests = 32;
constexpr std::size_t kLongPrompt = 2000, kLongAnswer = 17;
constexpr std::size_t kBranchPrompt = 160, kBranchAnswer = 160, kBranches = 6;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double random_at(std::uint64_t stream, std::uint64_t position) {
  return uniform({.seed = 7, .stream = stream, .position = position});
}

GenerationRequest request_of(std::vector<TokenId> prompt, std::size_t generate) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = generate;
  request.sampling.temperature = 0;
  request.end_tokens = engine::EndTokens::kIgnore;
  return request;
}

// The vocabulary's last sixteenth is left out: there are control tokens.
std::vector<TokenId> random_prompt(const Engine& engine, std::size_t tokens, std::uint64_t stream) {
  const double usable = static_cast<double>(engine.config().vocab - engine.config().vocab / 16);
  std::vector<TokenId> prompt(tokens);
  for (std::size_t i = 0; i < tokens; ++i)
    prompt[i] = TokenId{static_cast<std::int32_t>(random_at(stream, i) * usable)};
  return prompt;
}

GenerationRequest short_request(const Engine& engine, std::size_t index, const std::string& salt) {
  const auto within = [&](std::uint64_t what, std::size_t first, std::size_t last) {
    return first +
           static_cast<std::size_t>(random_at(1 + what, index) * static_cast<double>(last - first + 1));
  };
  GenerationRequest request =
      request_of(random_prompt(engine, within(0, 16, 64), 100 + index), within(1, 128, 256));
  request.cache_salt = salt;  // nothing is found: what is measured is the batch
  return request;
}

Status ended_well(const Job& job) {
  for (const auto& stream : job.streams)
    if (const auto error = stream->stats().error; error) return std::unexpected(*error);
  return {};
}

// Steps until `job` has put its next token; the time that took. nullopt: it has ended.
std::optional<double> next_token_s(Engine& engine, const Job& job) {
  const Clock::time_point start = Clock::now();
  while (job.stream->take().tokens.empty())
    if (!engine.step()) return std::nullopt;
  return seconds_since(start);
}

struct Alone {
  double tokens_per_s, request_s;
};

Result<Alone> run_alone(Engine& engine) {
  std::size_t tokens = 0, requests = 0;
  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < kRequests; i += 4, ++requests) {
    FOLIO_TRY(job, engine.submit(short_request(engine, i, "alone")));
    while (engine.step()) {
    }
    FOLIO_TRY_STATUS(ended_well(job));
    tokens += job.stream->stats().generated_tokens;
  }
  const double seconds = seconds_since(start);
  return Alone{static_cast<double>(tokens) / seconds, seconds / static_cast<double>(requests)};
}

// Words that no tokenizer has as one token each, until they make so many.
Result<std::string> long_text(const Engine& engine, std::size_t tokens) {
  std::string text;
  for (std::size_t word = 0;; ++word) {
    text +=
        fmt::format("{}the {} that {} saw", word == 0 ? "" : ", ", word * 7919 % 1000, word * 104729 % 997);
    if (word % 16 != 0) continue;
    FOLIO_TRY(encoded, engine.tokenizer().encode(text));
    if (encoded.size() >= tokens) return text;
  }
}

// From the text to the first token.
Result<double> first_token(Engine& engine, const std::string& text, std::size_t tokens, Job& job) {
  const Clock::time_point start = Clock::now();
  FOLIO_TRY(prompt, engine.tokenizer().encode(text));
  prompt.resize(std::min(prompt.size(), tokens));
  GenerationRequest request = request_of(std::move(prompt), kLongAnswer);
  request.cache_salt = "first token";
  FOLIO_TRY(submitted, engine.submit(std::move(request)));
  job = std::move(submitted);
  if (!next_token_s(engine, job)) FOLIO_TRY_STATUS(ended_well(job));
  return seconds_since(start);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace

Result<std::unique_ptr<Engine>> load_for_serving(const Options& options, const std::string& path) {
  FOLIO_TRY(files, weights::open_model(path));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  const std::size_t needed = kBranchPrompt + kBranchAnswer + 1;
  if (config.max_context < needed)
    return fail(ErrorKind::kTooLarge,
                "{}: the engine's table needs a context of {} tokens, the model takes {}", path, needed,
                config.max_context);
  engine::EngineOptions wanted;
  wanted.model = path;
  wanted.threads = options.threads;
  wanted.kv_type = options.kv_type;
  wanted.arithmetic = options.arithmetic;
  wanted.context_tokens = std::min<std::size_t>(config.max_context, kLongPrompt + 2 * kLongAnswer);
  wanted.kv_size = capacity::KvTokens{kRequests * (64 + 256 + 2 * wanted.block_tokens)};
  app::ProgressBar bar("loading " + std::filesystem::path(path).filename().string());
  wanted.progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); };
  return Engine::load(wanted);
}

Result<Together> measure_together(Engine& engine) {
  FOLIO_TRY(alone, run_alone(engine));
  std::vector<double> arrivals_s(1, 0.0);
  while (arrivals_s.size() < kRequests)
    arrivals_s.push_back(arrivals_s.back() -
                         std::log(1 - random_at(9, arrivals_s.size())) * alone.request_s / 16);
  std::vector<Job> jobs;
  const Clock::time_point start = Clock::now();
  // Before an arrival there may be nothing to do; the clock goes on.
  for (bool stepped = true; stepped || jobs.size() < kRequests; stepped = engine.step())
    while (jobs.size() < kRequests && arrivals_s[jobs.size()] <= seconds_since(start)) {
      FOLIO_TRY(job, engine.submit(short_request(engine, jobs.size(), "together")));
      jobs.push_back(std::move(job));
    }
  const double seconds = seconds_since(start);
  std::size_t tokens = 0;
  for (const Job& job : jobs) {
    FOLIO_TRY_STATUS(ended_well(job));
    tokens += job.stream->stats().generated_tokens;
  }
  return Together{.requests = kRequests,
                  .alone_tokens_per_s = alone.tokens_per_s,
                  .tokens_per_s = static_cast<double>(tokens) / seconds};
}

Result<FirstToken> measure_first_token(Engine& engine) {
  FirstToken result{.prompt_tokens = std::min(kLongPrompt, engine.context_tokens() - kLongAnswer)};
  FOLIO_TRY(text, long_text(engine, result.prompt_tokens));
  std::vector<double> warm_s, tokenise_s, decode_s;
  for (int run = 0; run < 6; ++run) {
    Job job;
    FOLIO_TRY(seconds, first_token(engine, text, result.prompt_tokens, job));
    while (const auto step_s = next_token_s(engine, job)) decode_s.push_back(*step_s);
    FOLIO_TRY_STATUS(ended_well(job));
    if (run == 0) {
      result.cold_s = seconds;
      continue;
    }
    warm_s.push_back(seconds);
    const Clock::time_point start = Clock::now();
    FOLIO_TRY(encoded, engine.tokenizer().encode(text));
    tokenise_s.push_back(seconds_since(start));
  }
  result.warm_s = median(std::move(warm_s));
  result.tokenise_s = median(std::move(tokenise_s));
  result.decode_s = median(std::move(decode_s));
  return result;
}

Result<Branches> measure_branches(Engine& engine, Branching branching) {
  GenerationRequest request = request_of(random_prompt(engine, kBranchPrompt, 50), kBranchAnswer);
  request.choices = kBranches;
  request.sampling.seed = 1;
  if (branching == Branching::kBeams) {
    request.beams = engine::BeamOptions{};
  } else {
    request.sampling.temperature = 1;
  }
  FOLIO_TRY(job, engine.submit(std::move(request)));
  double saved = 0;
  std::size_t steps = 0;
  while (engine.step()) {
    const kv::KvStats stats = engine.kv_stats();
    if (engine.running() < kBranches) continue;  // the prompt is being computed, or it has ended
    saved += static_cast<double>(stats.saved_blocks) /
             static_cast<double>(stats.saved_blocks + stats.in_use_blocks);
    ++steps;
  }
  FOLIO_TRY_STATUS(ended_well(job));
  return Branches{.answers = kBranches,
                  .prompt_tokens = kBranchPrompt,
                  .generated_tokens = kBranchAnswer,
                  .saved_share = steps == 0 ? 0 : saved / static_cast<double>(steps)};
}

}  // namespace folio::experiments
