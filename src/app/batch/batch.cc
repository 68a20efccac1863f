#include "app/batch/batch.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <unordered_set>

#include "api/engine_request.h"
#include "app/batch/file.h"
#include "app/batch/request.h"
#include "app/batch/response.h"
#include "app/defaults.h"
#include "app/progress_bar.h"
#include "platform/signals.h"

namespace folio::app {
namespace {

struct Running {
  std::size_t line;
  BatchRequest batch;
  std::vector<engine::Job> jobs;  // of its prompts, in order
  std::vector<BatchChoice> choices;

  const std::vector<api::PreparedPrompt>& prompts() const { return batch.body.prompts; }
  bool is_submitted() const { return jobs.size() == prompts().size(); }
  bool is_finished() const {
    return is_submitted() &&
           std::ranges::all_of(choices, [](const BatchChoice& c) { return c.answer.finish.has_value(); });
  }
  std::size_t under_way() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(choices, [](const BatchChoice& c) { return !c.answer.finish; }));
  }
};

struct Totals {
  std::size_t answered = 0, refused = 0, skipped = 0;
  std::size_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
};

class Batch {
 public:
  // `served` is of `engine`; both outlive the batch.
  Batch(engine::Engine& engine, const api::ServedModel& served, BatchInput input, BatchOutput output)
      : engine_(engine), served_(served), input_(std::move(input)), output_(std::move(output)) {}

  // False: interrupted. Errors: the output cannot be written, or belongs to another input.
  Result<bool> run() {
    for (bool more = true; more;) {
      FOLIO_TRY(window, read_window());
      more = !input_is_over_;
      std::ranges::sort(window, std::ranges::greater(), [](const Running& r) -> const auto& {
        return r.prompts().front().tokens;  // taken from the back
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
        window.push_back({.line = line->number, .batch = std::move(*batch), .jobs = {}, .choices = {}});
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
    auto batch = read_batch_line(line.text, served_);
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

  // Keeps as many under way as the engine takes. Only the last line may have prompts that wait.
  Status submit(std::vector<Running>& window) {
    while (under_way() < kMostUnderWay) {
      if (running_.empty() || running_.back().is_submitted()) {
        if (window.empty()) return {};
        running_.push_back(std::move(window.back()));
        window.pop_back();
      }
      Running& next = running_.back();
      const Status submitted = submit_prompt(next);
      if (submitted) continue;
      if (submitted.error().kind == ErrorKind::kTooLarge && under_way() > 0) return {};  // full: later
      for (const engine::Job& job : next.jobs) job.cancel();
      FOLIO_TRY_STATUS(refuse(next.line, {.custom_id = next.batch.custom_id,
                                          .code = "invalid_request",
                                          .message = submitted.error().message}));
      running_.pop_back();
    }
    return {};
  }

  // The next prompt of a line. All of them have one seed.
  Status submit_prompt(Running& running) {
    const api::Request& request = running.batch.body.request;
    const std::size_t prompt = running.jobs.size();
    engine::GenerationRequest made = api::engine_request(request, engine_, running.prompts()[prompt].tokens);
    if (!running.jobs.empty())
      made.sampling.seed = running.jobs.front().seed;
    else if (request.seed)
      made.sampling.seed = *request.seed;
    else
      made.seed = engine::Seed::kDraw;
    FOLIO_TRY(job, engine_.submit(std::move(made)));
    running.choices.insert(running.choices.end(), job.streams.size(), {.prompt = prompt, .answer = {}});
    running.jobs.push_back(std::move(job));
    return {};
  }

  std::size_t under_way() const {
    std::size_t all = 0;
    for (const Running& running : running_) all += running.under_way();
    return all;
  }

  Status write_finished() {
    for (Running& running : running_) {
      std::size_t at = 0;
      for (const engine::Job& job : running.jobs)
        for (const auto& stream : job.streams) running.choices[at++].answer.take(*stream);
      if (!running.is_finished()) continue;
      const BatchAnswer answer{.line = running.line,
                               .request = running.batch,
                               .choices = running.choices,
                               .tokenizer = engine_.tokenizer()};
      FOLIO_TRY_STATUS(output_.append(format_batch_answer(answer)));
      count(usage_of(answer));
    }
    std::erase_if(running_, [](const Running& running) { return running.is_finished(); });
    return {};
  }

  void count(const api::Usage& usage) {
    ++totals_.answered;
    totals_.prompt_tokens += usage.prompt_tokens;
    totals_.cached_tokens += usage.cached_tokens;
    totals_.generated_tokens += usage.completion_tokens;
  }

  // How much of what was read is not answered yet, about.
  std::size_t pending_bytes(const std::vector<Running>& window) const {
    const std::size_t lines = std::max<std::size_t>(
        1, totals_.answered + totals_.refused + totals_.skipped + window.size() + running_.size());
    return input_.bytes_read() / lines * (window.size() + running_.size());
  }

  static constexpr std::size_t kMostUnderWay = 128;

  engine::Engine& engine_;
  const api::ServedModel& served_;
  BatchInput input_;
  BatchOutput output_;
  std::vector<Running> running_;
  std::unordered_set<std::string> custom_ids_;
  bool input_is_over_ = false;
  Totals totals_;
  ProgressBar bar_{"batch"};
  platform::SignalScope signals_;
};

// `text_bytes`: of the whole input.
Result<std::unique_ptr<engine::Engine>> load(const BatchOptions& options, const std::string& path,
                                             std::size_t text_bytes) {
  engine::EngineOptions engine_options = options.engine;
  engine_options.model = path;
  engine_options.queue = {.requests = kBatchWindow, .text_bytes = text_bytes};
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
  FOLIO_TRY(output, BatchOutput::open(options.output, options.input));
  FOLIO_TRY(engine, load(options, path, input.bytes()));
  FOLIO_TRY(defaults, generation_defaults(engine->generation_config()));
  defaults.chat = defaults.text;  // lines of a file are experiments: the model's own, else the API's
  defaults.max_new_tokens.reset();
  const auto start = std::chrono::steady_clock::now();
  bool finished = false;
  Totals totals;
  {
    const std::vector<std::string> any_name;
    const api::ServedModel served{.engine = *engine,
                                  .chat_template = engine->chat_template(),
                                  .names = any_name,
                                  .longest_tokens = engine->context_tokens(),
                                  .defaults = defaults,
                                  .priorities = options.engine.policy == scheduler::Policy::kPriority
                                                    ? api::Priorities::kUse
                                                    : api::Priorities::kRefuse,
                                  .max_logprobs = api::kAllLogprobs,
                                  .pooling = options.pooling};
    Batch batch(*engine, served, std::move(input), std::move(output));
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
