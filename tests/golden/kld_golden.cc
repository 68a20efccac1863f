#include "golden/kld_golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>

#include "golden/generate.h"
#include "golden/model_golden.h"

namespace folio::golden {
namespace {

using kernels::Arithmetic;

// More text than any number of tokens that is asked for needs: a token of text is a few bytes.
constexpr std::size_t kBytesPerToken = 16;

struct Path {
  std::string_view name;
  Arithmetic arithmetic;
  std::optional<kernels::TensorType> weights;
  std::optional<double> limit;  // of the mean divergence
};

struct Sums {
  double divergence = 0, largest = 0, nll = 0, exact_nll = 0;
  std::size_t positions = 0, top1_equal = 0;
};

Result<std::unique_ptr<engine::Engine>> load(const KldOptions& options, Arithmetic arithmetic,
                                             std::optional<kernels::TensorType> weights) {
  engine::EngineOptions engine;
  engine.model = options.model.string();
  engine.kv_type = arithmetic == Arithmetic::kFloat ? kernels::KvType::kF32 : options.kv_type;
  engine.context_tokens = kKldSequence + 1;
  engine.arithmetic = arithmetic;
  engine.quantize = weights;
  return engine::Engine::load(engine);
}

Result<std::vector<int>> tokens_of(const KldOptions& options, const engine::Engine& engine) {
  std::ifstream file(options.text, std::ios::binary);
  if (!file) return fail(ErrorKind::kNotFound, "{}: cannot be opened", options.text.string());
  std::string text(options.tokens * kBytesPerToken, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  FOLIO_TRY(encoded, engine.tokenizer().encode(text, {.special = text::SpecialInput::kAsText}));
  if (encoded.size() < options.tokens)
    return fail(ErrorKind::kInvalid, "{}: has {} tokens, not {}; ask for fewer with --tokens",
                options.text.string(), encoded.size(), options.tokens);
  std::vector<int> ids;
  for (TokenId id : std::span(encoded).first(options.tokens)) ids.push_back(raw(id));
  return ids;
}

std::size_t most_probable(std::span<const float> logits) {
  return static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin());
}

void compare(std::span<const int> tokens, const Trace& exact, const Trace& rounded, Sums& sums) {
  for (std::size_t p = 0; p + 1 < tokens.size(); ++p) {
    const std::vector<float>&a = exact.logits[p], &b = rounded.logits[p];
    const auto next = static_cast<std::size_t>(tokens[p + 1]);
    const double d = divergence(a, b);
    sums.divergence += d;
    sums.largest = d <= sums.largest ? sums.largest : d;  // NaN becomes the largest
    sums.exact_nll += log_sum_exp(a) - a[next];
    sums.nll += log_sum_exp(b) - b[next];
    sums.top1_equal += most_probable(a) == most_probable(b);
    ++sums.positions;
  }
}

// Writes what KldOptions::exact describes, piece by piece; to nowhere without a path.
class ExactFile {
 public:
  ExactFile(const std::filesystem::path& path, std::span<const int> tokens) : path_(path), tokens_(tokens) {
    if (!path_.empty()) file_.open(path_, std::ios::binary | std::ios::trunc);
  }

  void add(const Trace& sequence) {
    if (path_.empty()) return;
    if (begin_) {
      const int header[] = {static_cast<int>(sequence.logits.front().size()),
                            static_cast<int>(tokens_.size()), static_cast<int>(kKldSequence)};
      write(std::span<const int>(header));
      write(tokens_);
    }
    begin_ = false;
    for (const std::vector<float>& logits : sequence.logits) write(std::span<const float>(logits));
  }

  Status close() {
    if (path_.empty()) return {};
    file_.close();
    if (file_) return {};
    return fail(ErrorKind::kIo, "{}: the exact logits could not be written", path_.string());
  }

 private:
  template <typename T>
  void write(std::span<const T> values) {
    file_.write(reinterpret_cast<const char*>(values.data()),
                static_cast<std::streamsize>(values.size_bytes()));
  }

  std::filesystem::path path_;
  std::span<const int> tokens_;
  std::ofstream file_;
  bool begin_ = true;
};

GoldenLine line_of(const Path& path, const Sums& sums) {
  const double n = static_cast<double>(sums.positions), mean = sums.divergence / n;
  const bool pass = !path.limit || mean <= *path.limit;
  return {
      .name = std::string(path.name),
      .status = pass ? GoldenStatus::kPass : GoldenStatus::kFail,
      .detail = fmt::format(
          "KLD mean {:.2e}, largest {:.1e}; top-1 {}/{} equal; perplexity {:.4f} for {:.4f}{}", mean,
          sums.largest, sums.top1_equal, sums.positions, std::exp(sums.nll / n), std::exp(sums.exact_nll / n),
          pass ? "" : fmt::format("; the mean may be {:.0e}", *path.limit))};
}

// Every path against float32 activations with weights turned into `weights`.
Result<std::vector<GoldenLine>> check_against(const KldOptions& options,
                                              std::optional<kernels::TensorType> weights,
                                              std::span<const Path> paths,
                                              const std::filesystem::path& exact_to = {}) {
  FOLIO_TRY(exact, load(options, Arithmetic::kFloat, weights));
  FOLIO_TRY(tokens, tokens_of(options, *exact));
  std::vector<std::unique_ptr<engine::Engine>> engines;
  for (const Path& path : paths) {
    FOLIO_TRY(engine, load(options, path.arithmetic, path.weights));
    engines.push_back(std::move(engine));
  }
  std::vector<Sums> sums(paths.size());
  ExactFile exact_file(exact_to, tokens);
  for (std::size_t first = 0; first < tokens.size(); first += kKldSequence) {
    const std::span sequence =
        std::span(tokens).subspan(first, std::min(kKldSequence, tokens.size() - first));
    FOLIO_TRY(expected, run(*exact, sequence, 0));
    exact_file.add(expected);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      FOLIO_TRY(rounded, run(*engines[i], sequence, 0));
      compare(sequence, expected, rounded, sums[i]);
    }
  }
  FOLIO_TRY_STATUS(exact_file.close());
  std::vector<GoldenLine> lines;
  for (std::size_t i = 0; i < paths.size(); ++i) lines.push_back(line_of(paths[i], sums[i]));
  return lines;
}

}  // namespace

std::vector<GoldenLine> check_divergence(const KldOptions& options) {
  const std::string name = options.model.filename().string();
  const Path rounded[] = {{"mixed activations", Arithmetic::kMixed, options.weights, kMaxDivergence},
                          {"int16 activations", Arithmetic::kInt16, options.weights, kMaxInt16Divergence}};
  auto lines = check_against(options, options.weights, rounded, options.exact);
  if (lines && options.weights) {
    const Path turned[] = {{"weights turned", Arithmetic::kFloat, options.weights, {}}};
    if (auto more = check_against(options, {}, turned))
      lines->insert(lines->end(), more->begin(), more->end());
    else
      lines = std::move(more);
  }
  if (!lines) return {{.name = name, .status = GoldenStatus::kFail, .detail = lines.error().message}};
  return *lines;
}

}  // namespace folio::golden
