#include "api/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "api/api_error.h"
#include "api/field_values.h"

namespace folio::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Request accepted(Endpoint endpoint, std::string_view body) {
  const auto request = parse_request(endpoint, body, {});
  EXPECT_TRUE(request) << body << ": " << (request ? "" : request.error().message);
  return request.value_or(Request{});
}

ApiError refused(Endpoint endpoint, std::string_view body) {
  const auto request = parse_request(endpoint, body, {});
  EXPECT_FALSE(request) << body;
  return request ? ApiError{} : request.error();
}

// With --strict-fields.
ApiError strictly_refused(Endpoint endpoint, std::string_view body) {
  const auto request = parse_request(endpoint, body, {.unknown_fields = UnknownFields::kRefuse});
  EXPECT_FALSE(request) << body;
  return request ? ApiError{} : request.error();
}

// A completion with one more field.
std::string with(std::string_view field) { return fmt::format(R"({{"prompt": "x", {}}})", field); }

TEST(Request, FieldsReachTheirMembers) {
  const Request r =
      accepted(kCompletions, with(R"("temperature": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125,
      "repetition_penalty": 1.5, "frequency_penalty": -1, "presence_penalty": 2, "seed": 9, "max_tokens": 3,
      "stop": ["a", "b"], "cache_salt": "s", "ignore_eos": true, "echo": true, "stream": true, "model": "m")"));
  EXPECT_EQ(r.sampling, (sampling::SamplingParams{.temperature = 0.5F,
                                                  .top_k = 7,
                                                  .top_p = 0.25F,
                                                  .min_p = 0.125F,
                                                  .repetition_penalty = 1.5F,
                                                  .frequency_penalty = -1,
                                                  .presence_penalty = 2}));
  EXPECT_EQ(r.seed, 9u);
  EXPECT_EQ(r.max_tokens, 3u);
  EXPECT_THAT(r.stop.span(), ElementsAre("a", "b"));
  EXPECT_EQ(r.cache_salt, "s");
  EXPECT_EQ(r.model, "m");
  EXPECT_TRUE(r.ignore_eos && r.echo && r.stream);
}

TEST(Request, AbsentAndNullFieldsAreTheDefaults) {
  const sampling::SamplingParams defaults{.temperature = 0.3F, .top_k = 5};
  const auto request = parse_request(kCompletions, with(R"("temperature": null, "seed": null, "stop": null)"),
                                     {.sampling = defaults});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sampling, defaults);
  EXPECT_EQ(request->max_tokens, kDefaultCompletionTokens);
  EXPECT_FALSE(request->seed);
  EXPECT_EQ(accepted(kChat, R"({"messages": [{"role": "user", "content": "x"}]})").max_tokens, std::nullopt);
}

TEST(Request, NumbersAtTheirBordersAndBeyond) {
  for (const char* good :
       {R"("temperature": 0)", R"("temperature": 1000)", R"("top_p": 1)", R"("top_k": -1)", R"("top_k": 3.0)",
        R"("seed": -9223372036854775808)", R"("seed": 18446744073709551615)", R"("max_tokens": 0)",
        R"("max_tokens": 2147483647)", R"("min_p": 1)", R"("frequency_penalty": -2)"})
    accepted(kCompletions, with(good));
  for (const char* bad :
       {R"("temperature": -0.001)", R"("temperature": 1000.1)", R"("temperature": "1")",
        R"("temperature": true)", R"("top_p": 0)", R"("top_p": 1.001)", R"("top_k": -2)", R"("top_k": 1.5)",
        R"("top_k": 1e300)", R"("seed": 1e30)", R"("seed": "1")", R"("max_tokens": -2)",
        R"("max_tokens": 2147483648)", R"("min_p": -0.1)", R"("presence_penalty": 2.1)"}) {
    const ApiError error = refused(kCompletions, with(bad));
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(bad, HasSubstr("\"" + error.param + "\""));
    EXPECT_THAT(error.message, HasSubstr("takes"));
  }
}

TEST(Request, PromptsOfEveryKind) {
  EXPECT_EQ(accepted(kCompletions, R"({"prompt": ""})").prompts.size(), 1u);
  EXPECT_EQ(accepted(kCompletions, R"({"prompt": ["a", "b"]})").prompts.size(), 2u);
  EXPECT_EQ(std::get<1>(accepted(kCompletions, R"({"prompt": [1, 2]})").prompts.at(0)).size(), 2u);
  EXPECT_EQ(accepted(kCompletions, R"({"prompt": [[1], [2, 3], "c"]})").prompts.size(), 3u);
  for (const char* bad : {"[]", "[[]]", "[1, \"a\"]", "[[1, -1]]", "[2147483648]", "{}", "3", "[[[1]]]"})
    EXPECT_EQ(refused(kCompletions, fmt::format(R"({{"prompt": {}}})", bad)).param, "prompt") << bad;
  EXPECT_EQ(refused(kCompletions, "{}").param, "prompt");
}

TEST(Request, ContentsBecomeTexts) {
  const Request r = accepted(kChat, R"({"messages": [{"role": "developer", "content": "be brief"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "me"},
      {"role": "assistant", "content": "c", "refusal": null}]})");
  ASSERT_EQ(r.messages.size(), 3u);
  EXPECT_EQ(r.messages[0]["role"], "system");
  EXPECT_EQ(r.messages[1]["content"], "a\nb");
  EXPECT_EQ(r.messages[1]["name"], "me");
}

TEST(Request, EveryRefusedFieldIsRefusedByNameUnlessItAsksForNothing) {
  for (const RefusedField& field : refused_fields()) {
    const Endpoint endpoint = (field.endpoints & kCompletions) != 0 ? kCompletions : field.endpoints;
    const std::string base = endpoint == kChat
                                 ? R"({"messages": [{"role": "user", "content": "x"}], "{}": {}}})"
                             : endpoint == kEmbeddings ? R"({"input": "x", "{}": {}}})"
                                                       : R"({"prompt": "x", "{}": {}}})";
    const auto body = [&](std::string_view value) {
      std::string text = base.substr(0, base.size() - 1);
      text.replace(text.find("{}"), 2, field.name);
      return text.replace(text.find("{}"), 2, value);
    };
    const std::string asks = body(R"({"never": ["asked"]})");
    const ApiError error = strictly_refused(endpoint, asks);
    EXPECT_EQ(error.param, field.name);
    EXPECT_THAT(error.message, HasSubstr(std::string(field.why)));
    if (field.changes == RefusedField::Changes::kAnswer)
      EXPECT_EQ(refused(endpoint, asks).param, field.name);
    else
      EXPECT_THAT(accepted(endpoint, asks).notes.ignored, ElementsAre(std::string(field.name)));
    accepted(endpoint, body("null"));
    const auto neutral = parse_json(field.neutral);
    ASSERT_TRUE(neutral && neutral->is_array()) << field.name;
    for (const Json& value : *neutral) accepted(endpoint, body(to_text(value)));
  }
}

TEST(Request, NoFieldIsInBothTablesAndEverySchemaIsJson) {
  std::set<std::pair<std::string_view, unsigned>> seen;
  const auto add = [&](std::string_view name, unsigned endpoints) {
    for (const unsigned endpoint : {1u, 2u, 4u})
      if ((endpoints & endpoint) != 0) {
        EXPECT_TRUE(seen.insert({name, endpoint}).second) << name;
      }
  };
  for (const Field& field : request_fields()) {
    add(field.name, field.endpoints);
    EXPECT_TRUE(parse_json(field.schema)) << field.name;
  }
  for (const RefusedField& field : refused_fields()) add(field.name, field.endpoints);
}

TEST(Request, Logprobs) {
  EXPECT_EQ(accepted(kCompletions, with(R"("logprobs": 5, "prompt_logprobs": -1)")).prompt_logprobs,
            kAllLogprobs);
  EXPECT_EQ(accepted(kCompletions, with(R"("logprobs": 5, "echo": true)")).logprobs, 5u);
  EXPECT_EQ(accepted(kCompletions, with(R"("return_tokens_as_token_ids": true)")).token_names,
            TokenNames::kIds);
  EXPECT_EQ(refused(kCompletions, with(R"("prompt_logprobs": 0, "stream": true)")).param, "prompt_logprobs");
  EXPECT_EQ(refused(kCompletions, with(R"("prompt_logprobs": -2)")).param, "prompt_logprobs");
}

TEST(Request, OfEmbeddings) {
  const Request r = accepted(kEmbeddings, R"({"input": [[1, 2], [3]], "encoding_format": "base64",
      "dimensions": 64, "use_activation": false, "cache_salt": "s", "truncate_prompt_tokens": -1, "user": "me"})");
  EXPECT_EQ(r.prompts.size(), 2u);
  EXPECT_EQ(r.vector_format, VectorFormat::kBase64);
  EXPECT_EQ(r.dimensions, 64u);
  EXPECT_EQ(r.normalize, Normalize::kNo);
  EXPECT_EQ(r.max_tokens, 0u);
  EXPECT_FALSE(accepted(kEmbeddings, R"({"input": "x"})").normalize);
  for (const char* body : {R"({"model": "m"})", R"({"input": []})", R"({"input": 3})", R"({"input": [[]]})",
                           R"({"input": null})"})
    EXPECT_EQ(refused(kEmbeddings, body).param, "input") << body;
  EXPECT_EQ(strictly_refused(kEmbeddings, R"({"input": "x", "temperature": 1})").param, "temperature");
  EXPECT_EQ(refused(kEmbeddings, R"({"input": "x", "encoding_format": "hex"})").param, "encoding_format");
  EXPECT_EQ(refused(kEmbeddings, R"({"input": "x", "normalize": true, "use_activation": false})").param,
            "use_activation");
  std::string many = R"({"input": ["x")";
  for (std::size_t i = 1; i < kMaxInputs; ++i) many += R"(,"x")";
  EXPECT_EQ(accepted(kEmbeddings, many + "]}").prompts.size(), kMaxInputs);
  EXPECT_EQ(refused(kEmbeddings, many + R"(,"x"]})").param, "input");
}

TEST(Request, UnknownFieldsAreNotedOrRefused) {
  EXPECT_EQ(strictly_refused(kCompletions, with(R"("max_tokns": 3)")).param, "max_tokns");
  EXPECT_EQ(strictly_refused(kCompletions, R"({"prompt": "x", "messages": []})").param, "messages");
  EXPECT_THAT(
      accepted(kCompletions, with(R"("max_tokns": 3, "mirostat": 2, "lora_request": null)")).notes.ignored,
      ElementsAre("max_tokns", "mirostat"));
  EXPECT_TRUE(parse_request(kCompletions, with(R"("lora_request": null)"),
                            {.unknown_fields = UnknownFields::kRefuse}))
      << "null is absent";
  const char* chat = R"({"messages": [{"role": "user", "content": "x", "id": "a"},
      {"role": "user", "content": "y", "id": "b", "reasoning_content": "z"}],
      "stream": true, "stream_options": {"include_usage": true, "sideways": 1, "include_obfuscation": true}})";
  const Request request = accepted(kChat, chat);
  EXPECT_THAT(request.notes.ignored,
              ElementsAre("messages[].id", "messages[].reasoning_content", "stream_options.sideways",
                          "stream_options.include_obfuscation"));
  EXPECT_TRUE(request.include_usage);
  EXPECT_EQ(strictly_refused(kChat, chat).param, "messages[0].id");
  EXPECT_EQ(refused(kCompletions, with(R"("stream_options": {"include_usage": true})")).param,
            "stream_options");
}

TEST(Request, LengthsAndSeedsAsClientsSendThem) {
  EXPECT_EQ(accepted(kChat, R"({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1,
      "max_completion_tokens": 2})")
                .max_tokens,
            2u)
      << "the newer name wins, whichever comes first";
  EXPECT_EQ(accepted(kChat, R"({"max_completion_tokens": 2, "max_tokens": 1,
      "messages": [{"role": "user", "content": "x"}]})")
                .max_tokens,
            2u);
  EXPECT_EQ(accepted(kCompletions, with(R"("max_tokens": -1)")).max_tokens, kWholeContext);
  EXPECT_EQ(refused(kChat, R"({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0})").param,
            "max_tokens");
  EXPECT_FALSE(accepted(kCompletions, with(R"("seed": -1)")).seed) << "one is drawn";
  EXPECT_EQ(accepted(kCompletions, with(R"("seed": -2)")).seed, 0xFFFFFFFFFFFFFFFEu);
}

TEST(Request, ABeamSearchDrawsNothingWhateverTheModelsDefaults) {
  const sampling::SamplingParams defaults{.temperature = 0.3F, .top_k = 5, .repetition_penalty = 1.1F};
  const auto beams = parse_request(
      kCompletions, with(R"("n": 4, "length_penalty": 0.5, "stop_token_ids": [3], "use_beam_search": true)"),
      {.sampling = defaults});
  ASSERT_TRUE(beams);
  EXPECT_TRUE(beams->use_beam_search);
  EXPECT_EQ(beams->length_penalty, 0.5);
  EXPECT_EQ(beams->sampling, (sampling::SamplingParams{.temperature = 0, .stop_token_ids = {TokenId{3}}}));
  EXPECT_EQ(
      parse_request(kCompletions, with(R"("use_beam_search": false)"), {.sampling = defaults})->sampling,
      defaults);
  EXPECT_EQ(refused(kCompletions, with(R"("length_penalty": 0.5)")).param, "length_penalty");
  EXPECT_EQ(refused(kCompletions, with(R"("use_beam_search": 1)")).param, "use_beam_search");
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"temperature", "0.7"},
                                                        {"repetition_penalty", "1.2"},
                                                        {"frequency_penalty", "1"},
                                                        {"presence_penalty", "1"},
                                                        {"logit_bias", R"({"3": 1})"},
                                                        {"allowed_token_ids", "[3]"},
                                                        {"bad_words", R"(["x"])"},
                                                        {"stop", R"(["x"])"},
                                                        {"length_penalty", "11"}})
    EXPECT_EQ(
        refused(kCompletions, with(fmt::format(R"("use_beam_search": true, "{}": {})", name, value))).param,
        name);
}

TEST(Json, IsBoundedBeforeATreeIsBuilt) {
  EXPECT_TRUE(parse_json(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
  const auto deep = parse_json(std::string(1'000'000, '['));
  ASSERT_FALSE(deep);
  EXPECT_THAT(deep.error().message, HasSubstr("deep"));
  std::string keys = "{";
  for (std::size_t i = 0; i <= kMaxJsonKeys; ++i) keys += fmt::format("\"{}\":0,", i);
  keys.back() = '}';
  const auto many = parse_json(keys);
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().message, HasSubstr("keys"));
  EXPECT_TRUE(parse_json(R"({"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{"})"))
      << "text is no nesting";
}

TEST(Json, BadTextIsAnErrorThatSaysWhere) {
  for (const std::string_view bad : {"", "{", "nul", "{\"a\": \"\xff\"}", "\"\\ud800\"", "[1e999]", "{} {}"})
    EXPECT_FALSE(parse_json(bad)) << bad;
  EXPECT_THAT(parse_json("[1, x]").error().message, HasSubstr("byte 5 of 6"));
  EXPECT_FALSE(parse_json(std::string_view("{}\0 rubbish", 11))) << "nothing stands behind the end";
}

TEST(Json, ErrorsAreTheApisObject) {
  const auto body = parse_json(
      error_body({.status = 404, .message = "no \xff", .param = "model", .code = "model_not_found"}));
  ASSERT_TRUE(body);
  EXPECT_EQ((*body)["error"]["type"], "not_found_error");
  EXPECT_EQ((*body)["error"]["param"], "model");
}

TEST(Json, ErrorsHaveTheShapeOfTheApiThatWasAsked) {
  const ApiError error{.status = 404, .message = "no", .param = {}, .code = {}};
  EXPECT_EQ(error_body(error, shape_of("/v1/messages/count_tokens")),
            R"({"type":"error","error":{"type":"not_found_error","message":"no"}})");
  EXPECT_EQ(error_body(error, shape_of("/api/chat")), R"({"error":"no"})");
  EXPECT_THAT(error_body(error, shape_of("/v1/chat/completions")), HasSubstr(R"("code":null)"));
}

}  // namespace
}  // namespace folio::api
