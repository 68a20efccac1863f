#include "weights/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace folio::weights {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string error_of(const std::string& text, ErrorKind kind = ErrorKind::kInvalid) {
  const auto json = parse_ordered_json(text, "c.json");
  if (json) return "parsed";
  EXPECT_EQ(json.error().kind, kind);
  EXPECT_THAT(json.error().message, StartsWith("c.json: "));
  return json.error().message;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string object_with_keys(std::size_t keys) {
  std::string text = "{";
  for (std::size_t i = 0; i < keys; ++i) text += fmt::format("{}\"{}\":0", i == 0 ? "" : ",", i);
  return text + "}";
}

TEST(JsonText, KeepsTheOrderOfKeys) {
  const auto json = parse_ordered_json(R"({"b":1,"a":{"d":2,"c":3}})", "c.json");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->dump(), R"({"b":1,"a":{"d":2,"c":3}})");
}

TEST(JsonText, ErrorsHaveAnOffset) {
  EXPECT_EQ(error_of(R"({"a":,})"), "c.json: not valid JSON (byte 6)");
  EXPECT_EQ(error_of(""), "c.json: not valid JSON (byte 1)");
  EXPECT_EQ(error_of("{} {}"), "c.json: not valid JSON (byte 4)");
  EXPECT_EQ(error_of(std::string("{}\0}", 4)), "c.json: not valid JSON (byte 3)");
  EXPECT_THAT(error_of("\"\xff\""), HasSubstr("not valid JSON"));
  EXPECT_EQ(error_of("[1e999]"), "c.json: not valid JSON: a number is out of range");
}

TEST(JsonText, WhatPythonWritesForNumbersThatJsonLacksIsNull) {
  const auto json =
      parse_ordered_json(R"({"a": [0.0, Infinity], "NaN \" Infinity": -Infinity, "b": NaN})", "c.json");
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ(json->dump(), R"({"a":[0.0,null],"NaN \" Infinity":null,"b":null})");
  EXPECT_EQ(error_of("[NaN, x]"), "c.json: not valid JSON (byte 2)");
}

TEST(JsonText, NestingIsBounded) {
  EXPECT_EQ(error_of(nested(kMaxJsonDepth)), "parsed");
  EXPECT_EQ(error_of(nested(kMaxJsonDepth + 1), ErrorKind::kTooLarge),
            "c.json: JSON nested deeper than 64 (byte 64)");
  EXPECT_EQ(error_of("\"" + std::string(200, '[') + "\\\"" + std::string(200, '{') + "\""), "parsed")
      << "text is no nesting";
}

TEST(JsonText, KeysAreBounded) {
  EXPECT_EQ(error_of(object_with_keys(1000)), "parsed");
  EXPECT_THAT(error_of(object_with_keys(kMaxOrderedJsonKeys + 1), ErrorKind::kTooLarge),
              HasSubstr("more than 20000 keys (byte "));
  EXPECT_TRUE(parse_json(object_with_keys(kMaxOrderedJsonKeys + 1), "c.json"));
}

}  // namespace
}  // namespace folio::weights
