#include "api/embedding_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace folio::api {
namespace {

std::string coded(std::string_view text) { return base64(std::as_bytes(std::span(text))); }

TEST(EmbeddingText, Base64AsTheStandardHasIt) {  // RFC 4648, section 10
  EXPECT_EQ(coded(""), "");
  EXPECT_EQ(coded("f"), "Zg==");
  EXPECT_EQ(coded("fo"), "Zm8=");
  EXPECT_EQ(coded("foo"), "Zm9v");
  EXPECT_EQ(coded("foob"), "Zm9vYg==");
  EXPECT_EQ(coded("fooba"), "Zm9vYmE=");
  EXPECT_EQ(coded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(coded("\xff\xfe\xfb"), "//77");
}

TEST(EmbeddingText, UnitLength) {
  EXPECT_EQ(of_unit_length(std::vector<float>{3, 0, -4}), (std::vector<float>{0.6F, 0, -0.8F}));
  EXPECT_EQ(of_unit_length(std::vector<float>{0, 0}), (std::vector<float>{0, 0}));
  const float large = std::numeric_limits<float>::max();  // its square is no float
  EXPECT_FLOAT_EQ(of_unit_length(std::vector<float>{large, large})[0], std::sqrt(0.5F));
}

TEST(EmbeddingText, FloatsComeBackBitForBit) {
  const std::vector<float> vector = {0.1F, -1e-30F, 12345.678F, 0, 1.0F / 3};
  const auto entry = nlohmann::json::parse(*embedding_entry(7, vector, VectorFormat::kFloat));
  EXPECT_EQ(entry["index"], 7);
  EXPECT_EQ(entry["object"], "embedding");
  EXPECT_EQ(entry["embedding"].get<std::vector<float>>(), vector);
  const auto text = nlohmann::json::parse(*embedding_entry(0, std::vector{1.0F}, VectorFormat::kBase64));
  EXPECT_EQ(text["embedding"], "AACAPw==");
}

TEST(EmbeddingText, WhatIsNoNumberIsNoVector) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()})
    EXPECT_FALSE(embedding_entry(0, std::vector{1.0F, bad}, VectorFormat::kFloat)) << bad;
}

}  // namespace
}  // namespace folio::api
