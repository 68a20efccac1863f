#include "api/openapi.h"

#include <gtest/gtest.h>

#include "api/request.h"

namespace folio::api {
namespace {

void accepted(std::string_view body) { EXPECT_TRUE(parse_request(kCompletions, body, {})) << body; }
void refused(std::string_view body) { EXPECT_FALSE(parse_request(kCompletions, body, {})) << body; }

// A completion with one more field.
std::string with(std::string_view field) { return fmt::format(R"({{"prompt": "x", {}}})", field); }

// What the schemas promise is what the readers take: both are bounded by the same names.
TEST(OpenApi, SchemasSayTheLimitsThatAreKept) {
  const Json document = Json::parse(openapi_document({.vocabulary = 100}, {}));
  const Json& schemas = document["components"]["schemas"];
  const Json n = schemas["CompletionRequest"]["properties"]["n"]["anyOf"][0];
  EXPECT_EQ(n["maximum"], engine::kMaxChoices);
  accepted(with(fmt::format(R"("n": {})", engine::kMaxChoices)));
  refused(with(fmt::format(R"("n": {})", engine::kMaxChoices + 1)));
  const Json stop = schemas["ChatRequest"]["properties"]["stop"]["anyOf"][0]["anyOf"][1];
  const auto stops = [](std::size_t count) {
    return with(fmt::format(R"("stop": {})", Json(std::vector<std::string>(count, "x")).dump()));
  };
  EXPECT_EQ(stop["maxItems"], kMaxStopTexts);
  accepted(stops(kMaxStopTexts));
  refused(stops(kMaxStopTexts + 1));
  const auto prompts = [](std::size_t count) {
    return Json{{"prompt", std::vector<std::string>(count, "x")}}.dump();
  };
  for (const std::size_t lists : {1, 3}) {
    EXPECT_EQ(schemas["Prompt"]["anyOf"][lists]["maxItems"], kMaxPrompts);
    EXPECT_EQ(schemas["Input"]["anyOf"][lists]["maxItems"], kMaxInputs);
  }
  accepted(prompts(kMaxPrompts));
  refused(prompts(kMaxPrompts + 1));
}

}  // namespace
}  // namespace folio::api
