#include "app/batch/response.h"

#include <charconv>
#include <ctime>
#include <expected>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/embedding_text.h"
#include "weights/json_text.h"

namespace folio::app {
namespace {

using api::Endpoint;

constexpr std::string_view kIdPrefix = "batch_req_";

// The first answer to the same prompt as the index-th.
const api::Answer& first_of(const BatchAnswer& answer, std::size_t index) {
  while (index > 0 && answer.choices[index - 1].prompt == answer.choices[index].prompt) --index;
  return answer.choices[index].answer;
}

std::string_view id_prefix(Endpoint endpoint) {
  if (endpoint == api::kEmbeddings) return "embd";
  return endpoint == api::kChat ? "chatcmpl" : "cmpl";
}

api::ResponseHead head_of(const BatchAnswer& answer) {
  const api::Request& request = answer.request.body.request;
  api::ResponseHead head{.endpoint = request.endpoint,
                         .id = fmt::format("{}-{}", id_prefix(request.endpoint), answer.line),
                         .model = request.model,
                         .created_s = std::time(nullptr),
                         .notes = request.notes};
  if (request.endpoint != api::kEmbeddings) head.seed = answer.choices.front().answer.stats.seed;
  return head;
}

// nullopt: a vector that is not finite.
std::optional<std::string> embeddings_body(const BatchAnswer& answer) {
  const api::Request& request = answer.request.body.request;
  std::vector<std::string> entries;
  for (const BatchChoice& choice : answer.choices) {
    const std::vector<float>& raw = choice.answer.embedding;
    auto entry = api::embedding_entry(
        choice.prompt, request.normalize == api::Normalize::kYes ? api::of_unit_length(raw) : raw,
        request.vector_format);
    if (!entry) return std::nullopt;
    entries.push_back(std::move(*entry));
  }
  return api::embedding_response(head_of(answer), entries, usage_of(answer));
}

std::string choices_body(const BatchAnswer& answer) {
  const api::PreparedRequest& body = answer.request.body;
  std::vector<api::ChoiceText> choices;
  for (std::size_t i = 0; i < answer.choices.size(); ++i)
    choices.push_back(api::whole_choice({.request = body.request,
                                         .prompt = body.prompts[answer.choices[i].prompt],
                                         .tokenizer = answer.tokenizer},
                                        i, answer.choices[i].answer, first_of(answer, i)));
  return api::whole_response(head_of(answer), choices, usage_of(answer));
}

// `response` and `error` are JSON.
std::string line_of(std::size_t line, const std::string& custom_id, std::string_view response,
                    std::string_view error) {
  return fmt::format(R"({{"id":"{}{}","custom_id":{},"response":{},"error":{}}})", kIdPrefix, line,
                     custom_id.empty() ? "null" : api::quoted(custom_id), response, error);
}

std::string failed(const BatchAnswer& answer, std::string message) {
  return format_batch_refusal(
      answer.line,
      {.custom_id = answer.request.custom_id, .code = "generation_failed", .message = std::move(message)});
}

}  // namespace

// A prompt counts once, however many answers it has.
api::Usage usage_of(const BatchAnswer& answer) {
  api::Usage usage;
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    const api::Answer& one = answer.choices[i].answer;
    usage.completion_tokens += one.stats.generated_tokens;
    if (&first_of(answer, i) != &one) continue;
    usage.prompt_tokens += one.stats.prompt_tokens;
    usage.cached_tokens += one.stats.cached_tokens;
  }
  return usage;
}

std::string format_batch_answer(const BatchAnswer& answer) {
  for (const BatchChoice& choice : answer.choices)
    if (choice.answer.stats.error) return failed(answer, choice.answer.stats.error->message);
  const bool vectors = answer.request.body.request.endpoint == api::kEmbeddings;
  const std::optional<std::string> body = vectors ? embeddings_body(answer) : choices_body(answer);
  if (!body) return failed(answer, "the model's vector is not finite");
  return line_of(answer.line, answer.request.custom_id,
                 fmt::format(R"({{"status_code":200,"request_id":"req_{}","body":{}}})", answer.line, *body),
                 "null");
}

std::string format_batch_refusal(std::size_t line, const BatchRefusal& refusal) {
  const api::Json error = {{"code", refusal.code},
                           {"message", fmt::format("line {}: {}", line, refusal.message)}};
  return line_of(line, refusal.custom_id, "null", api::to_text(error));
}

std::optional<BatchMark> read_batch_mark(std::string_view output_line) {
  // What comes after may be large, and says nothing here. Quotes inside a text are escaped, so this is the
  // key.
  const std::size_t head = output_line.find(",\"response\":");
  if (head == std::string_view::npos || !output_line.ends_with('}')) return std::nullopt;
  const auto parsed = weights::parse_json(std::string(output_line.substr(0, head)) + "}", "a result");
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const nlohmann::json& json = *parsed;
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
