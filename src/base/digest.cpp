// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

constexpr std::string_view kPrefix = "sha256:";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<Digest> Digest::try_parse(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  Digest digest;
  if (text.size() != 2 * digest.value.size()) return std::nullopt;
  for (size_t i = 0; i < digest.value.size(); ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.value[i] = static_cast<std::byte>(high << 4 | low);
  }
  return digest;
}

Digest Digest::parse(std::string_view text) {
  if (auto digest = try_parse(text)) return *digest;
  throw make_error(ErrorKind::invalid, "'{}' is not a digest: expected sha256: and 64 hex digits",
                   printable(text.substr(0, 100)));
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * value.size());
  for (const std::byte byte : value) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string to_string(const Digest& digest) { return std::string(kPrefix) + digest.hex(); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorKind::system, "OpenSSL cannot start a SHA-256 digest");
  }
}

void Sha256::update(Bytes bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
    throw Error(ErrorKind::system, "OpenSSL cannot continue a SHA-256 digest");
  }
}

Digest Sha256::finish() {
  Digest digest;
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.value.data()), &length) != 1 ||
      EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorKind::system, "OpenSSL cannot finish a SHA-256 digest");
  }
  return digest;
}

Sha256 Sha256::copy() const {
  Sha256 other;
  if (EVP_MD_CTX_copy_ex(other.context_.get(), context_.get()) != 1)
    throw Error(ErrorKind::system, "OpenSSL cannot copy a SHA-256 digest");
  return other;
}

Digest sha256(Bytes bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

}  // namespace erofs_oci
