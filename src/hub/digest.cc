#include "hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

namespace folio::hub {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(Kind kind, std::size_t bytes) : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, kind == Kind::kSha256 ? EVP_sha256() : EVP_sha1(), nullptr);
  if (kind == Kind::kGitBlob) add(fmt::format("blob {}{}", bytes, '\0'));
}

Digest::~Digest() = default;

void Digest::add(std::string_view piece) { EVP_DigestUpdate(state_->context, piece.data(), piece.size()); }

std::string Digest::hex() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned count = 0;
  EVP_DigestFinal_ex(state_->context, raw, &count);
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += fmt::format("{:02x}", raw[i]);
  return text;
}

}  // namespace folio::hub
