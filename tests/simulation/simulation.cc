#include "simulation/simulation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "engine/engine.h"
#include "simulation/fake_model.h"

namespace folio::simulation {
namespace {

using engine::Engine;
using engine::FinishReason;
using engine::GenerationRequest;

constexpr std::size_t kBusySteps = 250;  // in which requests arrive
// Until all must have ended. Beams that take turns in a pool for one of them, a row a step, need tens of
// thousands of steps.
constexpr std::size_t kMostSteps = 200'000;

class ManualTime final : public engine::TimeSource {
 public:
  explicit ManualTime(const double& now) : now_(now) {}
  double now_ms() const override { return now_; }

 private:
  const double& now_;
};

// The whole answer to a request, from the specification alone.
std::vector<TokenId> answer_to(const GenerationRequest& request, std::size_t choice, std::size_t max_length) {
  sampling::Sampler sampler(kVocab);
  sampling::TokenHistory history;
  history.add_prompt(request.prompt);
  std::vector<TokenId> tokens = request.prompt;
  while (tokens.size() < max_length && tokens.size() < request.prompt.size() + request.max_tokens) {
    const auto logits = logits_after(tokens);
    const auto token =
        sampler.sample(logits, request.sampling, history, {.choice = choice, .position = tokens.size()});
    history.add_output(*token);
    tokens.push_back(*token);
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()), tokens.end()};
}

// The answers of a beam search, best first, from the specification alone: every ending is kept, and the
// search runs on to the end.
struct Hypothesis {
  std::vector<TokenId> tokens;
  double logprob = 0;
  std::size_t parent = 0;
  bool ended = false;
};

// What may follow `parent`: its most likely tokens.
void extend(const GenerationRequest& request, const Hypothesis& parent, std::vector<Hypothesis>& next) {
  std::vector<TokenId> tokens = request.prompt;
  tokens.insert(tokens.end(), parent.tokens.begin(), parent.tokens.end());
  sampling::Logprobs row;
  const auto& ends = request.sampling.stop_token_ids;
  const std::size_t candidates = std::max(2 * request.choices, request.choices + ends.size());
  sampling::logprobs(logits_after(tokens), TokenId{0}, candidates, row);
  for (const auto& [token, logprob] : row.top) {
    Hypothesis& longer = next.emplace_back(parent);
    longer.tokens.push_back(token);
    longer.logprob += static_cast<double>(logprob);
    longer.ended = std::ranges::find(ends, token) != ends.end();
  }
}

std::vector<Hypothesis> beams_for(const GenerationRequest& request, std::size_t max_length) {
  std::vector<Hypothesis> live(1), done;
  const std::size_t length = std::min(request.max_tokens, max_length - request.prompt.size());
  for (std::size_t step = 0; step < length; ++step) {
    std::vector<Hypothesis> next;
    for (std::size_t beam = 0; beam < live.size(); ++beam) {
      live[beam].parent = beam;
      extend(request, live[beam], next);
    }
    std::ranges::stable_sort(next, [](const Hypothesis& a, const Hypothesis& b) {
      if (a.logprob != b.logprob) return a.logprob > b.logprob;
      return a.parent != b.parent ? a.parent < b.parent : a.tokens.back() < b.tokens.back();
    });
    live.clear();
    for (Hypothesis& h : next)
      if (h.ended || live.size() < request.choices) (h.ended ? done : live).push_back(std::move(h));
  }
  live.resize(request.choices);  // if nothing was to be generated
  done.insert(done.end(), live.begin(), live.end());
  std::ranges::stable_sort(done, std::greater<>(), [&](const Hypothesis& h) {
    const std::size_t tokens = request.prompt.size() + h.tokens.size() - (h.ended ? 1 : 0);
    return h.logprob / std::pow(static_cast<double>(tokens), request.beams->length_penalty);
  });
  done.resize(request.choices);
  return done;
}

// The rows that a request wants to see, [first, end): each comes at least once, and more often if it is
// computed again.
class WantedRows {
 public:
  WantedRows(std::size_t first, std::size_t end) : first_(first), seen_(end - std::min(first, end)) {}
  void see(std::size_t position) {
    if (position >= first_ && position - first_ < seen_.size()) seen_[position - first_] = true;
  }
  bool all_seen() const { return std::ranges::count(seen_, false) == 0; }

 private:
  std::size_t first_;
  std::vector<bool> seen_;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    for (auto& prefix : prefixes_) prefix = random_tokens(upto(70));
    build_engine();
  }

  Life run() {
    while (life_.failure.empty() && (life_.steps < kBusySteps || !answers_.empty())) {
      if (life_.steps < kBusySteps) disturb();
      now_ += static_cast<double>(upto(40));
      const bool stepped = engine_->step();
      ++life_.steps;
      check(stepped);
      if (life_.steps > kMostSteps) fail("something never ends");
    }
    if (life_.failure.empty() && engine_->kv_stats().in_use_blocks != 0) fail("blocks are in use by nobody");
    const kv::KvStats stats = engine_->kv_stats();
    life_.preemptions = engine_->preemptions();
    life_.hit_tokens = stats.hit_tokens;
    life_.evicted_blocks = stats.evicted_blocks;
    life_.copied_blocks = stats.copied_blocks;
    life_.swapped_blocks = stats.swapped_in_blocks;
    if (stats.free_swap_blocks != stats.swap_blocks) fail("the swap area holds blocks of nobody");
    return life_;
  }

 private:
  struct Answer {  // that a reader waits for
    SequenceId job;
    std::shared_ptr<engine::TokenStream> stream;
    std::vector<TokenId> expected;
    std::vector<float> embedding = {};
    std::shared_ptr<const WantedRows> rows = nullptr;
    FinishReason reason = FinishReason::kLength;  // unless it is cut short
    bool searched = false;                        // by beams
    std::size_t read = 0;
    bool cancelled = false;
    bool has_deadline = false;
  };

  std::size_t upto(std::size_t most) { return random_() % (most + 1); }
  bool one_in(std::size_t n) { return random_() % n == 0; }
  std::vector<TokenId> random_tokens(std::size_t count) {
    std::vector<TokenId> tokens(count);
    for (TokenId& token : tokens) token = static_cast<TokenId>(upto(kVocab - 1));
    return tokens;
  }
  void fail(const std::string& what) {
    if (life_.failure.empty()) life_.failure = fmt::format("step {}: {}", life_.steps, what);
  }

  scheduler::SchedulerOptions random_limits() {
    scheduler::SchedulerOptions limits{.max_num_seqs = 1 + upto(7)};
    limits.max_num_batched_tokens = limits.max_num_seqs + upto(80);
    limits.max_outputs = limits.max_num_seqs + upto(4);
    limits.long_prefill_token_threshold = one_in(3) ? 1 + upto(40) : 0;
    limits.policy = one_in(2) ? scheduler::Policy::kFcfs : scheduler::Policy::kPriority;
    limits.fairness = one_in(3) ? scheduler::Fairness::kTenants : scheduler::Fairness::kNone;
    limits.step_budget_ms = one_in(2) ? 20 : 0;
    if (one_in(6)) {
      limits.chunked_prefill = scheduler::ChunkedPrefill::kOff;
      limits.max_num_batched_tokens = context_ + limits.max_num_seqs;
    }
    return limits;
  }

  void build_engine() {
    context_ = 32 + upto(140);
    const auto limits = random_limits();
    most_choices_ = std::min<std::size_t>(limits.max_num_seqs, 4);
    auto model = std::make_unique<FakeModel>(static_cast<std::uint32_t>(context_));
    const auto geometry =
        kv::KvGeometry::create({.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2}).value();
    auto workspace = model::Workspace::create(model->config(), {.rows = limits.max_num_batched_tokens,
                                                                .output_rows = limits.max_outputs,
                                                                .context = context_,
                                                                .threads = 1});
    auto cache =
        kv::KvCache::create({.geometry = geometry,
                             .blocks = std::max<std::size_t>(2, geometry.blocks_for(context_)) + upto(8),
                             .prefix_caching = one_in(8) ? kv::PrefixCaching::kOff : kv::PrefixCaching::kOn,
                             .eviction = one_in(2) ? kv::Eviction::kCost : kv::Eviction::kLru,
                             .attention_share = 0.01,
                             .swap_blocks = one_in(2) ? upto(20) : 0});
    auto tokenizer = text::Tokenizer::ids_only(kVocab);
    auto chat_template = text::ChatTemplate::fallback(tokenizer);
    auto engine = Engine::assemble({.kernels = kernels::kernel_set(kernels::Isa::kReference),
                                    .pool = std::make_unique<platform::ThreadPool>(1),
                                    .tokenizer = std::move(tokenizer),
                                    .chat_template = std::move(chat_template),
                                    .model = std::move(model),
                                    .cache = std::move(*cache),
                                    .workspace = std::move(*workspace),
                                    .time = std::make_unique<ManualTime>(now_),
                                    .cost = std::make_unique<scheduler::FixedCost>(scheduler::StepRates{
                                        .fixed_ms = 1, .linear_ms = 0.5, .attention_ms = 0.001}),
                                    .context_tokens = context_,
                                    .scheduling = limits});
    engine_ = std::move(*engine);
  }

  // What happens between two steps.
  void disturb() {
    while (one_in(3)) submit();
    if (one_in(100))
      for (int i = 0; i < 10; ++i) submit();
    if (one_in(15) && !answers_.empty()) cancel(answers_[upto(answers_.size() - 1)]);
    if (one_in(50) && last_ended_) cancel(*last_ended_);  // too late, but for other answers of its request
  }

  void cancel(const Answer& chosen) {
    chosen.stream->cancel();
    const SequenceId job = chosen.job;
    for (Answer& answer : answers_)
      if (answer.job == job) answer.cancelled = true;
  }

  GenerationRequest random_request() {
    GenerationRequest request;
    if (one_in(3) && !last_prompt_.empty())
      request.prompt = last_prompt_;  // a further turn, or the same again
    if (request.prompt.empty()) request.prompt = prefixes_[upto(std::size(prefixes_) - 1)];
    const auto tail = random_tokens(upto(30));
    request.prompt.insert(request.prompt.end(), tail.begin(), tail.end());
    request.prompt.resize(std::min(request.prompt.size(), context_ - 1));
    if (request.prompt.empty()) request.prompt = random_tokens(1);
    request.max_tokens = one_in(10) ? 1000 : upto(40);
    request.end_tokens = engine::EndTokens::kIgnore;
    request.sampling.temperature = one_in(2) ? 0.0F : 1.0F;
    request.sampling.seed = random_();
    request.sampling.repetition_penalty = one_in(4) ? 1.2F : 1.0F;
    request.cache_salt = one_in(8) ? "tenant" : "";
    request.priority = static_cast<std::int32_t>(upto(3));
    request.tenant = upto(2);
    request.deadline_ms = one_in(20) ? static_cast<double>(1 + upto(4000)) : 0;
    if (one_in(4)) request.choices = 1 + upto(most_choices_ - 1);
    if (one_in(8)) search_beams(request);
    return request;
  }

  void search_beams(GenerationRequest& request) {
    request.beams = engine::BeamOptions{.length_penalty = static_cast<double>(upto(4)) - 1};
    request.choices = 1 + upto(most_choices_ - 1);
    request.max_tokens = upto(40);
    request.sampling.temperature = 0;
    request.sampling.repetition_penalty = 1;
    if (one_in(2)) request.sampling.stop_token_ids = random_tokens(1 + upto(3));
  }

  // Its prompt as one vector, beside the answers of others; each row reported is checked too.
  void submit_pooled(GenerationRequest request) {
    request.choices = 1;
    request.beams.reset();
    request.max_tokens = 0;
    request.pooling = one_in(2) ? engine::Pooling::kMean : engine::Pooling::kLast;
    request.hidden_from = one_in(2) ? upto(request.prompt.size()) : engine::kNoHidden;
    const auto rows = std::make_shared<WantedRows>(request.hidden_from, request.prompt.size());
    request.on_hidden = [this, rows, prompt = request.prompt](std::size_t position,
                                                              std::span<const float> hidden) {
      rows->see(position);
      if (!std::ranges::equal(hidden_after(std::span(prompt).first(position + 1)), hidden))
        fail(fmt::format("another hidden state at position {}", position));
    };
    const auto job = engine_->submit(request);
    if (!job) return fail("refused: " + job.error().message);
    ++life_.pooled;
    answers_.push_back({.job = job->id,
                        .stream = job->stream,
                        .expected = {},
                        .embedding = pooled(request),
                        .rows = rows,
                        .reason = FinishReason::kStop,
                        .has_deadline = request.deadline_ms > 0});
    last_prompt_ = request.prompt;
  }

  static std::vector<float> pooled(const GenerationRequest& request) {
    const std::span prompt(request.prompt);
    if (request.pooling == engine::Pooling::kLast) return hidden_after(prompt);
    std::vector<double> sums(kHidden);
    for (std::size_t length = 1; length <= prompt.size(); ++length) {
      const std::vector<float> row = hidden_after(prompt.first(length));
      for (std::size_t i = 0; i < kHidden; ++i) sums[i] += static_cast<double>(row[i]);
    }
    std::vector<float> mean;
    for (double sum : sums) mean.push_back(static_cast<float>(sum / static_cast<double>(prompt.size())));
    return mean;
  }

  void submit() {
    GenerationRequest request = random_request();
    if (one_in(10)) return submit_pooled(std::move(request));
    std::shared_ptr<const WantedRows> rows;
    if (request.choices == 1 && !request.beams && one_in(5)) rows = want_logits(request);
    const auto job = engine_->submit(request);
    if (!job) return fail("refused: " + job.error().message);
    life_.forks += request.choices - 1;
    life_.searches += request.beams ? 1 : 0;
    std::vector<Hypothesis> beams;
    if (request.beams) beams = beams_for(request, context_);
    for (std::size_t choice = 0; choice < request.choices; ++choice)
      answers_.push_back(
          {.job = job->id,
           .stream = job->streams[choice],
           .expected = request.beams ? beams[choice].tokens : answer_to(request, choice, context_),
           .rows = rows,
           .reason = request.beams && beams[choice].ended ? FinishReason::kStop : FinishReason::kLength,
           .searched = request.beams.has_value(),
           .has_deadline = request.deadline_ms > 0});
    last_prompt_ = request.prompt;
    const auto& answer = answers_.back().expected;
    last_prompt_.insert(last_prompt_.end(), answer.begin(), answer.end());
  }

  // Every row of logits reported must be what the specification says for that position, and all are reported:
  // up to that of the last token but one, for the last is only drawn.
  std::shared_ptr<const WantedRows> want_logits(GenerationRequest& request) {
    request.logits_from = upto(request.prompt.size());
    auto all = std::make_shared<std::vector<TokenId>>(request.prompt);
    const auto answer = answer_to(request, 0, context_);
    all->insert(all->end(), answer.begin(), answer.end());
    const auto rows =
        std::make_shared<WantedRows>(request.logits_from, std::max(request.prompt.size(), all->size() - 1));
    request.on_logits = [this, all, rows](std::size_t position, std::span<const float> logits) {
      rows->see(position);
      const auto expected = logits_after(std::span(*all).first(position + 1));
      if (!std::ranges::equal(expected, logits)) fail(fmt::format("other logits at position {}", position));
    };
    return rows;
  }

  void check(bool stepped) {
    const Status sound = engine_->check_integrity();
    if (!sound) fail(sound.error().message);
    for (Answer& answer : answers_) read(answer);
    const auto ended = std::erase_if(answers_, [](const Answer& a) { return a.stream->finished(); });
    if (!stepped && !answers_.empty()) fail("nothing is to do, but somebody waits");
    if (!stepped && ended > 0 && engine_->running() + engine_->waiting() > 0) fail("a step that did nothing");
  }

  void read(Answer& answer) {
    engine::Delta delta = answer.stream->take();
    // A search that ran out of time gives the best of then, which need not lead to the best of all.
    const bool unspecified = answer.searched && delta.finish == FinishReason::kDeadline;
    if (unspecified) delta.tokens.clear();
    for (TokenId token : delta.tokens)
      if (answer.read >= answer.expected.size() || answer.expected[answer.read++] != token)
        return fail(fmt::format("job {}: token {} is {}, not as specified", raw(answer.job), answer.read,
                                raw(token)));
    if (!delta.finish) return;
    last_ended_ = answer;
    const bool complete = *delta.finish == answer.reason && answer.read == answer.expected.size() &&
                          delta.embedding == answer.embedding;
    const bool cut = (*delta.finish == FinishReason::kCancelled && answer.cancelled) ||
                     (*delta.finish == FinishReason::kDeadline && answer.has_deadline);
    life_.cancelled += cut ? 1 : 0;
    if (complete && answer.rows && !answer.rows->all_seen())
      fail(fmt::format("job {} did not get all the rows that it wants", raw(answer.job)));
    if (!complete && !cut) fail(fmt::format("job {} ended early, for no reason", raw(answer.job)));
  }

  std::mt19937_64 random_;
  double now_ = 0;
  std::size_t context_ = 0, most_choices_ = 1;
  std::vector<TokenId> prefixes_[4], last_prompt_;
  std::unique_ptr<Engine> engine_;
  std::vector<Answer> answers_;
  std::optional<Answer> last_ended_;
  Life life_;
};

}  // namespace

Life live(std::uint64_t seed) { return Simulation(seed).run(); }

}  // namespace folio::simulation
