#include "app/cli_flags.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>

#include "app/defaults.h"
#include "app/flag_kinds.h"
#include "app/nearest.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

void add_prompt_flags(CLI::App* app, RunOptions& run) {
  const std::string group = "Prompt (without one, on a terminal: a chat)";
  add_text(app, "-p,--prompt", run.prompt, "TEXT", "answer this and end", group);
  add_text(app, "-f,--file", run.prompt_file, "FILE",
           "answer what the file says and end; - is standard input", group);
  add_text(app, "--system", run.system, "TEXT", "the system prompt of the conversation", group);
  add_switch(
      app, "--raw", [&run] { run.templating = Templating::kRaw; },
      "continue the prompt as it is, without the chat template;\nan empty one starts from BOS alone", group);
}

void add_answer_flags(CLI::App* app, RunOptions& run) {
  const std::string group = "Answer";
  add_number<std::int64_t>(
      app, "-n,--max-tokens",
      {-1, std::int64_t{model::kMaxContext},
       fmt::format("a whole number from 1 to {}, or -1 for no limit", model::kMaxContext)},
      [&run](std::int64_t n) {
        if (n == 0) refuse("--max-tokens takes a whole number from 1 on, or -1 for no limit, not '0'");
        run.max_tokens = n < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(n));
      },
      "tokens to generate at most; -1: what the context leaves (the default)", group);
  app->add_option_function<std::string>(
         "--stop",
         [&run](const std::string& text) {
           if (text.empty())
             refuse("--stop takes a text that is not empty; an empty one would end every answer at once");
           run.stop.push_back(text);
         },
         "end the answer before this text; may be given several times")
      ->type_name("TEXT")
      ->trigger_on_parse()
      ->group(group);
  add_switch(
      app, "--no-stats", [&run] { run.statistics = Statistics::kHide; }, "no line of figures after an answer",
      group);
  add_switch(
      app, "--verbose", [&run] { run.verbosity = Verbosity::kVerbose; },
      "say on standard error what was loaded, what memory it takes, and which\nseed is used", group);
}

void add_sampling_flags(CLI::App* app, SamplingFlags& s) {
  const std::string group =
      "Sampling (defaults: generation_config.json of a Hugging Face directory, then the figures below)";
  const auto real = [&](const std::string& names, Range<float> range, std::optional<float>& target,
                        const std::string& help) {
    add_number<float>(app, names, std::move(range), [&target](float value) { target = value; }, help, group);
  };
  const sampling::SamplingParams d = kDefaultSampling;
  real("--temperature,--temp", from_to(0.0F, 1000.0F), s.temperature,
       fmt::format("0: always the most likely token (default {})", d.temperature));
  add_number<std::int32_t>(
      app, "--top-k",
      {-1, std::numeric_limits<std::int32_t>::max(), "a whole number from 1 on, or 0 for no limit"},
      [&s](std::int32_t value) { s.top_k = value; },
      fmt::format("among the N most likely tokens only; 0: all (default {})", d.top_k), group);
  real("--top-p", {0, 1, "a number above 0 and at most 1", true}, s.top_p,
       fmt::format("among the fewest tokens whose probabilities reach N (default {})", d.top_p));
  real("--min-p", from_to(0.0F, 1.0F), s.min_p,
       fmt::format("not below this share of the most likely one's probability (default {})", d.min_p));
  real("--repetition-penalty,--repeat-penalty", from_to(0.001F, 1000.0F), s.repetition_penalty,
       "against tokens of prompt and answer where above 1 (default 1)");
  real("--frequency-penalty", from_to(-2.0F, 2.0F), s.frequency_penalty,
       "taken off a token's logit for each time it is in the answer (default 0)");
  real("--presence-penalty", from_to(-2.0F, 2.0F), s.presence_penalty,
       "taken off a token's logit once it is in the answer (default 0)");
  const auto set_seed = [&s](const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool drawn = text == "-1";
    if (!drawn && (error != std::errc() || end != text.data() + text.size()))
      refuse(fmt::format("--seed takes a whole number from 0 to {}, or -1 to draw one, not '{}'",
                         std::numeric_limits<std::uint64_t>::max(), text));
    s.seed = drawn ? std::nullopt : std::optional(value);
  };
  app->add_option_function<std::string>("--seed", set_seed,
                                        "the same seed gives the same answer (default: drawn)")
      ->type_name("N")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(group);
}

// Flags about the cache's shape, which `run` and `inspect` share.
void add_kv_flags(CLI::App* app, std::size_t& context, std::optional<kernels::KvType>& type,
                  std::uint32_t& block_tokens, const std::string& group) {
  add_number<std::uint32_t>(
      app, "-c,--ctx-size", from_to(0u, model::kMaxContext), [&context](std::uint32_t n) { context = n; },
      "longest conversation in tokens (default 0: the model's, or what fits)", group);
  add_choice(
      app, "--kv-cache-dtype", "auto|f32|f16|bf16",
      [&type](const std::string& name) { type = kernels::kv_type_from_name(name); },
      "type of the numbers in the cache (default auto: f16, or f32\nwhere only the plain C++ kernels run)",
      group);
  add_number<std::uint32_t>(
      app, "--block-size", {16, 256, "a multiple of 16 from 16 to 256"},
      [&block_tokens](std::uint32_t n) {
        if (n % 16 != 0)
          refuse(fmt::format("--block-size takes a multiple of 16 from 16 to 256, not '{}'", n));
        block_tokens = n;
      },
      "tokens in one block (default 16)", group);
}

void add_engine_flags(CLI::App* app, engine::EngineOptions& engine) {
  const std::string cache = "KV cache";
  add_kv_flags(app, engine.context_tokens, engine.kv_type, engine.block_tokens, cache);
  add_number<std::uint32_t>(
      app, "--kv-tokens", from_to(0u, model::kMaxContext),
      [&engine](std::uint32_t n) {
        engine.kv_size = n == 0 ? capacity::KvSize(capacity::KvAutomatic{}) : capacity::KvTokens{n};
      },
      "tokens that all blocks hold together; more keeps more branches\nof a conversation (default 0: one "
      "context)",
      cache);
  add_switch(
      app, "--no-kv-cache", [&engine] { engine.kv_use = engine::KvUse::kRecompute; },
      "compute the whole conversation again for each token: the same text,\nslowly; shows what the cache is "
      "worth",
      cache);

  const std::string compute = "Computing";
  add_number<std::int32_t>(
      app, "-t,--threads", from_to(0, 256), [&engine](std::int32_t n) { engine.threads = n; },
      "default 0: as many as affinity and cgroup allow", compute);
  add_memory(app, engine.memory_bytes, compute);
  add_choice(
      app, "--weights", "as-stored|q8_0|q4_0",
      [&engine](const std::string& name) {
        engine.quantize = name == "q8_0"   ? std::optional(kernels::TensorType::kQ8_0)
                          : name == "q4_0" ? std::optional(kernels::TensorType::kQ4_0)
                                           : std::nullopt;
      },
      "turn wider weights into this type while loading (default as-stored)", compute);
  add_choice(
      app, "--activations", "mixed|int16|f32",
      [&engine](const std::string& name) {
        engine.arithmetic = kernels::arithmetic_of(name).value_or(engine.arithmetic);
      },
      "what is multiplied with quantised weights (default mixed: int8, and\n16 bits where a row's values "
      "stand "
      "out; int16 is the most exact and\ndoubles the work of a prompt; f32 is slow); mixed rounds "
      "what\nmeets bf16 weights to bf16",
      compute);
}

void add_scheduling_flags(CLI::App* app, engine::EngineOptions& engine) {
  const std::string group = "Many at once";
  add_number<std::uint32_t>(
      app, "--max-num-seqs", from_to(1u, 1024u), [&engine](std::uint32_t n) { engine.max_num_seqs = n; },
      "sequences that run at the same time (default 64)", group);
  add_number<std::uint32_t>(
      app, "--max-num-batched-tokens", from_to(1u, 8192u),
      [&engine](std::uint32_t n) { engine.step_tokens = n; },
      "tokens computed in one step at most (default 512)", group);
  add_number<std::uint32_t>(
      app, "--long-prefill-token-threshold", from_to(0u, 8192u),
      [&engine](std::uint32_t n) { engine.long_prefill_token_threshold = n; },
      "tokens of one prompt in one step at most (default 0: no limit)", group);
  add_choice(
      app, "--enable-chunked-prefill", "on|off",
      [&engine](const std::string& name) {
        engine.chunked_prefill =
            name == "on" ? scheduler::ChunkedPrefill::kOn : scheduler::ChunkedPrefill::kOff;
      },
      "may a prompt take several steps? (default on)", group);
  add_choice(
      app, "--scheduling-policy", "fcfs|priority",
      [&engine](const std::string& name) {
        engine.policy = name == "priority" ? scheduler::Policy::kPriority : scheduler::Policy::kFcfs;
      },
      "who comes first: by arrival (default), or by the requests' \"priority\"", group);
  add_switch(
      app, "--fair-users", [&engine] { engine.fairness = scheduler::Fairness::kTenants; },
      "every \"user\" that requests name gets its share of the steps,\nhowever many requests it has", group);
  add_choice(
      app, "--eviction", "lru|cost",
      [&engine](const std::string& name) {
        engine.eviction = name == "cost" ? kv::Eviction::kCost : kv::Eviction::kLru;
      },
      "which cached blocks are lost first: the least recently used (default),\nor the cheapest to compute "
      "again",
      group);
  add_number<std::uint32_t>(
      app, "--swap-space", from_to(0u, 1u << 20),
      [&engine](std::uint32_t n) { engine.swap_bytes = std::size_t{n} << 20; },
      "MB of RAM for blocks of sequences that had to wait (default 0:\nthey are computed again)", group);
}

}  // namespace

void define_run(CLI::App* app, RunOptions& run) {
  add_model(app, run.model, "SmolLM2-135M-Instruct, which ./dev run fetches");
  add_prompt_flags(app, run);
  add_answer_flags(app, run);
  add_sampling_flags(app, run.sampling);
  add_engine_flags(app, run.engine);
  app->footer(
      "Examples:\n"
      "  folio run                                        chat with the default model\n"
      "  folio run Llama-3.2-1B-Instruct-Q4_K_M.gguf -t 8\n"
      "  folio run -p \"Why is the sky blue?\" -n 100 --temperature 0\n"
      "  git diff | folio run --system \"Write a commit message.\"\n"
      "  folio run --raw -p \"Once upon a time\" model.gguf\n\n"
      "The answer goes to standard output, all else to standard error. Exit status: 0, 1 for an error,\n"
      "2 for a wrong command line, 130 after Ctrl-C. Environment: FOLIO_ISA=reference|avx2|avx512 chooses\n"
      "the kernels, FOLIO_HOME the folder of models and history, NO_COLOR switches dim text off.");
}

void define_batch(CLI::App* app, BatchOptions& batch) {
  app->add_option("INPUT", batch.input, "requests in OpenAI's batch format, one JSON object a line")
      ->type_name("FILE");
  app->add_option("OUTPUT", batch.output, "results, a line for each; begun earlier: what is there stays")
      ->type_name("FILE");
  add_text(
      app, "-m,--model", batch.model, "PATH",
      "a GGUF file or a Hugging Face directory;\nwithout it: SmolLM2-135M-Instruct, which ./dev run fetches",
      "Model");
  add_switch(
      app, "--no-stats", [&batch] { batch.statistics = Statistics::kHide; }, "no line of figures at the end",
      "Output");
  add_choice(
      app, "--pooling-type", "last|mean",
      [&batch](const std::string& name) {
        batch.pooling = name == "mean" ? engine::Pooling::kMean : engine::Pooling::kLast;
      },
      "what /v1/embeddings gives: the hidden state of the last token (default), or\nthe mean of all",
      "Model");
  add_engine_flags(app, batch.engine);
  add_scheduling_flags(app, batch.engine);
  app->footer(
      "Requests that begin alike share what is computed, and the order of the results is not that of the\n"
      "requests: \"id\" is batch_req_ and the number of the line. A line that cannot be answered gets a "
      "result\n"
      "with an \"error\". After Ctrl-C or a kill the same command goes on.\n\n"
      "Example:\n"
      "  folio batch requests.jsonl results.jsonl -m Llama-3.2-1B-Instruct-Q4_K_M.gguf --kv-tokens 32768");
}

void define_inspect(CLI::App* app, InspectOptions& inspect) {
  add_model(app, inspect.model, "the default model if it is there, and this machine");
  add_switch(
      app, "--json", [&inspect] { inspect.format = InspectFormat::kJson; }, "everything as one JSON object",
      "Output");
  std::string sections;
  for (const char* name : kInspectSections) sections += (sections.empty() ? "" : "|") + std::string(name);
  const auto add_section = [&inspect, sections](const std::string& text) {
    const std::vector<std::string> known = CLI::detail::split(sections, '|');
    if (std::ranges::find(known, text) == known.end())
      refuse(fmt::format("--only takes one of {}, not '{}'{}", fmt::join(known, ", "), text,
                         did_you_mean(text, known)));
    inspect.sections.push_back(text);
  };
  app->add_option_function<std::string>("--only", add_section,
                                        "this section only; may be given several times")
      ->type_name(sections)
      ->trigger_on_parse()
      ->group("Output");
  add_kv_flags(app, inspect.context_tokens, inspect.kv_type, inspect.block_tokens,
               "KV cache to compute the sizes of");
  app->footer(
      "Examples:\n"
      "  folio inspect model.gguf\n"
      "  folio inspect model.gguf --only kv --kv-cache-dtype bf16 --ctx-size 32768\n"
      "  folio inspect model.gguf --json\n\n"
      "Only headers are read: a large file costs no more than a small one.");
}

void define_completion(CLI::App* app, std::string& shell) {
  const auto set = [&shell](const std::string& text) {
    const std::vector<std::string> known = {"bash", "zsh", "fish"};
    if (std::ranges::find(known, text) == known.end())
      refuse(fmt::format("folio completion knows bash, zsh and fish, not '{}'{}", text,
                         did_you_mean(text, known)));
    shell = text;
  };
  app->add_option_function<std::string>("SHELL", set, "the shell")->type_name("bash|zsh|fish");
  app->footer("Example:\n  folio completion bash > ~/.local/share/bash-completion/completions/folio");
}

}  // namespace folio::app
