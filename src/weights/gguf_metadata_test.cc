#include "weights/gguf_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/gguf_builder.h"
#include "weights/gguf.h"

namespace folio::weights {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The metadata of everything_gguf().
class GgufMetadataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto part = parse_gguf(std::as_bytes(std::span(file_)), "m.gguf");
    ASSERT_TRUE(part) << part.error().message;
    metadata_ = std::move(part->metadata);
  }

  template <typename T>
  static std::string error_of(const Result<T>& result) {
    if (result) return "no error";
    EXPECT_THAT(result.error().message, StartsWith("m.gguf: metadata key '"));
    return result.error().message;
  }

  const std::string file_ = test::everything_gguf().build();
  GgufMetadata metadata_;
};

TEST_F(GgufMetadataTest, KeepsTheOrderAndTypesOfTheFile) {
  ASSERT_EQ(metadata_.all().size(), 17u);
  EXPECT_EQ(metadata_.all()[0].key, "general.architecture");
  const std::vector<std::string> want = {"string",
                                         "u32",
                                         "u8",
                                         "i8",
                                         "u16",
                                         "i16",
                                         "u32",
                                         "i32",
                                         "f32",
                                         "bool",
                                         "u64",
                                         "i64",
                                         "f64",
                                         "array of 3 string",
                                         "array of 3 i32",
                                         "array of 2 f32",
                                         "array of 2 bool"};
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_EQ(gguf_value_type(metadata_.all()[i].value), want[i]) << i;
}

TEST_F(GgufMetadataTest, IntegersOfAnyWidthAreTakenWhereTheyFit) {
  EXPECT_EQ(*metadata_.get_u32("a.u8"), 200u);
  EXPECT_EQ(*metadata_.get_u32("a.u16"), 60000u);
  EXPECT_EQ(*metadata_.get_u32("a.u32"), 4000000000u);
  EXPECT_EQ(**metadata_.find_u64("a.u64"), std::uint64_t{1} << 40);
  EXPECT_EQ(**metadata_.find_u64("a.u32"), 4000000000u);
  EXPECT_THAT(error_of(metadata_.get_u32("a.u64")),
              HasSubstr("is u64 1099511627776, expected an unsigned 32-bit integer"));
  EXPECT_THAT(error_of(metadata_.get_u32("a.i8")),
              AllOf(HasSubstr("'a.i8' at byte "), HasSubstr("is i8 -5, expected")));
  EXPECT_THAT(error_of(metadata_.find_u64("a.i64")), HasSubstr("is i64 -1099511627776"));
}

TEST_F(GgufMetadataTest, KindsAreNotMixed) {
  EXPECT_EQ(**metadata_.find_f32("a.f32"), 1.5f);
  EXPECT_EQ(**metadata_.find_f32("a.f64"), 0.25f);
  EXPECT_EQ(**metadata_.find_bool("a.bool"), true);
  EXPECT_EQ(*metadata_.get_string("general.architecture"), "llama");
  EXPECT_THAT(error_of(metadata_.get_u32("a.bool")), HasSubstr("is bool, expected"));
  EXPECT_THAT(error_of(metadata_.find_bool("a.u8")), HasSubstr("is u8 200, expected a bool"));
  EXPECT_THAT(error_of(metadata_.find_f32("a.u8")), HasSubstr("expected a float"));
  EXPECT_THAT(error_of(metadata_.get_string("a.tokens")),
              HasSubstr("is array of 3 string, expected a string"));
  EXPECT_THAT(error_of(metadata_.get_u32("general.architecture")), HasSubstr("is string, expected"));
}

TEST_F(GgufMetadataTest, MissingKeysAreAnErrorOrAnAnswer) {
  EXPECT_EQ(error_of(metadata_.get_u32("no.such")), "m.gguf: metadata key 'no.such' is missing");
  EXPECT_EQ(error_of(metadata_.get_string_array("no.such")), "m.gguf: metadata key 'no.such' is missing");
  EXPECT_EQ(*metadata_.find_u32("no.such"), std::nullopt);
  EXPECT_EQ(*metadata_.find_string("no.such"), std::nullopt);
  EXPECT_EQ(**metadata_.find_u32("a.u8"), 200u);
  EXPECT_FALSE(metadata_.find_u32("a.f32")) << "a wrong type is an error even for an optional key";
}

TEST_F(GgufMetadataTest, Arrays) {
  EXPECT_THAT(*metadata_.get_string_array("a.tokens"), ElementsAre("a", "", "\xc3\xa9"));
  EXPECT_THAT(**metadata_.find_i32_array("a.ids"), ElementsAre(1, -2, 3));
  EXPECT_THAT(**metadata_.find_f32_array("a.scores"), ElementsAre(0.5f, -1.0f));
  EXPECT_THAT(error_of(metadata_.get_string_array("a.ids")),
              HasSubstr("is array of 3 i32, expected an array of strings"));
  EXPECT_THAT(error_of(metadata_.find_f32_array("a.ids")), HasSubstr("expected an array of floats"));
  EXPECT_THAT(error_of(metadata_.find_i32_array("a.scores")), HasSubstr("element 0 is no 32-bit integer"));
  EXPECT_THAT(error_of(metadata_.find_i32_array("a.u8")), HasSubstr("expected an array of integers"));
}

TEST_F(GgufMetadataTest, StringArraysSurviveAMove) {
  const auto tokens = *metadata_.get_string_array("a.tokens");
  const GgufMetadata moved = std::move(metadata_);
  EXPECT_EQ(tokens[2], "\xc3\xa9");
  EXPECT_EQ(moved.get_string_array("a.tokens")->data(), tokens.data());
}

TEST_F(GgufMetadataTest, PerLayerValuesAreOneOrMany) {
  EXPECT_THAT(*metadata_.get_u32_per_layer("a.u8", 3), ElementsAre(200, 200, 200));
  EXPECT_THAT(*metadata_.get_u32_per_layer("a.flags", 2), ElementsAre(1, 0));
  EXPECT_EQ(*metadata_.find_u32_per_layer("no.such", 2), std::nullopt);
  EXPECT_THAT(error_of(metadata_.get_u32_per_layer("a.flags", 3)), HasSubstr("has 2 elements for 3 layers"));
  EXPECT_THAT(error_of(metadata_.get_u32_per_layer("a.ids", 3)),
              HasSubstr("element 1 is no unsigned 32-bit integer"));
  EXPECT_THAT(error_of(metadata_.get_u32_per_layer("a.f32", 3)), HasSubstr("or an array of them"));
  EXPECT_FALSE(metadata_.get_u32_per_layer("a.u8", 0xffffffffu)) << "a hostile block_count takes no memory";
}

}  // namespace
}  // namespace folio::weights
