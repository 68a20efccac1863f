// folio-golden [--model FILE] [--except NAME]... [--longest N] DIR...
// folio-golden --kld TEXT [--tokens N] [--weights TYPE] [--kv TYPE] [--exact FILE] [--model FILE]
// Walks the folders, checks every set of reference results it recognises and prints one line per entry. Exit
// status: 0 all pass or are skipped with a reason, 1 something fails, 2 nothing to check or bad usage.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "golden/dequant_golden.h"
#include "golden/kld_golden.h"
#include "golden/model_golden.h"
#include "golden/probe_golden.h"
#include "golden/story_golden.h"
#include "golden/text_golden.h"

namespace {

namespace fs = std::filesystem;
using folio::golden::GoldenLine;
using folio::golden::GoldenStatus;

constexpr std::size_t kMostKldTokens = 1u << 20;
constexpr const char* kUsage =
    "usage: folio-golden [--model FILE] [--except NAME]... [--longest N] DIR...\n"
    "       folio-golden --kld TEXT [--tokens N] [--weights q8_0|q4_0] [--kv f32|f16|bf16]\n"
    "                    [--exact FILE] [--model FILE]\n"
    "Checks every folder of reference results below the DIRs: models (prompt.json), block formats "
    "(TYPE.safetensors with\n"
    "blocks and values), tokenizers (*.cases.json, *.gguf.inp), chat templates (cases.jsonl), stories "
    "(golden.txt) and\n"
    "probabilities of a real model (probes; --model names its file, by default the default model).\n"
    "--except leaves out folders of that name, --longest a real model's texts of more than N tokens.\n"
    "--kld prints what rounding activations costs the model on the first N (512) tokens of a text, --kv\n"
    "with keys and values of that type; --exact writes the logits with float activations to a file.\n";

struct Options {
  fs::path model;
  std::vector<std::string> except;
  std::size_t longest = std::numeric_limits<std::size_t>::max();  // tokens of a text
  std::vector<fs::path> folders;
  std::optional<folio::golden::KldOptions> kld;
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
  if (is_probe_folder(folder)) print(check_probes(folder, options.model, options.longest), counts);
  std::vector<fs::path> inner;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) inner.push_back(entry.path());
  std::ranges::sort(inner);
  for (const fs::path& path : inner) check(path, options, counts);
}

bool parse_count(const std::string& value, std::size_t& count) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  return error == std::errc() && end == value.data() + value.size();
}

bool is_kld_flag(std::string_view flag) {
  return flag == "--tokens" || flag == "--weights" || flag == "--kv" || flag == "--exact";
}

// The value of --tokens, --weights, --kv or --exact; false where it is none.
bool set_kld(folio::golden::KldOptions& kld, std::string_view flag, const std::string& value) {
  using folio::kernels::TensorType;
  if (flag == "--weights") {
    kld.weights = value == "q8_0" ? TensorType::kQ8_0 : TensorType::kQ4_0;
    return value == "q8_0" || value == "q4_0";
  }
  if (flag == "--exact") {
    kld.exact = value;
    return !value.empty();
  }
  if (flag == "--kv") {
    using folio::kernels::KvType;
    for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16}) {
      if (folio::kernels::name(type) != value) continue;
      kld.kv_type = type;
      return true;
    }
    return false;
  }
  return parse_count(value, kld.tokens) && kld.tokens >= 2 && kld.tokens <= kMostKldTokens;
}

// False: bad usage, or --help.
bool parse(std::span<char*> arguments, Options& options) {
  folio::golden::KldOptions kld;
  bool is_kld = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (!argument.starts_with("--")) {
      options.folders.emplace_back(fs::path(argument).lexically_normal());
      continue;
    }
    if (++i == arguments.size()) return false;
    const std::string value = arguments[i];
    if (argument == "--model")
      options.model = value;
    else if (argument == "--except")
      options.except.push_back(value);
    else if (argument == "--kld")
      kld.text = value;
    else if (argument == "--longest" && parse_count(value, options.longest))
      continue;
    else if (!is_kld_flag(argument) || !set_kld(kld, argument, value))
      return false;
    is_kld = is_kld || is_kld_flag(argument);
  }
  if (kld.text.empty()) return !is_kld;
  kld.model = options.model;
  options.kld = kld;
  return options.folders.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.model = default_model();
  const std::span arguments(argv + 1, argv + std::max(argc, 1));
  if (!parse(arguments, options)) {
    const bool help = std::ranges::find(arguments, std::string_view("--help")) != arguments.end();
    fmt::print(help ? stdout : stderr, "{}", kUsage);
    return help ? 0 : 2;
  }
  Counts counts;
  if (options.kld) print(folio::golden::check_divergence(*options.kld), counts);
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
