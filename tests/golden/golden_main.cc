// folio-golden [--model FILE] [--except NAME]... DIR...
// Walks the folders, checks every set of reference results it recognises and prints one line per entry. Exit
// status: 0 all pass or are skipped with a reason, 1 something fails, 2 nothing to check or bad usage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "golden/dequant_golden.h"
#include "golden/model_golden.h"
#include "golden/probe_golden.h"
#include "golden/story_golden.h"
#include "golden/text_golden.h"

namespace {

namespace fs = std::filesystem;
using folio::golden::GoldenLine;
using folio::golden::GoldenStatus;

constexpr const char* kUsage =
    "usage: folio-golden [--model FILE] [--except NAME]... DIR...\n"
    "Checks every folder of reference results below the DIRs: models (prompt.json), block formats "
    "(TYPE.safetensors with\n"
    "blocks and values), tokenizers (*.cases.json, *.gguf.inp), chat templates (cases.jsonl), stories "
    "(golden.txt) and\n"
    "probabilities of a real model (probes; --model names its file, by default the default model).\n"
    "--except leaves out folders of that name.\n";

struct Options {
  fs::path model;
  std::vector<std::string> except;
  std::vector<fs::path> folders;
};

struct Counts {
  std::size_t pass = 0, fail = 0, skip = 0;
};

fs::path default_model() {
  const auto variable = [](const char* name) {
    return std::getenv(name) == nullptr ? std::string() : std::getenv(name);
  };
  fs::path home = variable("FOLIO_HOME");
  if (home.empty() && !variable("XDG_CACHE_HOME").empty())
    home = fs::path(variable("XDG_CACHE_HOME")) / "folio";
  if (home.empty()) home = fs::path(variable("HOME")) / ".cache" / "folio";
  return home / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

void print(const std::vector<GoldenLine>& lines, Counts& counts) {
  for (const GoldenLine& line : lines) {
    const char* word = "FAIL";
    if (line.status == GoldenStatus::kPass) word = "pass";
    if (line.status == GoldenStatus::kSkip) word = "skip";
    fmt::print("{}  {:<44} {}\n", word, line.name, line.detail);
    std::fflush(stdout);
    counts.pass += line.status == GoldenStatus::kPass;
    counts.fail += line.status == GoldenStatus::kFail;
    counts.skip += line.status == GoldenStatus::kSkip;
  }
}

void check(const fs::path& folder, const Options& options, Counts& counts) {
  using namespace folio::golden;
  if (std::ranges::find(options.except, folder.filename().string()) != options.except.end()) return;
  if (is_model_folder(folder)) print(check_model(folder), counts);
  if (is_dequant_folder(folder.string())) print(check_dequant(folder.string()), counts);
  if (has_tokenizers(folder)) print(check_tokenizers(folder), counts);
  if (has_templates(folder)) print(check_templates(folder), counts);
  if (is_story_folder(folder)) print(check_story(folder), counts);
  if (is_probe_folder(folder)) print(check_probes(folder, options.model), counts);
  std::vector<fs::path> inner;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) inner.push_back(entry.path());
  std::ranges::sort(inner);
  for (const fs::path& path : inner) check(path, options, counts);
}

}  // namespace

int main(int argc, char** argv) {
  Options options{.model = default_model(), .except = {}, .folders = {}};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool takes_value = argument == "--model" || argument == "--except";
    if (argument == "--help" || (takes_value && i + 1 == argc) ||
        (argument.starts_with("--") && !takes_value)) {
      fmt::print(argument == "--help" ? stdout : stderr, "{}", kUsage);
      return argument == "--help" ? 0 : 2;
    }
    if (argument == "--model")
      options.model = argv[++i];
    else if (argument == "--except")
      options.except.emplace_back(argv[++i]);
    else
      options.folders.emplace_back(fs::path(argument).lexically_normal());
  }
  Counts counts;
  for (fs::path folder : options.folders) {
    if (!folder.has_filename()) folder = folder.parent_path();
    if (!fs::is_directory(folder)) {
      fmt::print(stderr, "folio-golden: {} is not a folder\n", folder.string());
      return 2;
    }
    check(folder, options, counts);
  }
  if (counts.pass + counts.fail + counts.skip == 0) {
    fmt::print(stderr, "folio-golden: no reference results below the given folders\n");
    return 2;
  }
  fmt::print("{} passed, {} failed, {} skipped\n", counts.pass, counts.fail, counts.skip);
  return counts.fail == 0 ? 0 : 1;
}
