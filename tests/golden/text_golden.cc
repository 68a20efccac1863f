#include "golden/text_golden.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/gguf.h"
#include "weights/gguf_vocabulary.h"

namespace folio::golden {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using text::AddTokens;
using text::EncodeOptions;
using text::SpecialInput;
using text::SpecialText;
using text::Tokenizer;

constexpr std::size_t kMaxFileBytes = 1u << 30;
constexpr std::int64_t kTemplateNow = 1795350896;  // 2026-11-22 12:34:56, the clock of the recorded cases
constexpr std::string_view kInputSeparator = "\n__ggml_vocab_test__\n";

// ---- files ----

Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::kNotFound, "{}: cannot be opened", path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

Result<std::string> read_gzip(const fs::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return fail(ErrorKind::kNotFound, "{}: cannot be opened", path.string());
  std::string text;
  std::string buffer(1 << 16, '\0');
  int bytes = 0;
  while ((bytes = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0 &&
         text.size() < kMaxFileBytes) {
    text.append(buffer, 0, static_cast<std::size_t>(bytes));
  }
  const bool is_whole = gzclose(file) == Z_OK && bytes == 0;
  if (!is_whole) return fail(ErrorKind::kInvalid, "{}: not a whole gzip file", path.string());
  return text;
}

std::string optional_file(const fs::path& path) { return read_file(path).value_or(""); }

std::vector<fs::path> files_ending(const fs::path& folder, std::initializer_list<std::string_view> endings) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::any_of(endings, [&](std::string_view e) { return name.ends_with(e); }))
      found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

std::string without(std::string_view text, std::string_view ending) {
  return std::string(text.substr(0, text.size() - ending.size()));
}

std::string shown(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 120) text = text.substr(0, 120) + "...";
  return text;
}

// ---- tokenizers ----

// Counts comparisons and keeps the first difference.
struct Tally {
  int compared = 0;
  int different = 0;
  std::string first;

  void compare(std::string_view what, const Json& input, const Json& got, const Json& expected) {
    ++compared;
    if (got == expected) return;
    if (different++ == 0) {
      first = fmt::format("{} of {}: got {}, expected {}", what, shown(input), shown(got), shown(expected));
    }
  }
};

Json ids_of(const Tokenizer& tokenizer, const std::string& text, EncodeOptions options) {
  const auto tokens = tokenizer.encode(text, options);
  if (!tokens) return tokens.error().message;
  Json ids = Json::array();
  for (const TokenId id : *tokens) ids.push_back(raw(id));
  return ids;
}

std::vector<TokenId> tokens_of(const Json& ids) {
  std::vector<TokenId> tokens;
  for (const Json& id : ids) tokens.push_back(static_cast<TokenId>(id.get<std::int32_t>()));
  return tokens;
}

void check_case(const Tokenizer& tokenizer, const Json& one, bool is_sentencepiece, Tally& tally) {
  // SentencePiece itself never makes control tokens from text, and adds none: the model's settings do.
  const SpecialInput special = is_sentencepiece ? SpecialInput::kAsText : SpecialInput::kParse;
  const std::string text = one.at("text").get<std::string>();
  const Json& ids = one.contains("ids") ? one.at("ids") : one.at("tokens");
  const auto expected = [&](const char* key) -> const Json& { return one.contains(key) ? one.at(key) : ids; };
  tally.compare("ids", text, ids_of(tokenizer, text, {.special = special}), ids);
  if (one.contains("decoded")) {
    tally.compare("decoded", text, tokenizer.decode(tokens_of(ids), SpecialText::kKeep), one.at("decoded"));
    tally.compare("ids_plain", text, ids_of(tokenizer, text, {.special = SpecialInput::kAsText}),
                  expected("ids_plain"));
    if (is_sentencepiece && !one.contains("ids_added")) return;
    tally.compare("ids_added", text, ids_of(tokenizer, text, {.special = special, .add = AddTokens::kYes}),
                  expected("ids_added"));
  }
}

// Requires well-formed cases; throws nlohmann's exceptions otherwise.
void check_cases(const Tokenizer& tokenizer, const Json& file, Tally& tally) {
  const bool is_sentencepiece =
      file.contains("by") && file.at("by").get<std::string>().starts_with("sentencepiece");
  for (const Json& one : file.at("cases")) check_case(tokenizer, one, is_sentencepiece, tally);
}

void check_lines(const Tokenizer& tokenizer, std::string_view input, std::string_view output, Tally& tally) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const std::size_t end = input.find(kInputSeparator, at);
    texts.emplace_back(input.substr(at, end - at));
    at = end == std::string_view::npos ? end : end + kInputSeparator.size();
  }
  std::istringstream lines{std::string(output)};
  std::string line;
  std::size_t count = 0;
  for (; std::getline(lines, line); ++count) {
    Json ids = Json::array();
    std::istringstream numbers(line);
    for (int id = 0; numbers >> id;) ids.push_back(id);
    if (count < texts.size()) tally.compare(".out", texts[count], ids_of(tokenizer, texts[count], {}), ids);
  }
  // A last separator leaves an empty text that has no line.
  if (count != texts.size() && !(count + 1 == texts.size() && texts.back().empty())) {
    tally.compare(".out lines", Json(texts.size()), Json(count), Json(texts.size()));
  }
}

Result<Tokenizer> load_gguf(const fs::path& path) {
  FOLIO_TRY(model, weights::GgufModel::open(path.string()));
  FOLIO_TRY(vocabulary, weights::gguf_vocabulary(model.metadata));
  return Tokenizer::from_vocabulary(vocabulary);
}

Result<Tokenizer> load_hf(const fs::path& path, const fs::path& stem) {
  const bool is_gzip = path.extension() == ".gz";
  FOLIO_TRY(json, is_gzip ? read_gzip(path) : read_file(path));
  const std::string config = optional_file(stem.string() + ".tokenizer_config.json");
  const std::string generation = optional_file(stem.string() + ".generation_config.json");
  return Tokenizer::from_hf({.tokenizer = json, .tokenizer_config = config, .generation_config = generation});
}

GoldenLine line_of(std::string name, const Tally& tally) {
  if (tally.compared == 0) return {std::move(name), GoldenStatus::kSkip, "no expected encodings beside it"};
  if (tally.different == 0)
    return {std::move(name), GoldenStatus::kPass, fmt::format("{} equal", tally.compared)};
  return {std::move(name), GoldenStatus::kFail,
          fmt::format("{} of {} differ; {}", tally.different, tally.compared, tally.first)};
}

GoldenLine check_vocabulary(std::string name, const Result<Tokenizer>& tokenizer, const fs::path& cases,
                            const fs::path& input, const fs::path& output) {
  if (!tokenizer) return {std::move(name), GoldenStatus::kFail, tokenizer.error().message};
  Tally tally;
  if (fs::exists(cases)) {
    try {
      check_cases(*tokenizer, Json::parse(optional_file(cases)), tally);
    } catch (const nlohmann::json::exception& error) {
      return {std::move(name), GoldenStatus::kFail, fmt::format("{}: {}", cases.string(), error.what())};
    }
  }
  if (fs::exists(input) && fs::exists(output)) {
    check_lines(*tokenizer, optional_file(input), optional_file(output), tally);
  }
  return line_of(std::move(name), tally);
}

// ---- templates ----

struct TemplateTally {
  int texts = 0, raised = 0, runtime = 0, python = 0, python_equal = 0, different = 0;
  std::string first;

  void differ(const Json& one, std::string_view got) {
    if (different++ > 0) return;
    const Json& expected = one.contains("expected") ? one.at("expected") : one.at("error");
    const std::string wanted = expected.get<std::string>();
    const auto at = std::ranges::mismatch(wanted, got).in1 - wanted.begin();
    const auto from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at - 20));
    const std::string_view rest = from < got.size() ? got.substr(from, 100) : std::string_view();
    first = fmt::format("{} at byte {}: got {}, expected {}", shown(one.at("case")), at, shown(rest),
                        shown(wanted.substr(std::min(from, wanted.size()), 100)));
  }
};

std::string text_or_empty(const Json& one, const char* key) {
  return one.contains(key) ? one.at(key).dump(-1, ' ', false, Json::error_handler_t::replace) : std::string();
}

void check_template_case(const text::ChatTemplate& chat_template, const Json& one, TemplateTally& tally) {
  const auto got = chat_template.render({.messages_json = text_or_empty(one, "messages"),
                                         .tools_json = text_or_empty(one, "tools"),
                                         .documents_json = text_or_empty(one, "documents"),
                                         .kwargs_json = text_or_empty(one, "kwargs"),
                                         .now_unix_s = kTemplateNow});
  const std::string_view text = got ? std::string_view(*got) : std::string_view(got.error().message);
  if (one.contains("expected")) {
    const bool is_equal = got && *got == one.at("expected").get<std::string>();
    if (one.value("python_text", false)) {  // Python's own spelling: counted, not demanded
      ++tally.python;
      tally.python_equal += is_equal;
      return;
    }
    ++tally.texts;
    if (!is_equal) tally.differ(one, text);
  } else if (one.at("error_kind") == "raised") {
    ++tally.raised;
    const bool is_equal =
        !got && got.error().kind == ErrorKind::kInvalid && text == one.at("error").get<std::string>();
    if (!is_equal) tally.differ(one, text);
  } else {
    ++tally.runtime;  // the message is another engine's; not to crash is all
  }
}

GoldenLine check_template(const std::string& name, const fs::path& folder, const std::vector<Json>& cases) {
  const auto source = read_file(folder / (name + ".jinja"));
  if (!source) return {name, GoldenStatus::kFail, source.error().message};
  const auto chat_template = text::ChatTemplate::compile(*source, {});
  if (!chat_template) return {name, GoldenStatus::kFail, chat_template.error().message};
  TemplateTally tally;
  try {
    for (const Json& one : cases) check_template_case(*chat_template, one, tally);
  } catch (const nlohmann::json::exception& error) {
    return {name, GoldenStatus::kFail, fmt::format("cases.jsonl: {}", error.what())};
  }
  std::string detail =
      fmt::format("{} texts, {} raised, {} runtime errors", tally.texts, tally.raised, tally.runtime);
  if (tally.python > 0)
    detail += fmt::format(", {} of {} in Python's spelling", tally.python_equal, tally.python);
  if (tally.different == 0) return {name, GoldenStatus::kPass, detail};
  return {name, GoldenStatus::kFail, fmt::format("{}: {} differ; {}", detail, tally.different, tally.first)};
}

}  // namespace

bool has_tokenizers(const fs::path& folder) {
  return !files_ending(folder, {".cases.json", ".gguf.inp"}).empty();
}

bool has_templates(const fs::path& folder) { return fs::exists(folder / "cases.jsonl"); }

std::vector<GoldenLine> check_tokenizers(const fs::path& folder) {
  std::vector<GoldenLine> lines;
  for (const fs::path& path : files_ending(folder, {".gguf", ".tokenizer.json", ".tokenizer.json.gz"})) {
    const std::string file = path.filename().string();
    const bool is_gguf = file.ends_with(".gguf");
    const std::string name = is_gguf ? without(file, ".gguf") : file.substr(0, file.find(".tokenizer.json"));
    const fs::path stem = folder / name;
    const auto tokenizer = is_gguf ? load_gguf(path) : load_hf(path, stem);
    lines.push_back(check_vocabulary(name, tokenizer, stem.string() + ".cases.json", path.string() + ".inp",
                                     path.string() + ".out"));
  }
  return lines;
}

GoldenLine check_tokenizer_file(const fs::path& cases, const fs::path& gguf) {
  return check_vocabulary(cases.parent_path().filename().string() + "/" + cases.filename().string(),
                          load_gguf(gguf), cases, "", "");
}

std::vector<GoldenLine> check_templates(const fs::path& folder) {
  std::ifstream file(folder / "cases.jsonl");
  if (!file)
    return {{"cases.jsonl", GoldenStatus::kFail, fmt::format("{}: cannot be opened", folder.string())}};
  std::map<std::string, std::vector<Json>> cases;  // by template
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    Json one = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!one.is_object() || !one.contains("template") || !one["template"].is_string()) {
      return {{"cases.jsonl", GoldenStatus::kFail,
               fmt::format("{}: line {} is not a case", folder.string(), number)}};
    }
    std::string name = one["template"].get<std::string>();
    if (name.ends_with(".jinja")) name = without(name, ".jinja");
    cases[name].push_back(std::move(one));
  }
  for (const fs::path& path : files_ending(folder, {".jinja"})) cases.try_emplace(path.stem().string());
  std::vector<GoldenLine> lines;
  for (const auto& [name, list] : cases) lines.push_back(check_template(name, folder, list));
  return lines;
}

}  // namespace folio::golden
