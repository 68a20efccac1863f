#include "server/http.h"

#include <gtest/gtest.h>

#include "server/error_response.h"

namespace folio::server {
namespace {

TEST(Http, HeadersAreFoundInEitherCase) {
  HttpRequest request;
  request.headers = {{"X-Request-ID", "a"}};
  ASSERT_NE(request.find("x-request-id"), nullptr);
  EXPECT_EQ(request.find("x-request"), nullptr);
}

TEST(Http, AnErrorSaysWhenToComeBackAndWhatIsAllowed) {
  const auto busy =
      error_response({.status = 429, .message = "x", .param = {}, .code = {}, .retry_after_s = 2});
  EXPECT_EQ(busy.headers.at(0).name + ": " + busy.headers.at(0).value, "Retry-After: 2");
  const auto method =
      error_response({.status = 405, .message = "x", .param = {}, .code = {}, .allowed = "GET, POST"});
  EXPECT_EQ(method.headers.at(0).name + ": " + method.headers.at(0).value, "Allow: GET, POST");
}

}  // namespace
}  // namespace folio::server
