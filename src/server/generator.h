// Generator: the engine on a thread of its own, and the only user of it that changes anything.
//
// Thread rule: every member from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "api/request.h"
#include "base/bounded_queue.h"
#include "engine/engine.h"
#include "platform/latest.h"
#include "platform/worker.h"

namespace folio::server {

// Steps by the tokens that they computed: 1, 2 to 8, 9 to 16, then up to each power of two to 16,384, then
// more.
struct StepSizes {
  static constexpr std::array<std::size_t, 13> kBounds = {1,   8,    16,   32,   64,   128,  256,
                                                          512, 1024, 2048, 4096, 8192, 16384};
  std::array<std::uint64_t, kBounds.size() + 1> steps{};
  std::uint64_t tokens = 0;

  void add(std::size_t step_tokens) {
    ++steps[static_cast<std::size_t>(std::ranges::lower_bound(kBounds, step_tokens) - kBounds.begin())];
    tokens += step_tokens;
  }
};

// What the engine's thread last saw.
struct EngineState {
  std::size_t running = 0, waiting = 0;
  std::uint64_t preemptions = 0;
  StepSizes steps;
  std::uint64_t integrity_checks = 0;
  std::optional<kv::ResidencyTimes> residency;  // where it is measured
  kv::KvStats kv;
};

// One answer on its way, and which of the request's prompts it answers.
struct Source {
  std::shared_ptr<engine::TokenStream> stream;
  std::size_t prompt = 0;
};

// What a request has set going: its answers by prompt, then choice.
struct Generation {
  std::vector<Source> sources;
};

class Generator {
 public:
  // Requests are taken from here on, and computed between start() and stop().
  explicit Generator(std::unique_ptr<engine::Engine> engine);
  ~Generator();  // stop()

  // `on_news` is called on the engine's thread after a step; streams may hold something new. It returns at
  // once.
  void start(std::function<void()> on_news);
  // Returns after the step that is under way; `on_news` is not called again.
  void stop();

  // What is immutable: tokenizer, template, shapes.
  const engine::Engine& engine() const { return *engine_; }
  EngineState state() const { return state_.get(); }

  // Every prompt or none. Errors: those of Engine::submit; kTooLarge is a full queue.
  [[nodiscard]] Result<Generation> submit(const api::Request& request,
                                          std::vector<std::vector<TokenId>> prompts, std::uint64_t seed);
  void cancel(const Generation& generation);
  // `done` is called on the engine's thread; false: generations are running.
  void reset_prefix_cache(std::function<void(bool)> done);

 private:
  platform::Work work();
  void wake();

  std::unique_ptr<engine::Engine> engine_;
  std::function<void()> on_news_;
  StepSizes steps_;  // the engine's thread
  platform::Latest<EngineState> state_;
  BoundedQueue<std::function<void()>> commands_{64};  // for the engine's thread
  std::unique_ptr<platform::Worker> worker_;          // between start() and stop(); uses all of the above
};

}  // namespace folio::server
