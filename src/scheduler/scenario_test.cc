// Scenario files: arrivals, budgets and a pool -> the expected plan of every step. See
// tests/scenarios/README.md for their words.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "scheduler/scheduler.h"
#include "scheduler/scheduler_testing.h"

namespace folio::scheduler::testing {
namespace {

using Words = std::map<std::string, std::string>;

std::filesystem::path folder() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "tests" / "scenarios";
}

class Scenario {
 public:
  // One line after another; the answer is what went wrong, or nothing.
  std::string run(const std::string& line) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string verb;
    if (!(words >> verb)) return "";
    if (verb == "step") return step(line.substr(0, line.find('#')).substr(4));
    const Words arguments = read(words);
    if (verb == "set") return set(arguments);
    if (verb == "arrive") return arrive(arguments);
    if (verb == "cancel") return cancel(arguments);
    if (verb == "repeat") return repeat(arguments);
    return "unknown word '" + verb + "'";
  }

 private:
  struct Life {
    std::size_t known, computed, left;  // left: tokens to generate
    char name;
  };

  // "A prompt=40" -> {"": "A", "prompt": "40"}
  static Words read(std::istringstream& words) {
    Words result;
    for (std::string word; words >> word;) {
      const std::size_t at = word.find('=');
      if (at == std::string::npos) {
        result[""] = word;
      } else {
        result[word.substr(0, at)] = word.substr(at + 1);
      }
    }
    return result;
  }
  static double number(const Words& words, const std::string& name, double otherwise) {
    const auto at = words.find(name);
    return at == words.end() ? otherwise : std::stod(at->second);
  }
  static std::size_t count(const Words& words, const std::string& name, std::size_t otherwise) {
    const auto at = words.find(name);
    return at == words.end() ? otherwise : std::stoul(at->second);
  }

  std::string set(const Words& words) {
    SchedulerOptions options;
    options.max_num_seqs = count(words, "seqs", 4);
    options.max_num_batched_tokens = count(words, "tokens", 64);
    options.max_outputs = count(words, "outputs", 64);
    options.long_prefill_token_threshold = count(words, "long", 0);
    options.step_budget_ms = number(words, "budget_ms", 0);
    if (count(words, "chunked", 1) == 0) options.chunked_prefill = ChunkedPrefill::kOff;
    if (count(words, "priority", 0) == 1) options.policy = Policy::kPriority;
    if (count(words, "fair", 0) == 1) options.fairness = Fairness::kTenants;
    cost_ = std::make_unique<FixedCost>(StepRates{.fixed_ms = number(words, "fixed_ms", 1),
                                                  .linear_ms = number(words, "linear_ms", 1),
                                                  .attention_ms = number(words, "attention_ms", 0)},
                                        count(words, "window", kNoWindow));
    blocks_ = std::make_unique<CountedBlocks>(count(words, "blocks", 64));
    scheduler_ = std::make_unique<Scheduler>(options, *cost_);
    return "";
  }

  std::string arrive(const Words& words) {
    const char name = words.at("")[0];
    const SequenceId id{static_cast<std::uint64_t>(name)};
    const std::size_t prompt = count(words, "prompt", 1);
    std::string prefix;
    std::size_t prefix_tokens = 0;
    if (const auto at = words.find("prefix"); at != words.end()) {
      prefix = at->second.substr(0, at->second.find(':'));
      prefix_tokens = std::stoul(at->second.substr(at->second.find(':') + 1));
    }
    blocks_->add(id, prompt, prefix, prefix_tokens);
    scheduler_->add({.id = id,
                     .known = prompt,
                     .priority = static_cast<std::int32_t>(number(words, "priority", 0)),
                     .tenant = count(words, "tenant", 0),
                     .arrival_ms = number(words, "at", 0),
                     .seats = count(words, "seats", 1),
                     .outputs_from = count(words, "outputs_from", kLastOutputOnly)});
    lives_[id] = {.known = prompt, .computed = 0, .left = count(words, "generate", 1), .name = name};
    return "";
  }

  std::string cancel(const Words& words) {
    const SequenceId id{static_cast<std::uint64_t>(words.at("")[0])};
    scheduler_->remove(id);
    blocks_->remove(id);
    lives_.erase(id);
    return "";
  }

  // So many steps whose plans are not looked at.
  std::string repeat(const Words& words) {
    for (std::size_t i = 0; i < std::stoul(words.at("")); ++i) advance(scheduler_->plan(*blocks_));
    return "";
  }

  std::string step(std::string expected) {
    const StepPlan& plan = scheduler_->plan(*blocks_);
    std::istringstream words(expected);
    std::string tidy;
    for (std::string word; words >> word;) tidy += (tidy.empty() ? "" : " ") + word;
    const std::string got = describe(plan);
    advance(plan);
    return got == tidy ? "" : "expected '" + tidy + "', planned '" + got + "'";
  }

  std::string describe(const StepPlan& plan) const {
    std::string text;
    const auto add = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
    for (const PlannedRows& item : plan.items)
      add(fmt::format("{}[{},{}){}", lives_.at(item.sequence).name, item.first, item.end,
                      std::string(item.outputs, '*')));
    for (SequenceId id : plan.admitted) add(fmt::format("+{}", lives_.at(id).name));
    for (SequenceId id : plan.preempted) add(fmt::format("-{}", lives_.at(id).name));
    return text.empty() ? "nothing" : text;
  }

  // As the engine would: whoever has caught up knows one token more, or is done.
  void advance(const StepPlan& plan) {
    const std::vector<PlannedRows> items = plan.items;
    for (const PlannedRows& item : items) {
      Life& life = lives_.at(item.sequence);
      life.computed = item.end;
      if (life.computed == life.known) {
        ++life.known;
        --life.left;
      }
      blocks_->advance(item.sequence, life.computed, life.known);
      if (life.left == 0) {
        scheduler_->remove(item.sequence);
        blocks_->remove(item.sequence);
        lives_.erase(item.sequence);
      } else {
        scheduler_->advance(item.sequence, life.computed, life.known);
      }
    }
  }

  std::unique_ptr<FixedCost> cost_;
  std::unique_ptr<CountedBlocks> blocks_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<SequenceId, Life> lives_;
};

TEST(Scenarios, PlansAreAsWritten) {
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder())) {
    if (file.path().extension() != ".scenario") continue;
    ++files;
    std::ifstream in(file.path());
    Scenario scenario;
    std::size_t number = 0, steps = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      steps += line.starts_with("step") ? 1 : 0;
      const std::string wrong = scenario.run(line);
      EXPECT_EQ(wrong, "") << file.path().filename().string() << ":" << number << ": " << line;
    }
    EXPECT_GT(steps, 0u) << file.path() << " expects nothing";
  }
  EXPECT_GE(files, 8u) << "in " << folder();
}

}  // namespace
}  // namespace folio::scheduler::testing
