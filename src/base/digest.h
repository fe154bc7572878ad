// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/evp.h>

#include <array>
#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace erofs_oci {

/// A SHA-256 digest, the only algorithm that registries use in practice (OCI image-spec, descriptor.md#digests).
struct Digest {
  std::array<std::byte, 32> value{};

  /// Parses "sha256:" and 64 lower-case hex digits; anything else is Error invalid.
  static Digest parse(std::string_view text);
  static std::optional<Digest> try_parse(std::string_view text);

  /// 64 hex digits, without the algorithm.
  std::string hex() const;
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

/// "sha256:…", as in manifests and messages.
std::string to_string(const Digest& digest);

/// Computes a SHA-256 piece by piece. One thread at a time.
class Sha256 {
 public:
  Sha256();
  void update(Bytes bytes);
  /// The digest of everything so far; the object starts again from nothing.
  Digest finish();
  /// Another one that goes on from here by itself.
  Sha256 copy() const;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

Digest sha256(Bytes bytes);

}  // namespace erofs_oci

template <>
struct std::hash<erofs_oci::Digest> {
  size_t operator()(const erofs_oci::Digest& digest) const noexcept {
    return erofs_oci::load_le<size_t>(digest.value.data());
  }
};
