#include "app/batch_response.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kIdPrefix = "batch_req_";

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // model text is repaired UTF-8 already
}

const char* finish_name(const engine::Delta& all) {
  const auto finish = all.finish.value_or(engine::FinishReason::kError);
  return finish == engine::FinishReason::kStop     ? "stop"
         : finish == engine::FinishReason::kLength ? "length"
                                                   : "error";
}

Json token_json(const engine::Engine& engine, const sampling::TokenLogprob& entry) {
  const std::string bytes = engine.tokenizer().decode(std::span(&entry.token, 1), text::SpecialText::kKeep);
  Json list = Json::array();
  for (char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return {{"token", bytes},
          {"token_id", raw(entry.token)},
          {"logprob", entry.logprob},
          {"bytes", std::move(list)}};
}

// As in chat completions; plain completions get the same, which says more than their own form.
Json logprobs_json(const engine::Engine& engine, const std::vector<sampling::Logprobs>& all) {
  Json content = Json::array();
  for (const sampling::Logprobs& position : all) {
    Json entry = token_json(engine, position.chosen);
    entry["top_logprobs"] = Json::array();
    for (const sampling::TokenLogprob& other : position.top)
      entry["top_logprobs"].push_back(token_json(engine, other));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}};
}

Json choice_json(const BatchAnswer& answer, std::size_t index) {
  const engine::Delta& all = answer.choices[index].all;
  Json json{{"index", index}};
  if (answer.request.endpoint == BatchEndpoint::kChat) {
    json["message"] = {{"role", "assistant"}, {"content", all.text}};
  } else {
    json["text"] = all.text;
  }
  const bool wanted = answer.request.request.logprobs.has_value();
  json["logprobs"] = wanted ? logprobs_json(answer.engine, all.logprobs) : Json(nullptr);
  if (answer.request.request.prompt_logprobs && index == 0)
    json["prompt_logprobs"] = logprobs_json(answer.engine, all.prompt_logprobs);
  json["finish_reason"] = finish_name(all);
  return json;
}

Json body_json(const BatchAnswer& answer) {
  const engine::GenerationStats& first = answer.choices.front().stats;
  std::size_t generated = 0;
  Json choices = Json::array();
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    choices.push_back(choice_json(answer, i));
    generated += answer.choices[i].stats.generated_tokens;
  }
  const bool chat = answer.request.endpoint == BatchEndpoint::kChat;
  return {{"id", fmt::format("{}-{}", chat ? "chatcmpl" : "cmpl", answer.line)},
          {"object", chat ? "chat.completion" : "text_completion"},
          {"model", answer.request.model},
          {"choices", std::move(choices)},
          {"usage",
           {{"prompt_tokens", first.prompt_tokens},
            {"completion_tokens", generated},
            {"total_tokens", first.prompt_tokens + generated},
            {"prompt_tokens_details", {{"cached_tokens", first.cached_tokens}}}}},
          {"seed", first.seed}};
}

std::string line_of(std::size_t line, const std::string& custom_id, Json response, Json error) {
  return dump({{"id", fmt::format("{}{}", kIdPrefix, line)},
               {"custom_id", custom_id.empty() ? Json(nullptr) : Json(custom_id)},
               {"response", std::move(response)},
               {"error", std::move(error)}});
}

}  // namespace

std::string format_batch_answer(const BatchAnswer& answer) {
  for (const BatchChoice& choice : answer.choices)
    if (choice.stats.error)
      return format_batch_refusal(answer.line, {.custom_id = answer.request.custom_id,
                                                .code = "generation_failed",
                                                .message = choice.stats.error->message});
  return line_of(
      answer.line, answer.request.custom_id,
      {{"status_code", 200}, {"request_id", fmt::format("req_{}", answer.line)}, {"body", body_json(answer)}},
      nullptr);
}

std::string format_batch_refusal(std::size_t line, const BatchRefusal& refusal) {
  return line_of(line, refusal.custom_id, nullptr,
                 {{"code", refusal.code}, {"message", fmt::format("line {}: {}", line, refusal.message)}});
}

std::optional<BatchMark> read_batch_mark(std::string_view output_line) {
  const Json json = Json::parse(output_line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto id = json.find("id"), custom_id = json.find("custom_id");
  if (id == json.end() || !id->is_string() || custom_id == json.end()) return std::nullopt;
  const auto& text = id->get_ref<const std::string&>();
  BatchMark mark{.line = 0,
                 .custom_id = custom_id->is_string() ? custom_id->get<std::string>() : std::string()};
  if (!text.starts_with(kIdPrefix)) return std::nullopt;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kIdPrefix.size(), end, mark.line);
  if (error != std::errc() || stop != end || mark.line == 0) return std::nullopt;
  return mark;
}

}  // namespace folio::app
