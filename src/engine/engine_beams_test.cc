// Beam search in the engine: the answers of a search over logits that are computed from nothing for every
// row, whatever happens to blocks, beams and neighbours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine_testing.h"
#include "support/models.h"

namespace folio::engine {
namespace {

using namespace testing_support;
using test::kStories;

constexpr double kLengthPenalty = 1.0;

GenerationRequest beams(std::size_t width, std::size_t prompt_tokens, std::size_t max_tokens) {
  auto request = greedy(prompt_of(prompt_tokens, 512), max_tokens);
  request.choices = width;
  request.beams = BeamOptions{.length_penalty = kLengthPenalty};
  return request;
}

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  FinishReason reason;
  bool operator==(const Answer&) const = default;
};

std::vector<Answer> answers_of(const Job& job) {
  std::vector<Answer> answers;
  for (const auto& stream : job.streams) {
    Delta delta = stream->take();
    EXPECT_TRUE(delta.finish.has_value());
    std::vector<float> logprobs;
    for (const auto& entry : delta.logprobs) logprobs.push_back(entry.chosen.logprob);
    answers.push_back(
        {std::move(delta.tokens), std::move(logprobs), delta.finish.value_or(FinishReason::kError)});
  }
  return answers;
}

std::vector<Answer> search(Engine& engine, const GenerationRequest& request) {
  auto job = engine.submit(request);
  EXPECT_TRUE(job.has_value()) << (job ? "" : job.error().message);
  run(engine);
  return answers_of(*job);
}

// The same search, written out: every row is computed from its tokens alone, in an engine that shares
// nothing.
class PlainSearch {
 public:
  explicit PlainSearch(const std::string& model) : engine_(load({.model = model, .threads = 1})) {}

  std::vector<Answer> run(const GenerationRequest& request, const std::vector<TokenId>& ends) {
    const std::size_t width = request.choices;
    std::vector<Hypothesis> live(1), done;
    for (std::size_t step = 0; step < request.max_tokens; ++step) {
      std::vector<Hypothesis> next;
      for (std::size_t beam = 0; beam < live.size(); ++beam)
        for (const auto& [token, logprob] : most_likely(request.prompt, live[beam].tokens, 2 * width)) {
          Hypothesis longer = live[beam];
          longer.parent = beam;
          longer.sum += static_cast<double>(logprob);
          longer.tokens.push_back(token);
          longer.logprobs.push_back(logprob);
          longer.ended = std::ranges::find(ends, token) != ends.end();
          (longer.ended ? done : next).push_back(std::move(longer));
        }
      std::ranges::stable_sort(next, [](const Hypothesis& a, const Hypothesis& b) {
        return std::tuple(-a.sum, a.parent, a.tokens.back()) < std::tuple(-b.sum, b.parent, b.tokens.back());
      });
      next.resize(width);
      live = std::move(next);
    }
    done.insert(done.end(), live.begin(), live.end());
    const auto score = [&](const Hypothesis& h) {
      const std::size_t length = request.prompt.size() + h.tokens.size() - (h.ended ? 1 : 0);
      return h.sum / std::pow(static_cast<double>(length), request.beams->length_penalty);
    };
    std::ranges::stable_sort(done, std::greater<>(), score);
    std::vector<Answer> best;
    for (std::size_t i = 0; i < width; ++i)
      best.push_back(
          {done[i].tokens, done[i].logprobs, done[i].ended ? FinishReason::kStop : FinishReason::kLength});
    return best;
  }

 private:
  struct Hypothesis {
    std::vector<TokenId> tokens;
    std::vector<float> logprobs;
    double sum = 0;
    std::size_t parent = 0;
    bool ended = false;
  };

  std::vector<std::pair<TokenId, float>> most_likely(const std::vector<TokenId>& prompt,
                                                     const std::vector<TokenId>& answer, std::size_t count) {
    GenerationRequest request = greedy(prompt, 0);
    request.prompt.insert(request.prompt.end(), answer.begin(), answer.end());
    request.cache_salt = std::to_string(++rows_);
    const Output output = generate(*engine_, request, request.prompt.size() - 1);
    const std::vector<float>& logits = output.logits.at(request.prompt.size() - 1);
    const double normaliser = sampling::log_normaliser(logits);
    std::vector<std::pair<TokenId, float>> all;
    for (std::size_t i = 0; i < logits.size(); ++i)
      all.emplace_back(TokenId{static_cast<int>(i)},
                       static_cast<float>(static_cast<double>(logits[i]) - normaliser));
    std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
      return logits[static_cast<std::size_t>(raw(a.first))] > logits[static_cast<std::size_t>(raw(b.first))];
    });
    all.resize(count);
    return all;
  }

  std::unique_ptr<Engine> engine_;
  std::size_t rows_ = 0;
};

// With tokens that often end an answer: spaces and letters of this small vocabulary.
const std::vector<TokenId> kEnds = {TokenId{411}, TokenId{432}};

TEST(Beams, AreThoseOfASearchOverRecomputedLogits) {
  PlainSearch plain_search(kStories);
  const auto engine = load({.model = kStories, .kv_size = capacity::KvTokens{2048}});
  std::size_t ended = 0;
  for (const std::size_t width : {1u, 2u, 4u})
    for (const double length_penalty : {1.0, 0.0, -1.0, 3.0})
      for (const bool stops : {false, true}) {
        auto request = beams(width, 21 + width, 14);
        request.beams->length_penalty = length_penalty;
        request.logprobs = 0;
        if (stops) request.sampling.stop_token_ids = kEnds;
        const auto expected = plain_search.run(request, stops ? kEnds : std::vector<TokenId>());
        const auto answers = search(*engine, request);
        EXPECT_EQ(answers, expected) << width << " beams, length penalty " << length_penalty;
        for (const Answer& answer : answers) ended += answer.reason == FinishReason::kStop ? 1 : 0;
      }
  EXPECT_GT(ended, 5u) << "too few answers end to show anything";
  EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
}

TEST(Beams, OneIsTheGreedyAnswer) {
  const auto engine = load({.model = kStories});
  EXPECT_EQ(search(*engine, beams(1, 30, 40))[0].tokens,
            generate(*engine, greedy(prompt_of(30, 512), 40)).tokens);
}

TEST(Beams, AloneInACrowdPreemptedOrSwappedTheAnswersAreTheSame) {
  auto request = beams(5, 70, 60);
  request.logprobs = 3;
  const auto expected = [&] {
    const auto engine =
        load({.model = kStories, .kv_size = capacity::KvTokens{4096}, .kv_type = KvType::kF16, .threads = 1});
    return search(*engine, request);
  }();
  struct Case {
    EngineOptions options;
    bool preempts;
  };
  for (const auto& [variant, preempts] : std::vector<Case>{
           {{.kv_size = capacity::KvTokens{4096}}, false},
           {{.context_tokens = 192, .kv_size = capacity::KvTokens{224}, .step_tokens = 40}, true},
           {{.context_tokens = 144, .kv_size = capacity::KvTokens{144}},
            true},  // not even two beams at the end
           {{.context_tokens = 192, .kv_size = capacity::KvTokens{224}, .swap_bytes = 1 << 20}, true},
           {{.context_tokens = 192,
             .kv_size = capacity::KvTokens{256},
             .policy = scheduler::Policy::kPriority},
            true},
           {{.context_tokens = 192,
             .kv_size = capacity::KvTokens{256},
             .fairness = scheduler::Fairness::kTenants},
            true},
           {{.context_tokens = 192, .kv_size = capacity::KvTokens{4096}, .kv_use = KvUse::kRecompute},
            false}}) {
    EngineOptions options = variant;
    options.model = kStories;
    options.kv_type = KvType::kF16;
    const auto engine = load(options);
    std::vector<Job> jobs;
    std::vector<std::shared_ptr<TokenStream>> others;
    for (int i = 0; i < 3; ++i) {
      request.priority = 2 - i;
      request.tenant = static_cast<std::uint64_t>(i);
      jobs.push_back(*engine->submit(request));
      others.push_back(
          engine->submit(greedy(prompt_of(20 + 30 * static_cast<std::size_t>(i), 400), 40))->stream);
    }
    run(*engine);
    for (const Job& job : jobs) EXPECT_EQ(answers_of(job), expected);
    for (const auto& stream : others) EXPECT_EQ(stream->take().tokens.size(), 40u);
    EXPECT_EQ(engine->preemptions() > 0, preempts);
    EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
  }
}

// All full blocks are shared; a beam has of its own at most what it wrote since it parted from the others.
TEST(Beams, ShareTheirBlocks) {
  const auto engine = load({.model = kStories, .kv_size = capacity::KvTokens{4096}});
  const auto job = engine->submit(beams(6, 160, 40));
  std::size_t most_in_use = 0, most_saved = 0;
  while (engine->step()) {
    const kv::KvStats stats = engine->kv_stats();
    most_in_use = std::max(most_in_use, stats.in_use_blocks);
    most_saved = std::max(most_saved, stats.saved_blocks);
  }
  EXPECT_LE(most_in_use, 10u + 6 * 3);
  EXPECT_GE(most_saved, 5u * 10);
  EXPECT_GT(engine->kv_stats().copied_blocks, 0u);
  EXPECT_LT(engine->kv_stats().copied_blocks, 40u * 6);  // not one for each token
}

TEST(Beams, CancelledOrOverdueTheyLeaveNothing) {
  double now_ms = 0;
  const auto engine = load({.model = kStories, .kv_size = capacity::KvTokens{1024}}, now_ms);
  for (const int steps : {0, 1, 2, 9}) {
    auto job = engine->submit(beams(4, 40, 50));
    for (int i = 0; i < steps; ++i) engine->step();
    job->cancel();
    run(*engine);
    for (const Answer& answer : answers_of(*job)) EXPECT_EQ(answer.reason, FinishReason::kCancelled);
    EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
  }
  for (const int steps : {0, 3}) {
    auto late = beams(4, 40, 460);
    late.deadline_ms = 500;
    auto job = engine->submit(late);
    for (int i = 0; i < steps; ++i) EXPECT_TRUE(engine->step());
    now_ms += 499;
    EXPECT_TRUE(engine->step());
    EXPECT_FALSE(job->stream->finished()) << "a millisecond is left";
    now_ms += 1;
    EXPECT_FALSE(engine->step());
    const auto answers = answers_of(*job);
    ASSERT_EQ(answers.size(), 4u);
    for (const Answer& answer : answers) {
      EXPECT_EQ(answer.reason, FinishReason::kDeadline);
      EXPECT_EQ(answer.tokens.size(), static_cast<std::size_t>(steps) + 1);  // what is there by then
    }
  }
  for (const Answer& answer : search(*engine, beams(3, 40, 0))) EXPECT_TRUE(answer.tokens.empty());
  EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
}

TEST(Beams, RefuseWhatChangesATokensRank) {
  const auto engine = load({.model = kStories});
  const auto message = [&](auto change) {
    auto request = beams(2, 10, 5);
    change(request);
    const auto job = engine->submit(std::move(request));
    return job ? std::string("accepted") : job.error().message;
  };
  using R = GenerationRequest;
  EXPECT_THAT(message([](R& r) { r.sampling.temperature = 0.5F; }), testing::HasSubstr("temperature"));
  EXPECT_THAT(message([](R& r) { r.sampling.repetition_penalty = 1.1F; }), testing::HasSubstr("penalties"));
  EXPECT_THAT(message([](R& r) { r.sampling.logit_bias = {{TokenId{1}, 1}}; }),
              testing::HasSubstr("logit_bias"));
  EXPECT_THAT(message([](R& r) { r.stop = {"end"}; }), testing::HasSubstr("stop_token_ids"));
  EXPECT_THAT(message([](R& r) { r.beams->length_penalty = std::nan(""); }),
              testing::HasSubstr("length_penalty"));
  EXPECT_THAT(message([](R& r) { r.beams->length_penalty = 11; }), testing::HasSubstr("-10 to 10"));
  EXPECT_THAT(message([](R& r) {
                r.choices = 8;
                std::vector<TokenId> stops;
                for (int i = 0; i < 505; ++i) stops.push_back(TokenId{i});
                r.sampling.stop_token_ids = stops;
              }),
              testing::HasSubstr("lower n"));
  EXPECT_EQ(message([](R&) {}), "accepted");
  run(*engine);
}

}  // namespace
}  // namespace folio::engine
