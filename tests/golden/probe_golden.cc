#include "golden/probe_golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
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

GoldenLine production_line(const std::string& name, const Comparison& c, double nll, double divergence) {
  return {
      .name = name + " (production)",
      .status = divergence <= kMaxProbeDivergence ? GoldenStatus::kPass : GoldenStatus::kFail,
      .detail = fmt::format(
          "KLD {:.1e} of {:.0e}, max logprob difference {:.2f}, top-1 {}/{}, greedy {} equal, NLL {:+.2f} %",
          divergence, kMaxProbeDivergence, c.worst, c.top1_equal, c.probes, c.greedy_equal,
          100 * (c.nll / nll - 1))};
}

Status check_file(const std::string& name, const Json& recorded, engine::Engine& exact,
                  engine::Engine& production, std::vector<GoldenLine>& lines) {
  const auto tokens = recorded["tokens"].get<std::vector<int>>();
  const std::size_t steps = recorded["greedy"]["tokens"].size();
  FOLIO_TRY(slow, run(exact, tokens, steps));
  FOLIO_TRY(fast, run(production, tokens, steps));
  const Comparison reference = compare(recorded, slow, exact.config(), tokens);
  Comparison c = compare(recorded, fast, exact.config(), tokens);
  c.greedy_equal = 0;
  compare_greedy(recorded, fast, 0, c);
  Comparison r = reference;
  compare_greedy(recorded, slow, reference.tolerance, r);
  double divergence_sum = 0;
  for (const Json& probe : recorded["probes"]) {
    const auto p = probe["position"].get<std::size_t>();
    divergence_sum += divergence(slow.logits.at(p), fast.logits.at(p));
  }
  lines.push_back(float_line(name, r));
  lines.push_back(production_line(name, c, recorded["total_nll"].get<double>(),
                                  divergence_sum / static_cast<double>(c.probes)));
  return {};
}

}  // namespace

bool is_probe_folder(const fs::path& folder) {
  return std::ranges::any_of(json_files(folder), [](const fs::path& path) {
    return fs::file_size(path) < (std::uintmax_t{64} << 20) && has_probes(read_json(path));
  });
}

std::vector<GoldenLine> check_probes(const fs::path& folder, const fs::path& model, std::size_t longest) {
  const std::string name = folder.filename().string();
  if (model.empty() || !fs::exists(model))
    return {{.name = name,
             .status = GoldenStatus::kSkip,
             .detail = "needs the model's file: give it with --model"}};
  engine::EngineOptions options{.model = model.string(), .kv_type = kernels::KvType::kF32};
  auto production = engine::Engine::load(options);
  options.arithmetic = Arithmetic::kFloat;
  auto exact = engine::Engine::load(options);
  if (!production || !exact)
    return {{.name = name,
             .status = GoldenStatus::kFail,
             .detail = (production ? exact : production).error().message}};

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
      if (const Status status = check_file(entry, recorded, **exact, **production, lines); !status)
        lines.push_back({.name = entry, .status = GoldenStatus::kFail, .detail = status.error().message});
    } catch (const std::exception& e) {
      lines.push_back({.name = entry, .status = GoldenStatus::kFail, .detail = e.what()});
    }
  }
  return lines;
}

}  // namespace folio::golden
