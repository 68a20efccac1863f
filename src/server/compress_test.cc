#include "server/compress.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace folio::server {
namespace {

Coding of(const std::string& header) { return coding_of(&header); }

std::string unzipped(const std::string& body) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string text(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(Compress, AsTheClientAllows) {
  EXPECT_EQ(coding_of(nullptr), Coding::kPlain);
  for (const char* yes : {"gzip", "br, gzip;q=0.5", "GZIP", "*", "deflate , x-gzip", "*;q=0, gzip"})
    EXPECT_EQ(of(yes), Coding::kGzip) << yes;
  for (const char* no :
       {"", "identity", "gzip;q=0", "gzip; q=0.000", "*, gzip;q=0", "br", "*;q=0", "gzipped"})
    EXPECT_EQ(of(no), Coding::kPlain) << no;
}

TEST(Compress, GivesTheSameTextInFewerBytes) {
  std::string text;
  for (int i = 0; text.size() < 50'000; ++i) text += "folio_metric_" + std::to_string(i) + " 0\n";
  HttpResponse response{.body = text, .headers = {}};
  compress(response, Coding::kGzip);
  EXPECT_LT(response.body.size(), text.size() / 4);
  EXPECT_EQ(unzipped(response.body), text);
  EXPECT_EQ(response.headers.back().name, "Content-Encoding");
}

TEST(Compress, LeavesWhatGainsNothing) {
  for (const std::size_t size : {std::size_t{0}, kLeastToCompress - 1, kMostToCompress + 1}) {
    HttpResponse response{.body = std::string(size, 'x'), .headers = {}};
    compress(response, Coding::kGzip);
    EXPECT_EQ(response.body.size(), size);
    EXPECT_TRUE(response.headers.empty());
  }
  std::string noise(10'000, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  HttpResponse response{.body = noise, .headers = {}};
  compress(response, Coding::kGzip);
  EXPECT_EQ(response.body, noise);
}

}  // namespace
}  // namespace folio::server
