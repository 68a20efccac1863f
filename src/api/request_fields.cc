// Every field that folio takes: its name, where, its schema, and how it is read.
#include <limits>

#include "api/field_values.h"
#include "api/request.h"

namespace folio::api {
namespace {

constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxTokenList = std::size_t{1} << 18;  // the largest vocabularies

using Done = Checked<void>;

// A number into a member of the sampling parameters; the range is inclusive.
template <auto Member>
Done sampling_number(const Json& value, std::string_view name, Reading& reading, double first, double last) {
  FOLIO_ASK(number, read_number(value, name, first, last));
  reading.request.sampling.*Member = static_cast<float>(number);
  return {};
}

template <auto Member>
Done flag(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(is_set, read_flag(value, name));
  reading.request.*Member = is_set;
  return {};
}

// A text of at most kMaxNameBytes that is not empty.
template <auto Member>
Done short_text(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(text, read_text(value, name));
  if (text.empty() || text.size() > kMaxNameBytes)
    return refuse_field(name, "takes a text of 1 to {} bytes, not of {}", kMaxNameBytes, text.size());
  reading.request.*Member = std::move(text);
  return {};
}

Done temperature(const Json& value, std::string_view name, Reading& reading) {
  return sampling_number<&sampling::SamplingParams::temperature>(value, name, reading, 0, 1000);
}
Done top_p(const Json& value, std::string_view name, Reading& reading) {
  if (value.is_number() && value.get<double>() == 0)
    return refuse_field(name, "takes a number above 0 and at most 1, not 0; temperature 0 is greedy");
  return sampling_number<&sampling::SamplingParams::top_p>(value, name, reading, 1e-30, 1);
}
Done min_p(const Json& value, std::string_view name, Reading& reading) {
  return sampling_number<&sampling::SamplingParams::min_p>(value, name, reading, 0, 1);
}
Done repetition_penalty(const Json& value, std::string_view name, Reading& reading) {
  return sampling_number<&sampling::SamplingParams::repetition_penalty>(value, name, reading, 0.001, 1000);
}
Done frequency_penalty(const Json& value, std::string_view name, Reading& reading) {
  return sampling_number<&sampling::SamplingParams::frequency_penalty>(value, name, reading, -2, 2);
}
Done presence_penalty(const Json& value, std::string_view name, Reading& reading) {
  return sampling_number<&sampling::SamplingParams::presence_penalty>(value, name, reading, -2, 2);
}
Done top_k(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, read_whole(value, name, -1, kMaxTokens));
  reading.request.sampling.top_k = static_cast<std::int32_t>(count);
  return {};
}

// Any 64 bits: clients draw seeds as signed and as unsigned numbers. -1 asks for one to be drawn.
Done seed(const Json& value, std::string_view name, Reading& reading) {
  if (value.is_number_unsigned()) {
    reading.request.seed = value.get<std::uint64_t>();
    return {};
  }
  FOLIO_ASK(number, read_whole(value, name, std::numeric_limits<std::int64_t>::min(),
                               std::numeric_limits<std::int64_t>::max()));
  if (number != -1) reading.request.seed = static_cast<std::uint64_t>(number);
  return {};
}

// -1: what the context leaves.
Checked<std::size_t> token_limit(const Json& value, std::string_view name, Endpoint endpoint) {
  FOLIO_ASK(count, read_whole(value, name, -1, kMaxTokens));
  if (count == -1) return kWholeContext;
  if (count == 0 && endpoint != kCompletions)
    return refuse_field(name, "takes a whole number from 1 on, or -1 for what the context leaves, not 0");
  return static_cast<std::size_t>(count);
}

Done max_tokens(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(tokens, token_limit(value, name, reading.request.endpoint));
  reading.request.max_tokens = tokens;
  return {};
}

Done max_completion_tokens(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(tokens, token_limit(value, name, reading.request.endpoint));
  reading.max_completion_tokens = tokens;
  return {};
}

Done choices(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, read_whole(value, name, 1, static_cast<std::int64_t>(engine::kMaxChoices)));
  reading.request.n = static_cast<std::size_t>(count);
  return {};
}

// How many of the most likely tokens; whether the server gives so many is for prepare_request() to say.
Checked<std::uint32_t> logprob_count(const Json& value, std::string_view name) {
  FOLIO_ASK(count, read_whole(value, name, -1, kMaxTokens));
  return count < 0 ? kAllLogprobs : static_cast<std::uint32_t>(count);
}

// true and top_logprobs in a chat, a number in a completion.
Done logprobs(const Json& value, std::string_view name, Reading& reading) {
  if (reading.request.endpoint == kCompletions) {
    if (value == false) return {};
    FOLIO_ASK(count, logprob_count(value, name));
    reading.request.logprobs = count;
    return {};
  }
  FOLIO_ASK(is_set, read_flag(value, name));
  if (is_set) reading.request.logprobs = 0;
  return {};
}

Done length_penalty(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(number, read_number(value, name, -10, 10));
  reading.request.length_penalty = number;
  return {};
}

template <auto Member>
Done logprobs_of(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, logprob_count(value, name));
  reading.request.*Member = count;
  return {};
}

Done token_names(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(is_set, read_flag(value, name));
  reading.request.token_names = is_set ? TokenNames::kIds : TokenNames::kTexts;
  return {};
}

Done logit_bias(const Json& value, std::string_view name, Reading& reading) {
  if (!value.is_object() || value.size() > sampling::kMaxLogitBiases)
    return refuse_field(name, "takes an object of at most {} token ids, not {}", sampling::kMaxLogitBiases,
                        shown(value));
  std::vector<sampling::LogitBias> biases;
  for (const auto& [key, entry] : value.items()) {
    const bool is_id =
        !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    if (!is_id) return refuse_field(name, "takes token ids as keys, not {}", shown(Json(key)));
    FOLIO_ASK(bias, read_number(entry, name, -100, 100));
    biases.push_back(
        {.token = TokenId{static_cast<std::int32_t>(std::stol(key))}, .bias = static_cast<float>(bias)});
  }
  reading.request.sampling.logit_bias = std::move(biases);
  return {};
}

template <auto Member>
Done tokens(const Json& value, std::string_view name, Reading& reading) {
  if (value.is_array() && value.size() > kMaxTokenList)
    return refuse_field(name, "takes at most {} token ids, not {}", kMaxTokenList, value.size());
  FOLIO_ASK(ids, read_tokens(value, name));
  reading.request.sampling.*Member = std::move(ids);
  return {};
}

Done min_tokens(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, read_whole(value, name, 0, kMaxTokens));
  reading.request.sampling.min_tokens = static_cast<std::size_t>(count);
  return {};
}

Done bad_words(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(texts,
            read_texts(value, name,
                       {.most = sampling::kMaxBadWords / 2, .most_bytes = sampling::kMaxBadWordTokens}));
  reading.request.bad_words = std::move(texts);
  return {};
}

Done priority(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(rank, read_whole(value, name, std::numeric_limits<std::int32_t>::min(),
                             std::numeric_limits<std::int32_t>::max()));
  reading.request.priority = static_cast<std::int32_t>(rank);
  return {};
}

Done stop(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(texts, read_texts(value, name, {.most = kMaxStopTexts}));
  reading.request.stop = std::move(texts);
  return {};
}

Done truncate(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, read_whole(value, name, -1, kMaxTokens));
  if (count == 0) return refuse_field(name, "takes a whole number from 1 on, or -1 for the context's, not 0");
  reading.request.truncate_prompt_tokens =
      count < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(count);
  return {};
}

Done add_special_tokens(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(is_set, read_flag(value, name));
  reading.request.add_special_tokens = is_set;
  return {};
}

Done stream_options(const Json& value, std::string_view name, Reading& reading) {
  if (!value.is_object()) return refuse_field(name, "takes an object, not {}", shown(value));
  for (const auto& [key, entry] : value.items()) {
    const std::string full = std::string(name) + "." + key;
    if (entry.is_null()) continue;
    if (key == "include_usage" || key == "continuous_usage_stats") {
      FOLIO_ASK(is_set, read_flag(entry, full));
      (key == "include_usage" ? reading.request.include_usage : reading.request.continuous_usage) = is_set;
    } else if (key == "include_obfuscation") {
      FOLIO_ASK(is_set, read_flag(entry, full));
      if (is_set) {
        FOLIO_ASK_STATUS(reading.ignore(full, "takes only false"));
      }
    } else {
      FOLIO_ASK_STATUS(
          reading.ignore(full, "is not known; there are include_usage and continuous_usage_stats"));
    }
  }
  return {};
}

Done messages(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(list, read_messages(value, name, reading));
  reading.request.messages = std::move(list);
  return {};
}

Done prompt(const Json& value, std::string_view name, Reading& reading) {
  const bool one = value.is_string() || (value.is_array() && !value.empty() && value[0].is_number());
  if (!one && !value.is_array())
    return refuse_field(name, "takes a text, a list of token ids, or a list of those, not {}", shown(value));
  const std::span<const Json> list(one             ? &value
                                   : value.empty() ? nullptr
                                                   : &value[0],
                                   one ? 1 : value.size());
  const std::size_t most = reading.request.endpoint == kEmbeddings ? kMaxInputs : kMaxPrompts;
  if (list.empty() || list.size() > most)
    return refuse_field(name, "takes 1 to {} texts or lists of token ids, not {}", most, list.size());
  for (const Json& entry : list) {
    if (entry.is_string()) {
      reading.request.prompts.emplace_back(entry.get<std::string>());
      continue;
    }
    FOLIO_ASK(tokens, read_tokens(entry, name));
    if (tokens.empty())
      return refuse_field(name, "holds an empty list of token ids; there is nothing to continue");
    reading.request.prompts.emplace_back(std::move(tokens));
  }
  return {};
}

Done documents(const Json& value, std::string_view name, Reading& reading) {
  if (!value.is_array()) return refuse_field(name, "takes a list of objects, not {}", shown(value));
  for (const Json& entry : value)
    if (!entry.is_object()) return refuse_field(name, "takes a list of objects; it holds {}", shown(entry));
  reading.request.documents = to_text(value);
  return {};
}

Done kwargs(const Json& value, std::string_view name, Reading& reading) {
  if (!value.is_object()) return refuse_field(name, "takes an object, not {}", shown(value));
  reading.request.kwargs = to_text(value);
  return {};
}

Done encoding_format(const Json& value, std::string_view name, Reading& reading) {
  if (value != "float" && value != "base64")
    return refuse_field(name, "takes \"float\" or \"base64\", not {}", shown(value));
  reading.request.vector_format = value == "base64" ? VectorFormat::kBase64 : VectorFormat::kFloat;
  return {};
}

Done dimensions(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(count, read_whole(value, name, 1, kMaxTokens));
  reading.request.dimensions = static_cast<std::size_t>(count);
  return {};
}

Done normalize(const Json& value, std::string_view name, Reading& reading) {
  FOLIO_ASK(is_set, read_flag(value, name));
  const Normalize wanted = is_set ? Normalize::kYes : Normalize::kNo;
  if (reading.request.normalize && *reading.request.normalize != wanted)
    return refuse_field(name, "contradicts its other name; give one of normalize and use_activation");
  reading.request.normalize = wanted;
  return {};
}

// Says who asks; changes nothing.
Done note(const Json&, std::string_view, Reading&) { return {}; }

constexpr Field kFields[] = {
    {"model", kAll, R"({"type": "string", "minLength": 1, "maxLength": 1024})", short_text<&Request::model>},
    {"messages", kChat, R"({"$ref": "#/components/schemas/Messages"})", messages},
    {"prompt", kCompletions, R"({"$ref": "#/components/schemas/Prompt"})", prompt},
    {"input", kEmbeddings, R"({"$ref": "#/components/schemas/Input"})", prompt},
    {"encoding_format", kEmbeddings, R"({"enum": ["float", "base64"]})", encoding_format},
    {"dimensions", kEmbeddings, R"({"type": "integer", "minimum": 1, "maximum": 2147483647})", dimensions},
    {"normalize", kEmbeddings, R"({"type": "boolean"})", normalize},
    {"use_activation", kEmbeddings, R"({"type": "boolean"})", normalize},
    {"max_completion_tokens", kBoth,
     R"({"type": "integer", "minimum": -1, "maximum": 2147483647, "not": {"const": 0}})",
     max_completion_tokens},
    {"max_tokens", kBoth, R"({"type": "integer", "minimum": -1, "maximum": 2147483647, "not": {"const": 0}})",
     max_tokens},
    {"n", kBoth, R"({"type": "integer", "minimum": 1})", choices},
    {"priority", kAll, R"({"type": "integer", "minimum": -2147483648, "maximum": 2147483647})", priority},
    {"logprobs", kChat, R"({"type": "boolean"})", logprobs},
    {"logprobs", kCompletions,
     R"({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 20}, {"const": false}]})", logprobs},
    {"top_logprobs", kChat, R"({"type": "integer", "minimum": 0, "maximum": 20})",
     logprobs_of<&Request::top_logprobs>},
    {"prompt_logprobs", kBoth, R"({"type": "integer", "minimum": 0, "maximum": 20})",
     logprobs_of<&Request::prompt_logprobs>},
    {"return_tokens_as_token_ids", kBoth, R"({"type": "boolean"})", token_names},
    {"logit_bias", kBoth,
     R"({"type": "object", "maxProperties": 1024, "propertyNames": {"pattern": "^[0-9]{1,9}$"}, "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}})",
     logit_bias},
    {"min_tokens", kBoth, R"({"type": "integer", "minimum": 0, "maximum": 2147483647})", min_tokens},
    {"stop_token_ids", kBoth,
     R"({"type": "array", "maxItems": 262144, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}})",
     tokens<&sampling::SamplingParams::stop_token_ids>},
    {"allowed_token_ids", kBoth,
     R"({"type": "array", "maxItems": 262144, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}})",
     tokens<&sampling::SamplingParams::allowed_token_ids>},
    {"bad_words", kBoth,
     R"({"type": "array", "maxItems": 512, "items": {"type": "string", "minLength": 1, "maxLength": 64}})",
     bad_words},
    {"stream", kBoth, R"({"type": "boolean"})", flag<&Request::stream>},
    {"stream_options", kBoth,
     R"({"type": "object", "properties": {"include_usage": {"type": "boolean"}, "continuous_usage_stats": {"type": "boolean"}}, "additionalProperties": false})",
     stream_options},
    {"stop", kBoth,
     R"({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 1024}}]})",
     stop},
    {"temperature", kBoth, R"({"type": "number", "minimum": 0, "maximum": 1000})", temperature},
    {"top_p", kBoth, R"({"type": "number", "minimum": 1e-30, "maximum": 1})", top_p},
    {"top_k", kBoth, R"({"type": "integer", "minimum": -1, "maximum": 2147483647})", top_k},
    {"min_p", kBoth, R"({"type": "number", "minimum": 0, "maximum": 1})", min_p},
    {"repetition_penalty", kBoth, R"({"type": "number", "minimum": 0.001, "maximum": 1000})",
     repetition_penalty},
    {"frequency_penalty", kBoth, R"({"type": "number", "minimum": -2, "maximum": 2})", frequency_penalty},
    {"presence_penalty", kBoth, R"({"type": "number", "minimum": -2, "maximum": 2})", presence_penalty},
    {"seed", kBoth, R"({"type": "integer", "minimum": -9223372036854775808, "maximum": 9223372036854775807})",
     seed},
    {"ignore_eos", kBoth, R"({"type": "boolean"})", flag<&Request::ignore_eos>},
    {"use_beam_search", kBoth, R"({"type": "boolean"})", flag<&Request::use_beam_search>},
    {"length_penalty", kBoth, R"({"type": "number", "minimum": -10, "maximum": 10})", length_penalty},
    {"echo", kCompletions, R"({"type": "boolean"})", flag<&Request::echo>},
    {"cache_salt", kAll, R"({"type": "string", "minLength": 1, "maxLength": 1024})",
     short_text<&Request::cache_salt>},
    {"request_id", kAll, R"({"type": "string", "minLength": 1, "maxLength": 1024})",
     short_text<&Request::request_id>},
    {"truncate_prompt_tokens", kAll, R"({"type": "integer", "minimum": 1, "maximum": 2147483647})", truncate},
    {"add_special_tokens", kAll, R"({"type": "boolean"})", add_special_tokens},
    {"add_generation_prompt", kChat, R"({"type": "boolean"})", flag<&Request::add_generation_prompt>},
    {"documents", kChat, R"({"type": "array", "items": {"type": "object"}})", documents},
    {"chat_template_kwargs", kChat, R"({"type": "object"})", kwargs},
    {"return_token_ids", kBoth, R"({"type": "boolean"})", flag<&Request::return_token_ids>},
    {"user", kAll, "{}", note},
    {"metadata", kBoth, "{}", note},
    {"safety_identifier", kBoth, "{}", note},
    {"prompt_cache_key", kBoth, "{}", note},
    {"prompt_cache_retention", kBoth, "{}", note},
};

}  // namespace

std::span<const Field> request_fields() { return kFields; }

}  // namespace folio::api
