#include "golden/story_golden.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "golden/generate.h"
#include "text/tokenizer.h"

namespace folio::golden {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::path first_gguf(const fs::path& folder) {
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().extension() == ".gguf") return file.path();
  return {};
}

// Generates until the case's length or the end token, which `ids` leaves out.
GoldenLine check_case(engine::Engine& engine, const std::string& name, const Json& entry) {
  GoldenLine line{.name = name, .status = GoldenStatus::kFail, .detail = {}};
  const auto prompt = entry["prompt_ids"].get<std::vector<int>>();
  const auto expected = entry["ids"].get<std::vector<int>>();
  auto trace = run(engine, prompt, expected.size(), prompt.size());
  if (!trace) {
    line.detail = trace.error().message;
    return line;
  }
  std::size_t equal = 0;
  while (equal < expected.size() && equal < trace->tokens.size() && trace->tokens[equal] == expected[equal])
    ++equal;
  std::vector<TokenId> ids;
  for (int id : prompt) ids.push_back(TokenId{id});
  const std::size_t shown = engine.tokenizer().decode(ids, text::SpecialText::kSkip).size();
  for (int id : trace->tokens) ids.push_back(TokenId{id});
  const std::string text = engine.tokenizer().decode(ids, text::SpecialText::kSkip).substr(shown);
  const std::string wanted = entry["text"].get<std::string>();
  const bool same_text = text == wanted || " " + text == wanted || text == " " + wanted;
  line.status = equal == expected.size() && same_text ? GoldenStatus::kPass : GoldenStatus::kFail;
  line.detail =
      fmt::format("{}/{} tokens equal, text {}", equal, expected.size(), same_text ? "equal" : "different");
  return line;
}

}  // namespace

bool is_story_folder(const fs::path& folder) {
  return fs::exists(folder / "golden.txt") && fs::exists(folder / "golden.json");
}

std::vector<GoldenLine> check_story(const fs::path& folder) {
  const std::string name = folder.filename().string();
  std::vector<GoldenLine> lines;
  auto engine =
      engine::Engine::load({.model = first_gguf(folder).string(), .kv_type = kernels::KvType::kF32});
  if (!engine) return {{.name = name, .status = GoldenStatus::kFail, .detail = engine.error().message}};
  try {
    const Json golden = Json::parse(read_text(folder / "golden.json"));
    std::size_t index = 0;
    for (const Json& entry : golden["cases"])
      lines.push_back(check_case(**engine, fmt::format("{} case {}", name, index++), entry));
    const bool same = golden["cases"].at(0)["text"] == read_text(folder / "golden.txt");
    lines.push_back({.name = name + " golden.txt",
                     .status = same && lines.front().status == GoldenStatus::kPass ? GoldenStatus::kPass
                                                                                   : GoldenStatus::kFail,
                     .detail = same ? "is the text of case 0" : "is not the text of case 0"});
  } catch (const std::exception& e) {
    lines.push_back({.name = name, .status = GoldenStatus::kFail, .detail = e.what()});
  }
  return lines;
}

}  // namespace folio::golden
