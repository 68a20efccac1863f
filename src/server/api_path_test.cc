#include "server/api_path.h"

#include <gtest/gtest.h>

namespace folio::server {
namespace {

TEST(ApiPath, SpellingsOfOnePath) {
  for (const char* path :
       {"/v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "/chat/completions//",
        "/openai/deployments/gpt-4o/chat/completions", "/openai/v1/chat/completions"})
    EXPECT_EQ(api_path(path), "/v1/chat/completions") << path;
  EXPECT_EQ(api_path("/v1/models/"), "/v1/models");
  EXPECT_EQ(api_path("/models/org/name"), "/v1/models/org/name");
  EXPECT_EQ(api_path("/completions/render"), "/v1/completions/render");
}

TEST(ApiPath, OtherPathsAreThemselves) {
  for (const char* path : {"/", "", "/health", "/modelsX", "/openai/deployments/name", "/v1", "/tokenize"})
    EXPECT_EQ(api_path(path), path);
  EXPECT_EQ(api_path("/health/"), "/health");
}

}  // namespace
}  // namespace folio::server
