#include "golden/model_golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "golden/generate.h"
#include "golden/scratch_folder.h"
#include "golden/tolerance.h"
#include "weights/safetensors.h"

namespace folio::golden {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using kernels::Arithmetic;

struct Prompt {
  std::string name;  // p0, p1, ...
  std::vector<int> tokens;
  std::vector<float> logits;  // [tokens, vocab]
  std::vector<int> greedy;    // empty: not compared
  std::vector<double> margins;
};

struct Case {
  std::string name;
  fs::path model;
  std::vector<Prompt> prompts;
  bool length_decides =
      false;  // dynamic RoPE scaling: the engine's maximum length is the prompt's, logits only
};

Json read_json(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file, nullptr, false);
}

// The prompts with their logits; the greedy part from `runs`, one per prompt. Throws nothing: errors are
// texts.
Result<std::vector<Prompt>> read_prompts(const fs::path& folder, const fs::path& logits_path,
                                         const Json& runs) {
  const Json prompts = read_json(folder / "prompt.json");
  if (!prompts.is_object() || !prompts.contains("prompts"))
    return fail(ErrorKind::kInvalid, "{}: no list 'prompts'", (folder / "prompt.json").string());
  FOLIO_TRY(file, weights::SafetensorsFile::open(logits_path.string()));
  std::vector<Prompt> result;
  for (std::size_t i = 0; i < prompts["prompts"].size(); ++i) {
    Prompt prompt{.name = fmt::format("p{}", i),
                  .tokens = prompts["prompts"][i].get<std::vector<int>>(),
                  .logits = {},
                  .greedy = {},
                  .margins = {}};
    const weights::SafetensorsEntry* entry = file.header.find(prompt.name);
    if (entry == nullptr) continue;  // some sets compare only the first prompts
    prompt.logits.resize(entry->data.size() / sizeof(float));
    std::memcpy(prompt.logits.data(), entry->data.data(), entry->data.size());
    if (i < runs.size() && runs[i].contains("tokens")) {
      prompt.greedy = runs[i]["tokens"].get<std::vector<int>>();
      prompt.margins = runs[i]["margin"].get<std::vector<double>>();
    }
    result.push_back(std::move(prompt));
  }
  if (result.empty())
    return fail(ErrorKind::kInvalid, "{}: holds no logits of any prompt", logits_path.string());
  return result;
}

engine::EngineOptions options_for(const Case& entry, Arithmetic arithmetic, std::size_t context) {
  engine::EngineOptions options;
  options.model = entry.model.string();
  options.kv_type = kernels::KvType::kF32;
  options.arithmetic = arithmetic;
  options.context_tokens = context;
  return options;
}

struct Outcome {
  double worst = 0, tolerance = 0;  // of the prompt whose error comes closest to its tolerance
  std::size_t greedy_equal = 0, greedy_compared = 0, greedy_all = 0;
  double divergence = 0;        // mean over positions, production path against the reference
  double int16_divergence = 0;  // the same, every activation of sixteen bits
  std::size_t positions = 0;
  std::optional<std::string> problem;
};

double root_mean_square(std::span<const float> values) {
  double sum = 0;
  for (float x : values) sum += double{x} * x;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

void compare_logits(const Prompt& prompt, const Trace& trace, double tolerance, Outcome& outcome) {
  const std::size_t vocab = prompt.logits.size() / prompt.tokens.size();
  double worst = 0;
  for (std::size_t p = 0; p < prompt.tokens.size(); ++p)
    for (std::size_t i = 0; i < vocab; ++i) {
      const double error = std::abs(double{trace.logits[p][i]} - prompt.logits[p * vocab + i]);
      worst = error <= worst ? worst : error;  // NaN becomes the worst
    }
  if (!(worst / tolerance <= outcome.worst / std::max(outcome.tolerance, 1e-300))) {
    outcome.worst = worst;
    outcome.tolerance = tolerance;
  }
  if (!(worst <= tolerance))
    outcome.problem =
        fmt::format("{}: logits differ by {:.2e}, more than {:.2e}", prompt.name, worst, tolerance);
}

// Compares up to the first step whose margin the tolerance cannot decide; after a different choice the texts
// part.
void compare_greedy(const Prompt& prompt, const Trace& trace, double tolerance, Outcome& outcome) {
  outcome.greedy_all += prompt.greedy.size();
  for (std::size_t i = 0; i < prompt.greedy.size() && i < trace.tokens.size(); ++i) {
    if (prompt.margins[i] <= 2 * tolerance) return;
    ++outcome.greedy_compared;
    if (trace.tokens[i] != prompt.greedy[i]) {
      outcome.problem = fmt::format("{}: greedy token {} is {}, not {} (margin {:.2e})", prompt.name, i,
                                    trace.tokens[i], prompt.greedy[i], prompt.margins[i]);
      return;
    }
    ++outcome.greedy_equal;
  }
}

struct Engines {
  std::unique_ptr<engine::Engine> exact, int16, production;
  std::unique_ptr<engine::Engine> specification;  // of production, on the reference kernels
};

Result<Engines> load_engines(const Case& entry, std::size_t context) {
  FOLIO_TRY(exact, engine::Engine::load(options_for(entry, Arithmetic::kFloat, context)));
  FOLIO_TRY(int16, engine::Engine::load(options_for(entry, Arithmetic::kInt16, context)));
  auto options = options_for(entry, Arithmetic::kMixed, context);
  FOLIO_TRY(production, engine::Engine::load(options));
  options.isa = kernels::Isa::kReference;
  FOLIO_TRY(specification, engine::Engine::load(options));
  return Engines{.exact = std::move(exact),
                 .int16 = std::move(int16),
                 .production = std::move(production),
                 .specification = std::move(specification)};
}

Status check_prompt(const Case& entry, const Prompt& prompt, Engines& engines, Outcome& outcome) {
  engine::Engine& exact = *engines.exact;
  FOLIO_TRY(trace, run(exact, prompt.tokens, entry.length_decides ? 0 : prompt.greedy.size()));
  const std::size_t vocab = exact.config().vocab;
  if (prompt.logits.size() != prompt.tokens.size() * vocab)
    return fail(ErrorKind::kInvalid, "{}: the reference has {} logits for {} tokens of a vocabulary of {}",
                prompt.name, prompt.logits.size(), prompt.tokens.size(), vocab);
  const std::size_t positions = prompt.tokens.size() + (entry.length_decides ? 0 : prompt.greedy.size());
  const double tolerance =
      logit_tolerance(exact.config(), positions, root_mean_square(prompt.logits), prompt.logits.size());
  compare_logits(prompt, trace, tolerance, outcome);
  if (!entry.length_decides) compare_greedy(prompt, trace, tolerance, outcome);

  FOLIO_TRY(fast, run(*engines.production, prompt.tokens, 0));
  FOLIO_TRY(plain, run(*engines.specification, prompt.tokens, 0));
  FOLIO_TRY(int16, run(*engines.int16, prompt.tokens, 0));
  for (std::size_t p = 0; p < prompt.tokens.size(); ++p) {
    if (fast.logits[p] != plain.logits[p])
      outcome.problem = fmt::format("{}: position {}: {} and reference kernels give different bits",
                                    prompt.name, p, kernels::name(engines.production->isa()));
    const auto expected = std::span(prompt.logits).subspan(p * vocab, vocab);
    outcome.divergence += divergence(expected, fast.logits[p]);
    outcome.int16_divergence += divergence(expected, int16.logits[p]);
    ++outcome.positions;
  }
  return {};
}

Status check_prompts(const Case& entry, Outcome& outcome) {
  Engines engines;
  for (const Prompt& prompt : entry.prompts) {
    if (engines.exact == nullptr || entry.length_decides) {
      FOLIO_TRY(loaded, load_engines(entry, entry.length_decides ? prompt.tokens.size() : 0));
      engines = std::move(loaded);
    }
    FOLIO_TRY_STATUS(check_prompt(entry, prompt, engines, outcome));
  }
  return {};
}

GoldenLine check_case(const Case& entry) {
  GoldenLine line{.name = entry.name, .status = GoldenStatus::kFail, .detail = {}};
  Outcome outcome;
  if (const Status status = check_prompts(entry, outcome); !status) {
    line.detail = status.error().message;
    if (status.error().kind == ErrorKind::kUnsupported) line.status = GoldenStatus::kSkip;
    return line;
  }
  outcome.divergence /= static_cast<double>(std::max<std::size_t>(1, outcome.positions));
  outcome.int16_divergence /= static_cast<double>(std::max<std::size_t>(1, outcome.positions));
  if (!outcome.problem && !(outcome.divergence <= kMaxDivergence))
    outcome.problem = fmt::format("rounded activations cost a divergence above {:.0e}", kMaxDivergence);
  if (!outcome.problem && !(outcome.int16_divergence <= kMaxInt16Divergence))
    outcome.problem =
        fmt::format("activations of 16 bits cost a divergence above {:.0e}", kMaxInt16Divergence);
  line.status = outcome.problem ? GoldenStatus::kFail : GoldenStatus::kPass;
  line.detail = fmt::format(
      "max error {:.1e} of {:.1e}, greedy {}/{} equal ({} undecidable), production KLD {:.1e}, int16 "
      "{:.1e}{}{}",
      outcome.worst, outcome.tolerance, outcome.greedy_equal, outcome.greedy_compared,
      outcome.greedy_all - outcome.greedy_compared, outcome.divergence, outcome.int16_divergence,
      outcome.problem ? "; " : "", outcome.problem.value_or(""));
  return line;
}

GoldenLine broken(std::string name, const Error& error) {
  return {.name = std::move(name), .status = GoldenStatus::kFail, .detail = error.message};
}

void check_one_model(const fs::path& folder, std::vector<GoldenLine>& lines) {
  const std::string name = folder.filename().string();
  const Json greedy = read_json(folder / "greedy.json");
  auto prompts = read_prompts(folder, folder / "logits.safetensors",
                              greedy.is_object() && greedy.contains("runs") ? greedy["runs"] : Json::array());
  if (!prompts) return lines.push_back(broken(name, prompts.error()));
  const Json config = read_json(folder / "config.json");
  bool dynamic = false;
  if (config.is_object())
    for (const char* key : {"rope_scaling", "rope_parameters"})
      if (config.contains(key) && config[key].is_object())
        dynamic = dynamic || config[key].value("rope_type", config[key].value("type", "")) == "dynamic";

  Case entry{.name = name + " (safetensors)",
             .model = folder,
             .prompts = std::move(*prompts),
             .length_decides = dynamic};
  if (fs::exists(folder / "config.json")) lines.push_back(check_case(entry));
  const bool unsupported = !lines.empty() && lines.back().status == GoldenStatus::kSkip;
  if (fs::exists(folder / "config_v5.json") && !unsupported) {
    const auto twin = ScratchFolder::with_links(
        {{folder / "config_v5.json", "config.json"}, {folder / "model.safetensors", "model.safetensors"}});
    entry.name = name + " (config_v5)";
    entry.model = twin.path();
    lines.push_back(check_case(entry));
  }
  if (fs::exists(folder / "model.gguf")) {
    entry.name = name + " (gguf)";
    entry.model = folder / "model.gguf";
    lines.push_back(check_case(entry));
  }
}

void check_types(const fs::path& folder, std::vector<GoldenLine>& lines) {
  const Json greedy = read_json(folder / "greedy.json");
  std::map<std::string, fs::path> models;  // by type
  for (const auto& file : fs::directory_iterator(folder))
    if (const std::string name = file.path().stem().string();
        file.path().extension() == ".gguf" && name.starts_with("model-"))
      models[name.substr(6)] = file.path();
  for (const auto& [type, path] : models) {
    const std::string name = folder.filename().string() + " " + type;
    Json runs = Json::array();
    if (greedy.is_object() && greedy.contains("types") && greedy["types"].contains(type))
      runs = greedy["types"][type];
    if (runs.is_object() && runs.contains("greedy")) runs = runs["greedy"];
    auto prompts = read_prompts(folder, folder / fmt::format("logits-{}.safetensors", type), runs);
    if (!prompts) {
      lines.push_back(broken(name, prompts.error()));
      continue;
    }
    lines.push_back(check_case({.name = name, .model = path, .prompts = std::move(*prompts)}));
  }
}

}  // namespace

bool is_model_folder(const fs::path& folder) { return fs::exists(folder / "prompt.json"); }

std::vector<GoldenLine> check_model(const fs::path& folder) {
  std::vector<GoldenLine> lines;
  try {  // malformed reference JSON: nlohmann throws
    if (fs::exists(folder / "logits.safetensors")) check_one_model(folder, lines);
    check_types(folder, lines);
  } catch (const std::exception& e) {
    lines.push_back({.name = folder.filename().string(), .status = GoldenStatus::kFail, .detail = e.what()});
  }
  if (lines.empty())
    lines.push_back({.name = folder.filename().string(),
                     .status = GoldenStatus::kFail,
                     .detail = "prompt.json without a model"});
  return lines;
}

}  // namespace folio::golden
