#include "app/chat/run.h"

#include <chrono>
#include <filesystem>
#include <limits>
#include <tuple>

#include "app/chat/chat_session.h"
#include "app/chat/history.h"
#include "app/chat/line_editor.h"
#include "app/chat/prompt_input.h"
#include "app/chat/repl.h"
#include "app/defaults.h"
#include "app/progress_bar.h"
#include "app/status_line.h"
#include "platform/file.h"
#include "platform/signals.h"

namespace folio::app {
namespace {

constexpr const char* kNotice =
    "SmolLM2-135M-Instruct is small and often wrong: fit for a first look, not for answers you rely on.\n"
    "Better ones of the same kind: SmolLM2-1.7B-Instruct, Llama-3.2-1B-Instruct, Llama-3.2-3B-Instruct. "
    "Download a GGUF\n"
    "file of one, for instance from huggingface.co, and start it with: folio run PATH.gguf";

struct Loaded {
  std::string path;
  std::unique_ptr<engine::Engine> engine;
  sampling::SamplingParams sampling;
};

Result<Loaded> load(const RunOptions& options, const std::string& path, Console& console) {
  Loaded loaded;
  engine::EngineOptions engine_options = options.engine;
  engine_options.model = path;
  const auto start = std::chrono::steady_clock::now();
  {
    ProgressBar bar("loading " + std::filesystem::path(path).filename().string());
    engine_options.progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); };
    FOLIO_TRY(engine, engine::Engine::load(engine_options));
    loaded.engine = std::move(engine);
  }
  for (const std::string& warning : loaded.engine->tokenizer().description().warnings)
    console.note("warning: " + warning);
  FOLIO_TRY(sampling, resolve_sampling(options.sampling, loaded.engine->generation_config()));
  loaded.path = path;
  loaded.sampling = sampling;
  if (options.verbosity == Verbosity::kVerbose) {
    const std::chrono::duration<double> load_s = std::chrono::steady_clock::now() - start;
    console.note(format_engine(*loaded.engine, loaded.path, load_s.count()));
    console.note(capacity::table_text(loaded.engine->memory_plan()));
    console.note(fmt::format("seed {}, temperature {}, top-k {}, top-p {}, min-p {}, repetition penalty {}",
                             sampling.seed, sampling.temperature, sampling.top_k, sampling.top_p,
                             sampling.min_p, sampling.repetition_penalty));
  }
  return loaded;
}

// The prompt as tokens, with the chat template or without.
Result<std::vector<TokenId>> encode_prompt(const engine::Engine& engine, const RunOptions& options,
                                           const std::string& prompt) {
  if (options.templating == Templating::kRaw)
    return engine.tokenizer().encode(prompt,
                                     {.special = text::SpecialInput::kParse, .add = text::AddTokens::kYes});
  Conversation conversation(options.system);
  conversation.add_user(prompt);
  FOLIO_TRY(encoded,
            engine.chat_template().encode(
                engine.tokenizer(), {.messages_json = text::to_messages_json(conversation.messages())}));
  return std::move(encoded.tokens);
}

Result<Answer> answer_once(Loaded& loaded, const RunOptions& options, const std::string& prompt,
                           Console& console) {
  engine::Engine& engine = *loaded.engine;
  FOLIO_TRY(tokens, encode_prompt(engine, options, prompt));
  if (tokens.empty())
    return fail(ErrorKind::kInvalid,
                "the prompt is empty, and this model has no BOS token to begin with; give a text");
  FOLIO_TRY_STATUS(check_fits(engine, tokens.size(), Situation::kOneShot));
  engine::GenerationRequest request{.prompt = std::move(tokens), .sampling = loaded.sampling};
  if (options.templating == Templating::kRaw && !prompt.empty())
    request.text_start = text::TextStart::kContinued;
  request.max_tokens = options.max_tokens.value_or(std::numeric_limits<std::size_t>::max());
  request.stop = options.templating == Templating::kRaw ? options.stop : stop_texts(engine, options.stop);
  platform::SignalScope signals;
  return generate(engine, std::move(request),
                  {.on_text = [&](std::string_view text) { console.answer(text); },
                   .wants_stop = [&] { return signals.take_interrupt() || console.failure().has_value(); },
                   .abandon_step = &signals.interrupt()});
}

ExitCode run_once(Loaded& loaded, const RunOptions& options, const std::string& prompt, Console& console) {
  const auto answer = answer_once(loaded, options, prompt, console);
  if (answer && !answer->text.ends_with('\n')) console.answer("\n");
  if (!answer || console.failure()) {
    console.error(answer ? console.failure()->message : answer.error().message);
    return ExitCode::kError;
  }
  if (options.statistics == Statistics::kShow)
    console.note(format_stats(answer->stats) + format_finish(*answer, loaded.engine->context_tokens()));
  return answer->finish == engine::FinishReason::kCancelled ? ExitCode::kInterrupted : ExitCode::kOk;
}

// Said once per user; the marker is a file, so removing it brings the notice back.
void show_notice(const RunOptions& options, Console& console) {
  const std::string marker = state_folder() + "/default-model-notice";
  std::error_code ignored;
  if (!options.model.empty() || std::filesystem::exists(marker, ignored)) return;
  console.print(std::string(kNotice) + "\n");
  if (platform::make_private_folders(state_folder()))
    std::ignore = platform::write_file_atomically(marker, "shown\n", platform::FileAccess::kOwner);
}

ExitCode run_chat(Loaded& loaded, const RunOptions& options, Console& console) {
  engine::Engine& engine = *loaded.engine;
  ChatSession session(engine, {.system = options.system,
                               .sampling = loaded.sampling,
                               .max_tokens = options.max_tokens,
                               .stop = options.stop});
  platform::SignalScope signals;
  const HistoryFile history(state_folder() + "/history");
  LineEditor editor(signals, {.history = history.load(), .completions = Repl::command_names()});
  show_notice(options, console);
  console.note(fmt::format("{}, a context of {} tokens. /help lists the commands, Ctrl-D leaves.",
                           std::filesystem::path(loaded.path).filename().string(),
                           format_count(engine.context_tokens())));
  if (engine.chat_template().name() != "model" && !engine.chat_template().problem())
    console.note(fmt::format("The model has no chat template of its own, so this one is used: {}.",
                             engine.chat_template().name()));
  Repl repl({.engine = engine,
             .session = session,
             .lines = editor,
             .console = console,
             .interrupted = [&] { return signals.take_interrupt(); },
             .interrupt = &signals.interrupt(),
             .remember =
                 [&](const std::string& line) {
                   editor.remember(line);
                   history.append(line);
                 },
             .statistics = options.statistics});
  repl.run();
  if (!console.failure()) return ExitCode::kOk;
  console.error(console.failure()->message);
  return ExitCode::kError;
}

}  // namespace

ExitCode run_command(const RunOptions& options, Console& console) {
  // A model that is missing is said before a prompt is waited for, and what is wrong with that before
  // loading.
  const auto path = resolve_model(options.model);
  if (!path) {
    console.error(path.error().message);
    return ExitCode::kError;
  }
  const auto prompt = read_prompt(options);
  if (!prompt) {
    console.error(prompt.error().message);
    return ExitCode::kError;
  }
  auto loaded = load(options, *path, console);
  if (!loaded) {
    console.error(loaded.error().message);
    return ExitCode::kError;
  }
  if (*prompt) return run_once(*loaded, options, **prompt, console);
  return run_chat(*loaded, options, console);
}

}  // namespace folio::app
