#include "app/serve/vllm_spelling.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxKeys = 32;  // of one dotted name

struct ShortName {
  std::string_view brief, name;
};
constexpr ShortName kShortNames[] = {
    {"-tp", "tensor-parallel-size"},
    {"-pp", "pipeline-parallel-size"},
    {"-dp", "data-parallel-size"},
    {"-dcp", "decode-context-parallel-size"},
    {"-pcp", "prefill-context-parallel-size"},
    {"-ep", "enable-expert-parallel"},
    {"-n", "nnodes"},
    {"-r", "node-rank"},
    {"-dpn", "data-parallel-rank"},
    {"-dpr", "data-parallel-start-rank"},
    {"-dpl", "data-parallel-size-local"},
    {"-dpa", "data-parallel-address"},
    {"-dpp", "data-parallel-rpc-port"},
    {"-dpb", "data-parallel-backend"},
    {"-dph", "data-parallel-hybrid-lb"},
    {"-dpe", "data-parallel-external-lb"},
    {"-sc", "speculative-config"},
    {"-cc", "compilation-config"},
    {"-ac", "attention-config"},
    {"-asc", "api-server-count"},
    {"-q", "quantization"},
};

// "-tp=2" -> "--tensor-parallel-size=2"; nullopt: none of vLLM's.
std::optional<std::string> long_form(std::string_view word) {
  const std::string_view key = word.substr(0, std::min(word.find_first_of("=."), word.size()));
  const std::string rest(word.substr(key.size()));
  for (const ShortName& one : kShortNames)
    if (one.brief == key) return fmt::format("--{}{}", one.name, rest);
  if (!word.starts_with("-O")) return std::nullopt;
  if (key == "-O") return (rest.starts_with('.') ? "--compilation-config" : "--optimization-level") + rest;
  return fmt::format("--optimization-level={}", word.substr(2));
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  for (const Flag& flag : flags)
    if (flag.is_called(name)) return &flag;
  return nullptr;
}

void merge(Json& into, const Json& more) {
  if (into.is_array() && more.is_array()) {
    into.insert(into.end(), more.begin(), more.end());
  } else if (into.is_object() && more.is_object()) {
    for (const auto& [key, value] : more.items()) {
      if (into.contains(key))
        merge(into[key], value);
      else
        into[key] = value;
    }
  } else {
    into = more;
  }
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool is_long(std::string_view word) { return word.size() > 2 && word.starts_with("--"); }

}  // namespace

std::string with_dashes(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(),
               text.begin() + static_cast<std::ptrdiff_t>(std::min(text.find('.'), text.size())), '_', '-');
  return text;
}

std::string json_of_part(std::string_view name, std::string_view value) {
  const bool appends = name.ends_with('+');
  if (appends) name.remove_suffix(1);
  Json json = Json::parse(value, nullptr, false);
  if (appends) {
    json = Json::array();
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t end = std::min(value.find(',', at), value.size());
      json.push_back(value.substr(at, end - at));
      at = end + 1;
    }
  } else if (json.is_discarded()) {
    json = value;
  }
  while (name.find('.') != std::string_view::npos) {
    const std::size_t dot = name.rfind('.');
    json = Json{{std::string(name.substr(dot + 1)), std::move(json)}};
    name = name.substr(0, dot);
  }
  return dump(json);
}

Result<std::string> merge_json(std::string_view flag, std::span<const std::string> texts) {
  if (texts.size() == 1) return texts.front();
  Json all;
  for (const std::string& text : texts) {
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded())
      return fail(ErrorKind::kInvalid, "--{} takes JSON, and '{}' is none", flag, text);
    merge(all, json);
  }
  return dump(all);
}

Result<std::vector<std::string>> plain_spelling(std::span<const std::string> words,
                                                std::span<const Flag> flags) {
  std::vector<std::string> plain;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = long_form(words[i]).value_or(words[i]);
    if (word == "--") {
      plain.insert(plain.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    if (!is_long(word)) {
      plain.push_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = with_dashes(std::string_view(word).substr(2, std::min(equals, word.size()) - 2));
    const std::size_t dot = name.find('.');
    const Flag* flag = find_flag(flags, name.substr(0, dot));
    const bool takes_value = flag != nullptr && flag->takes_value();
    const bool value_follows = equals == std::string::npos && i + 1 < words.size();
    if (flag == nullptr || dot == std::string::npos) {
      plain.push_back(fmt::format("--{}{}", name, equals == std::string::npos ? "" : word.substr(equals)));
      if (takes_value && value_follows) plain.push_back(words[++i]);
      continue;
    }
    if (flag->takes != Takes::kJson)
      return fail(ErrorKind::kInvalid, "--{}: --{} takes no JSON, so it has no part '{}'", name, flag->name(),
                  name.substr(dot + 1));
    if (static_cast<std::size_t>(std::ranges::count(name, '.')) > kMaxKeys)
      return fail(ErrorKind::kInvalid, "--{}... has more than {} keys", name.substr(0, dot), kMaxKeys);
    if (equals == std::string::npos && !value_follows)
      return fail(ErrorKind::kInvalid, "--{} is to be followed by a value", name);
    plain.push_back(fmt::format("--{}", flag->name()));
    plain.push_back(json_of_part(name, value_follows ? words[++i] : word.substr(equals + 1)));
  }
  return plain;
}

}  // namespace folio::app
