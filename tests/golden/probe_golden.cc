#include "golden/probe_golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "golden/generate.h"
#include "golden/text_golden.h"
#include "golden/tolerance.h"

namespace folio::golden {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using kernels::Arithmetic;

Json read_json(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file, nullptr, false);
}

bool has_probes(const Json& json) {
  return json.is_object() && json.contains("probes") && json.contains("tokens");
}

std::vector<fs::path> json_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().extension() == ".json") files.push_back(file.path());
  std::ranges::sort(files);
  return files;
}

// "Qwen2.5-Coder.Q4_K_M" -> qwen2 5 coder q4 k m
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!words.back().empty())
      words.emplace_back();
  }
  return words;
}

// Whether a folder's name says no more than the file's: smollm2-135m-q4_1, SmolLM2-135M-Instruct.Q4_1.gguf.
bool is_named_after(std::string_view folder, std::string_view file) {
  const std::vector<std::string> words = words_of(file);
  return std::ranges::all_of(words_of(folder), [&](const std::string& word) {
    return std::ranges::find(words, word) != words.end();
  });
}

struct Comparison {
  double worst = 0;  // largest difference of a recorded log-probability
  double tolerance = 0;
  double nll = 0;  // of tokens 1..n-1
  std::size_t top1_equal = 0, probes = 0;
  std::size_t greedy_equal = 0, greedy_compared = 0;
};

// The greedy tokens up to the first whose recorded margin the tolerance cannot decide.
void compare_greedy(const Json& recorded, const Trace& trace, double tolerance, Comparison& c) {
  const auto tokens = recorded["greedy"]["tokens"].get<std::vector<int>>();
  const auto margins = recorded["greedy"]["margin"].get<std::vector<double>>();
  for (std::size_t i = 0; i < tokens.size() && i < trace.tokens.size(); ++i) {
    if (margins[i] <= 2 * tolerance) return;
    ++c.greedy_compared;
    if (trace.tokens[i] != tokens[i]) return;
    ++c.greedy_equal;
  }
}

double standard_deviation(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (float x : values) {
    sum += x;
    squares += double{x} * x;
  }
  const double n = static_cast<double>(values.size());
  return std::sqrt(std::max(0.0, squares / n - sum / n * sum / n));
}

Comparison compare(const Json& recorded, const Trace& trace, const model::ModelConfig& config,
                   std::span<const int> tokens) {
  Comparison c;
  double spread = 0;
  for (const Json& probe : recorded["probes"]) {
    const auto& logits = trace.logits.at(probe["position"].get<std::size_t>());
    const double total = log_sum_exp(logits);
    const auto ids = probe["ids"].get<std::vector<std::size_t>>();
    const auto logprobs = probe["logprobs"].get<std::vector<double>>();
    for (std::size_t i = 0; i < ids.size(); ++i)
      c.worst = std::max(c.worst, std::abs(logits.at(ids[i]) - total - logprobs[i]));
    c.top1_equal += static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin()) == ids[0];
    ++c.probes;
    spread += standard_deviation(logits);
  }
  for (std::size_t p = 0; p + 1 < tokens.size(); ++p)
    c.nll += log_sum_exp(trace.logits[p]) - trace.logits[p][static_cast<std::size_t>(tokens[p + 1])];
  // What all logits of a position share cancels out of a log-probability: their spread is the size that
  // counts.
  c.tolerance =
      logit_tolerance(config, tokens.size() + 64, spread / static_cast<double>(c.probes), c.probes * 20);
  return c;
}

GoldenLine float_line(const std::string& name, const Comparison& c) {
  const bool ok = c.worst <= c.tolerance && c.greedy_equal == c.greedy_compared && c.top1_equal == c.probes;
  return {.name = name + " (f32 activations)",
          .status = ok ? GoldenStatus::kPass : GoldenStatus::kFail,
          .detail = fmt::format(
              "max logprob error {:.1e} of {:.1e}, top-1 {}/{}, greedy {}/{} equal, NLL {:.5f}", c.worst,
              c.tolerance, c.top1_equal, c.probes, c.greedy_equal, c.greedy_compared, c.nll)};
}

// A path that rounds activations: its name, and the divergence that it may have.
struct RoundedPath {
  const char* name;
  Arithmetic arithmetic;
  double limit;
};
constexpr RoundedPath kRoundedPaths[] = {{"production", Arithmetic::kMixed, kMaxProbeDivergence},
                                         {"int16", Arithmetic::kInt16, kMaxInt16ProbeDivergence}};

struct Engines {
  std::unique_ptr<engine::Engine> exact, rounded[std::size(kRoundedPaths)];
};

GoldenLine rounded_line(const std::string& name, const RoundedPath& path, const Comparison& c, double nll,
                        double divergence) {
  return {
      .name = fmt::format("{} ({})", name, path.name),
      .status = divergence <= path.limit ? GoldenStatus::kPass : GoldenStatus::kFail,
      .detail = fmt::format(
          "KLD {:.1e} of {:.0e}, max logprob difference {:.2f}, top-1 {}/{}, greedy {} equal, NLL {:+.2f} %",
          divergence, path.limit, c.worst, c.top1_equal, c.probes, c.greedy_equal, 100 * (c.nll / nll - 1))};
}

double mean_divergence(const Json& recorded, const Trace& exact, const Trace& rounded) {
  double sum = 0;
  for (const Json& probe : recorded["probes"]) {
    const auto p = probe["position"].get<std::size_t>();
    sum += divergence(exact.logits.at(p), rounded.logits.at(p));
  }
  return sum / static_cast<double>(recorded["probes"].size());
}

Status check_file(const std::string& name, const Json& recorded, Engines& engines,
                  std::vector<GoldenLine>& lines) {
  const auto tokens = recorded["tokens"].get<std::vector<int>>();
  const std::size_t steps = recorded["greedy"]["tokens"].size();
  const model::ModelConfig& config = engines.exact->config();
  FOLIO_TRY(slow, run(*engines.exact, tokens, steps));
  Comparison reference = compare(recorded, slow, config, tokens);
  compare_greedy(recorded, slow, reference.tolerance, reference);
  lines.push_back(float_line(name, reference));
  for (std::size_t i = 0; i < std::size(kRoundedPaths); ++i) {
    FOLIO_TRY(fast, run(*engines.rounded[i], tokens, steps));
    Comparison c = compare(recorded, fast, config, tokens);
    compare_greedy(recorded, fast, 0, c);
    lines.push_back(rounded_line(name, kRoundedPaths[i], c, recorded["total_nll"].get<double>(),
                                 mean_divergence(recorded, slow, fast)));
  }
  return {};
}

Result<Engines> load_engines(const fs::path& model) {
  engine::EngineOptions options{
      .model = model.string(), .kv_type = kernels::KvType::kF32, .arithmetic = Arithmetic::kFloat};
  Engines engines;
  FOLIO_TRY(exact, engine::Engine::load(options));
  engines.exact = std::move(exact);
  for (std::size_t i = 0; i < std::size(kRoundedPaths); ++i) {
    options.arithmetic = kRoundedPaths[i].arithmetic;
    FOLIO_TRY(rounded, engine::Engine::load(options));
    engines.rounded[i] = std::move(rounded);
  }
  return engines;
}

}  // namespace

bool is_probe_folder(const fs::path& folder) {
  return std::ranges::any_of(json_files(folder), [](const fs::path& path) {
    return fs::file_size(path) < (std::uintmax_t{64} << 20) && has_probes(read_json(path));
  });
}

std::vector<GoldenLine> check_probes(const fs::path& folder, const fs::path& model, std::size_t longest) {
  const std::string name = folder.filename().string();
  if (model.empty() || !fs::exists(model) || !is_named_after(name, model.filename().string()))
    return {{.name = name,
             .status = GoldenStatus::kSkip,
             .detail = "needs the file of the model of that name: give it with --model"}};
  auto engines = load_engines(model);
  if (!engines) return {{.name = name, .status = GoldenStatus::kFail, .detail = engines.error().message}};

  std::vector<GoldenLine> lines;
  for (const fs::path& path : json_files(folder)) {
    const std::string entry = name + "/" + path.stem().string();
    try {
      const Json recorded = read_json(path);
      if (recorded.is_object() && recorded.contains("cases")) {
        GoldenLine line = check_tokenizer_file(path, model);
        line.name = entry;
        lines.push_back(line);
      }
      if (!has_probes(recorded)) continue;
      if (const std::size_t tokens = recorded["tokens"].size(); tokens > longest) {
        lines.push_back({.name = entry,
                         .status = GoldenStatus::kSkip,
                         .detail = fmt::format("{} tokens, more than --longest {}", tokens, longest)});
        continue;
      }
      if (const Status status = check_file(entry, recorded, *engines, lines); !status)
        lines.push_back({.name = entry, .status = GoldenStatus::kFail, .detail = status.error().message});
    } catch (const std::exception& e) {
      lines.push_back({.name = entry, .status = GoldenStatus::kFail, .detail = e.what()});
    }
  }
  return lines;
}

}  // namespace folio::golden
