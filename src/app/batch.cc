#include "app/batch.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <unordered_set>

#include "app/batch_file.h"
#include "app/batch_request.h"
#include "app/batch_response.h"
#include "app/defaults.h"
#include "app/progress_bar.h"
#include "platform/signals.h"

namespace folio::app {
namespace {

struct Running {
  std::size_t line;
  BatchRequest batch;
  engine::Job job;
  std::vector<BatchChoice> choices;
};

struct Totals {
  std::size_t answered = 0, refused = 0, skipped = 0;
  std::size_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
};

// What a stream has given since the last look, added to what it gave before.
void collect(BatchChoice& choice, engine::TokenStream& stream) {
  engine::Delta news = stream.take();
  choice.all.text += news.text;
  const auto append = [](auto& all, auto& more) { all.insert(all.end(), more.begin(), more.end()); };
  append(choice.all.tokens, news.tokens);
  append(choice.all.logprobs, news.logprobs);
  append(choice.all.prompt_logprobs, news.prompt_logprobs);
  if (!news.finish) return;
  choice.all.finish = news.finish;
  choice.stats = stream.stats();
}

class Batch {
 public:
  Batch(engine::Engine& engine, BatchInput input, BatchOutput output, sampling::SamplingParams defaults)
      : engine_(engine),
        input_(std::move(input)),
        output_(std::move(output)),
        defaults_(std::move(defaults)) {}

  // False: interrupted. Errors: the output cannot be written, or belongs to another input.
  Result<bool> run() {
    for (bool more = true; more;) {
      FOLIO_TRY(window, read_window());
      more = !input_is_over_;
      std::ranges::sort(window, std::ranges::greater(), [](const Running& r) -> const auto& {
        return r.batch.request.prompt;  // taken from the back
      });
      FOLIO_TRY(finished, answer(std::move(window)));
      if (!finished) return false;
    }
    return true;
  }
  const Totals& totals() const { return totals_; }

 private:
  // The next lines that can be answered; those that cannot are reported at once.
  Result<std::vector<Running>> read_window() {
    std::vector<Running> window;
    while (window.size() < kBatchWindow) {
      auto line = input_.next();
      if (!line) {
        input_is_over_ = true;
        break;
      }
      auto batch = read(*line);
      const std::string& id = batch ? batch->custom_id : batch.error().custom_id;
      if (const auto done = output_.done().find(line->number); done != output_.done().end()) {
        if (done->second != id)
          return fail(
              ErrorKind::kInvalid,
              "the output answers another batch: its line for line {} is about '{}', not '{}'; give the "
              "name of a new file",
              line->number, done->second, id);
        ++totals_.skipped;
      } else if (batch) {
        window.push_back({.line = line->number, .batch = std::move(*batch), .job = {}, .choices = {}});
      } else {
        FOLIO_TRY_STATUS(refuse(line->number, batch.error()));
      }
    }
    return window;
  }

  std::expected<BatchRequest, BatchRefusal> read(const BatchInput::Line& line) {
    if (line.too_long)
      return std::unexpected(
          BatchRefusal{"", "line_too_long", fmt::format("it has more than {} bytes", kMaxBatchLineBytes)});
    auto batch = read_batch_line(line.text, engine_, defaults_);
    if (batch && !custom_ids_.insert(batch->custom_id).second)
      return std::unexpected(
          BatchRefusal{batch->custom_id, "duplicate_custom_id", "its 'custom_id' was used before"});
    return batch;
  }

  Status refuse(std::size_t line, const BatchRefusal& refusal) {
    ++totals_.refused;
    return output_.append(format_batch_refusal(line, refusal));
  }

  // Answers all of `window`, from its back. False: interrupted.
  Result<bool> answer(std::vector<Running> window) {
    while (!window.empty() || !running_.empty()) {
      FOLIO_TRY_STATUS(submit(window));
      engine_.step();
      FOLIO_TRY_STATUS(write_finished());
      bar_.update(input_.bytes_read() - std::min(input_.bytes_read(), pending_bytes(window)), input_.bytes());
      if (signals_.take_interrupt()) return false;
    }
    return true;
  }

  // Keeps as many under way as the engine takes.
  Status submit(std::vector<Running>& window) {
    constexpr std::size_t kMostUnderWay = 128;
    while (!window.empty() && running_.size() < kMostUnderWay) {
      Running next = std::move(window.back());
      window.pop_back();
      auto job = engine_.submit(next.batch.request);
      if (job) {
        next.job = std::move(*job);
        next.choices.resize(next.job.streams.size());
        running_.push_back(std::move(next));
      } else if (job.error().kind == ErrorKind::kTooLarge && !running_.empty() &&
                 next.batch.request.prompt.size() < engine_.context_tokens()) {
        window.push_back(std::move(next));  // the queue is full: later
        return {};
      } else {
        FOLIO_TRY_STATUS(refuse(
            next.line,
            {.custom_id = next.batch.custom_id, .code = "invalid_request", .message = job.error().message}));
      }
    }
    return {};
  }

  Status write_finished() {
    for (Running& running : running_) {
      for (std::size_t i = 0; i < running.choices.size(); ++i)
        collect(running.choices[i], *running.job.streams[i]);
      if (!is_finished(running)) continue;
      FOLIO_TRY_STATUS(output_.append(format_batch_answer(
          {.line = running.line, .request = running.batch, .choices = running.choices, .engine = engine_})));
      count(running);
    }
    std::erase_if(running_, is_finished);
    return {};
  }

  static bool is_finished(const Running& running) {
    return std::ranges::all_of(running.choices,
                               [](const BatchChoice& c) { return c.all.finish.has_value(); });
  }

  void count(const Running& running) {
    ++totals_.answered;
    totals_.prompt_tokens += running.choices.front().stats.prompt_tokens;
    totals_.cached_tokens += running.choices.front().stats.cached_tokens;
    for (const BatchChoice& choice : running.choices)
      totals_.generated_tokens += choice.stats.generated_tokens;
  }

  // How much of what was read is not answered yet, about.
  std::size_t pending_bytes(const std::vector<Running>& window) const {
    const std::size_t lines = std::max<std::size_t>(
        1, totals_.answered + totals_.refused + totals_.skipped + window.size() + running_.size());
    return input_.bytes_read() / lines * (window.size() + running_.size());
  }

  engine::Engine& engine_;
  BatchInput input_;
  BatchOutput output_;
  sampling::SamplingParams defaults_;
  std::vector<Running> running_;
  std::unordered_set<std::string> custom_ids_;
  bool input_is_over_ = false;
  Totals totals_;
  ProgressBar bar_{"batch"};
  platform::SignalScope signals_;
};

Result<std::unique_ptr<engine::Engine>> load(const BatchOptions& options, const std::string& path) {
  engine::EngineOptions engine_options = options.engine;
  engine_options.model = path;
  ProgressBar bar("loading " + std::filesystem::path(path).filename().string());
  engine_options.progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); };
  return engine::Engine::load(engine_options);
}

std::string summary(const Totals& totals, const engine::Engine& engine, double seconds) {
  const kv::KvStats kv = engine.kv_stats();
  return fmt::format(
      "{} answered, {} refused, {} done before; prompts {} tokens, {} from the cache; generated {} in {:.1f} "
      "s, "
      "{:.1f} tok/s; {} preemptions, {} blocks evicted",
      totals.answered, totals.refused, totals.skipped, totals.prompt_tokens, totals.cached_tokens,
      totals.generated_tokens, seconds,
      seconds > 0 ? static_cast<double>(totals.generated_tokens) / seconds : 0.0, engine.preemptions(),
      kv.evicted_blocks);
}

Result<ExitCode> run(const BatchOptions& options, Console& console) {
  FOLIO_TRY(input, BatchInput::open(options.input));
  FOLIO_TRY(path, resolve_model(options.model));
  FOLIO_TRY(defaults, resolve_sampling({}, path));
  FOLIO_TRY(output, BatchOutput::open(options.output));
  FOLIO_TRY(engine, load(options, path));
  const auto start = std::chrono::steady_clock::now();
  bool finished = false;
  Totals totals;
  {
    Batch batch(*engine, std::move(input), std::move(output), std::move(defaults));
    FOLIO_TRY(outcome, batch.run());
    finished = outcome;
    totals = batch.totals();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.statistics == Statistics::kShow) console.note(summary(totals, *engine, seconds.count()));
  if (finished) return ExitCode::kOk;
  console.note("stopped by Ctrl-C; the same command goes on from here");
  return ExitCode::kInterrupted;
}

}  // namespace

ExitCode batch_command(const BatchOptions& options, Console& console) {
  const auto code = run(options, console);
  if (code) return *code;
  console.error(code.error().message);
  return ExitCode::kError;
}

}  // namespace folio::app
