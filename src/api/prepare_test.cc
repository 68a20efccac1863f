// From bodies to tokens, on a model of 512 tokens.
#include "api/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/engine_request.h"
#include "support/models.h"

namespace folio::api {
namespace {

using ::testing::HasSubstr;

class Prepare : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = engine::Engine::load({.model = test::kStories});
    ASSERT_TRUE(loaded) << loaded.error().message;
    engine_ = std::move(*loaded).release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    engine_ = nullptr;
  }

  ServedModel served() const {
    return {.engine = *engine_,
            .chat_template = engine_->chat_template(),
            .names = names_,
            .longest_tokens = engine_->context_tokens(),
            .defaults = defaults_,
            .strictness = strictness_,
            .longest_token_bytes = longest_token(engine_->tokenizer()),
            .abandoned = &abandoned_};
  }
  Checked<PreparedRequest> prepared(Endpoint endpoint, std::string_view body) const {
    return prepare_body(served(), endpoint, body);
  }
  PreparedRequest accepted(Endpoint endpoint, std::string_view body) const {
    auto made = prepared(endpoint, body);
    EXPECT_TRUE(made) << body << ": " << (made ? "" : made.error().message);
    return made ? std::move(*made) : PreparedRequest{};
  }
  // "param: message"
  std::string refused(Endpoint endpoint, std::string_view body, int status = 400) const {
    const auto made = prepared(endpoint, body);
    EXPECT_FALSE(made) << body;
    if (made) return {};
    EXPECT_EQ(made.error().status, status) << made.error().message;
    return made.error().param + ": " + made.error().message;
  }

  static engine::Engine* engine_;
  std::vector<std::string> names_ = {"stories"};
  GenerationDefaults defaults_;
  Strictness strictness_;
  std::atomic<bool> abandoned_ = false;
};
engine::Engine* Prepare::engine_ = nullptr;

std::string ids(std::size_t count) {
  std::string list = "[0";
  for (std::size_t i = 1; i < count; ++i) list += fmt::format(",{}", i % 512);
  return list + "]";
}

TEST_F(Prepare, PromptsBecomeTheTokenizersTokens) {
  const auto made = accepted(kCompletions, R"({"prompt": ["Once upon a time", [5, 6]], "model": "stories"})");
  ASSERT_EQ(made.prompts.size(), 2u);
  EXPECT_EQ(made.prompts[0].tokens,
            engine_->tokenizer().encode("Once upon a time", {.add = text::AddTokens::kYes}));
  EXPECT_EQ(made.prompts[0].text, "Once upon a time");
  EXPECT_EQ(made.prompts[1].tokens, (std::vector{TokenId{5}, TokenId{6}}));
  const auto bare = accepted(kCompletions, R"({"prompt": "Once", "add_special_tokens": false})");
  EXPECT_EQ(bare.prompts[0].tokens, engine_->tokenizer().encode("Once"));
  const auto chat = accepted(kChat, R"({"messages": [{"role": "user", "content": "Hello"}]})");
  EXPECT_THAT(chat.prompts.at(0).text, HasSubstr("Hello"));
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "model": "other"})", 404), HasSubstr("stories"));
}

TEST_F(Prepare, WhatIsTooLongSaysBothLengths) {
  EXPECT_THAT(refused(kCompletions, fmt::format(R"({{"prompt": {}}})", ids(513))),
              HasSubstr("The prompt has 513"));
  EXPECT_THAT(refused(kEmbeddings, fmt::format(R"({{"input": {}}})", ids(513))), HasSubstr("input: "));
  const auto cut =
      accepted(kCompletions, fmt::format(R"({{"prompt": {}, "truncate_prompt_tokens": 7}})", ids(600)));
  EXPECT_EQ(cut.prompts[0].tokens.size(), 7u);
}

TEST_F(Prepare, ATextThatNoContextHoldsIsRefusedUnread) {
  const std::size_t most = longest_token(engine_->tokenizer()) * engine_->context_tokens();
  const std::string fits(most, 'a'), long_text(most + 1, 'a');
  EXPECT_THAT(refused(kCompletions, fmt::format(R"({{"prompt": "{}"}})", fits)), HasSubstr("The prompt has"));
  for (const auto& [endpoint, body] :
       {std::pair{kCompletions, R"({{"prompt": "{}"}})"}, std::pair{kEmbeddings, R"({{"input": ["{}"]}})"},
        std::pair{kChat, R"({{"messages": [{{"role": "user", "content": "{}"}}]}})"}})
    EXPECT_THAT(refused(endpoint, fmt::format(fmt::runtime(body), long_text)),
                HasSubstr(fmt::format("no more than {} bytes", most)));
  accepted(kCompletions, fmt::format(R"({{"prompt": "{}", "truncate_prompt_tokens": 5}})", long_text));
}

TEST_F(Prepare, NothingIsTokenisedForSomebodyWhoHasGone) {
  abandoned_ = true;
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x"})", kAbandoned), HasSubstr("gone"));
  EXPECT_THAT(refused(kChat, R"({"messages": [{"role": "user", "content": "x"}]})", kAbandoned),
              HasSubstr("gone"));
}

TEST_F(Prepare, ListsAreBoundedAndTheirDuplicatesDropped) {
  const std::string many = ids(262'145);
  for (const char* field : {"stop_token_ids", "allowed_token_ids"})
    EXPECT_THAT(refused(kCompletions, fmt::format(R"({{"prompt": "x", "{}": {}}})", field, many)),
                HasSubstr(fmt::format("{}: '{}' takes at most 262144", field, field)));
  const auto made = accepted(
      kCompletions, fmt::format(R"({{"prompt": "x", "max_tokens": 1, "stop_token_ids": {}}})", ids(48'000)));
  EXPECT_EQ(made.request.sampling.stop_token_ids.size(), 512u);
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "stop_token_ids": [512]})"), HasSubstr("outside"));
}

TEST_F(Prepare, AListIsSharedByAllPrompts) {
  const auto made = accepted(
      kCompletions,
      R"({"prompt": ["a", "b"], "stop": ["x"], "bad_words": ["dog"], "logit_bias": {"3": 1}, "stop_token_ids": [3]})");
  const auto first = engine_request(made.request, *engine_, {TokenId{1}});
  const auto second = engine_request(made.request, *engine_, {TokenId{2}});
  EXPECT_EQ(&first.stop[0], &second.stop[0]);
  EXPECT_EQ(&first.sampling.bad_words[0], &second.sampling.bad_words[0]);
  EXPECT_EQ(&first.sampling.logit_bias[0], &second.sampling.logit_bias[0]);
  EXPECT_EQ(&*first.sampling.stop_token_ids.begin(), &*second.sampling.stop_token_ids.begin());
}

TEST_F(Prepare, MoreAnswersThanCanEverBeTakenAreNoMatterOfTime) {
  std::string prompts = R"("a")";
  for (int i = 1; i < 128; ++i) prompts += R"(,"a")";
  EXPECT_THAT(refused(kCompletions, fmt::format(R"({{"prompt": [{}], "n": 9, "max_tokens": 1}})", prompts)),
              HasSubstr("n: 'n' is 9, for 128 prompts: 1152 answers"));
  accepted(kCompletions, fmt::format(R"({{"prompt": [{}], "n": 8, "max_tokens": 1}})", prompts));
}

TEST_F(Prepare, SomethingIsLeftToChoose) {
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "min_tokens": 1, "allowed_token_ids": [2]})"),
              HasSubstr("allowed_token_ids: "));
  EXPECT_THAT(refused(kCompletions,
                      R"({"prompt": "x", "min_tokens": 1, "allowed_token_ids": [7], "stop_token_ids": [7]})"),
              HasSubstr("min_tokens"));
  EXPECT_THAT(refused(kCompletions,
                      fmt::format(R"({{"prompt": "x", "min_tokens": 1, "stop_token_ids": {}}})", ids(512))),
              HasSubstr("min_tokens: "));
  accepted(kCompletions, R"({"prompt": "x", "min_tokens": 1, "allowed_token_ids": [2, 3]})");
  accepted(kCompletions, R"({"prompt": "x", "allowed_token_ids": [2]})");
  accepted(kCompletions, R"({"prompt": "x", "min_tokens": 1, "ignore_eos": true, "allowed_token_ids": [2]})");
}

TEST_F(Prepare, ABeamSearchLooksAtFewEndTokens) {
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "temperature": 0.5, "use_beam_search": true})"),
              HasSubstr("temperature: "));
  std::string list = "[0";
  for (int i = 1; i < 1025; ++i) list += fmt::format(",{}", i);
  EXPECT_THAT(
      refused(kCompletions,
              fmt::format(R"({{"prompt": "x", "use_beam_search": true, "stop_token_ids": {}]}})", list)),
      HasSubstr("stop_token_ids: 'stop_token_ids' names 1025"));
}

TEST_F(Prepare, LogprobsAreAsManyAsTheServerGives) {
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "logprobs": 21})"), HasSubstr("--max-logprobs"));
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "prompt_logprobs": -1})"), HasSubstr("asks for 512"));
  EXPECT_EQ(accepted(kCompletions, R"({"prompt": "x", "logprobs": 20})").request.logprobs, 20u);
  EXPECT_THAT(refused(kCompletions, R"({"prompt": "x", "priority": 1})"), HasSubstr("--scheduling-policy"));
}

TEST(Json, ATreeIsBoundedBeforeItIsBuilt) {
  const auto message = [](const std::string& text) {
    const auto parsed = parse_json(text);
    return parsed ? std::string("taken") : parsed.error().message;
  };
  std::string numbers = "[0", texts = "[\"\"", lists = "[[]";
  for (std::size_t i = 1; i < kMaxJsonUnits / 4; ++i) numbers += ",0";
  EXPECT_EQ(message(numbers + "]"), "taken");
  for (std::size_t i = 1; i < kMaxJsonUnits / 4 + 1; ++i) {
    texts += ",\"\"";
    lists += ",[]";
  }
  EXPECT_THAT(message(texts + "]"), HasSubstr("more values"));
  EXPECT_THAT(message(lists + "]"), HasSubstr("more values"));
  EXPECT_THAT(message(std::string(33, '[')), HasSubstr("nested 33"));
}

TEST(Json, WhatIsShownIsTheBeginning) {
  EXPECT_EQ(shown(Json("short")), R"("short")");
  EXPECT_EQ(shown(Json::parse(R"({"a": [1, 2, {}], "b": null})")), R"({"a":[1,2,{}],"b":null})");
  EXPECT_EQ(shown(Json(std::string(1000, 'x'))), "\"" + std::string(59, 'x') + "...");
  EXPECT_EQ(shown(Json(std::vector<int>(1000, 7))).size(), 63u);
  EXPECT_EQ(shown(Json(std::string(59, 'x') + "\u20ac\u20ac\u20ac\u20ac")),
            "\"" + std::string(59, 'x') + "...");
}

TEST_F(Prepare, AnAnswerBeyondTheContextIsLoweredOrRefused) {
  const std::size_t context = engine_->context_tokens();
  const std::string body = R"({"prompt": [[1, 2, 3], [1, 2]], "max_tokens": 32000})";
  EXPECT_EQ(accepted(kCompletions, body).request.notes.max_tokens, context - 3) << "of the longest prompt";
  EXPECT_FALSE(accepted(kCompletions, R"({"prompt": "Once", "max_tokens": 3})").request.notes.max_tokens);
  const PreparedRequest whole = accepted(kCompletions, R"({"prompt": "Once", "max_tokens": -1})");
  EXPECT_FALSE(whole.request.max_tokens || whole.request.notes.max_tokens);
  strictness_.long_answers = LongAnswers::kRefuse;
  EXPECT_THAT(
      refused(kCompletions, body),
      HasSubstr(fmt::format("max_tokens: 'max_tokens' or 'max_completion_tokens' is too large: 32000. This "
                            "model's maximum context length is {0} tokens and your request has 3 input "
                            "tokens (32000 > {0} - 3).",
                            context)));
}

TEST_F(Prepare, ChatsAndTextsHaveDefaultsOfTheirOwn) {
  defaults_ = {.chat = {.temperature = 0.8F}, .text = {.temperature = 0.5F}, .max_new_tokens = 7};
  const std::string_view chat = R"({"messages": [{"role": "user", "content": "Once"}]})";
  EXPECT_EQ(accepted(kChat, chat).request.sampling.temperature, 0.8F);
  EXPECT_EQ(accepted(kChat, chat).request.max_tokens, 7u);
  const std::string_view all = R"({"messages": [{"role": "user", "content": "Once"}], "max_tokens": -1})";
  EXPECT_FALSE(accepted(kChat, all).request.max_tokens) << "all that the context leaves was asked for";
  defaults_.max_new_tokens = 100'000;
  strictness_.long_answers = LongAnswers::kRefuse;
  EXPECT_FALSE(accepted(kChat, chat).request.notes.max_tokens) << "nobody asked for so many";
  const PreparedRequest text = accepted(kCompletions, R"({"prompt": "Once"})");
  EXPECT_EQ(text.request.sampling.temperature, 0.5F);
  EXPECT_EQ(text.request.max_tokens, kDefaultCompletionTokens);
}

}  // namespace
}  // namespace folio::api
