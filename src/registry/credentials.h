// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/reference.h"
#include "base/secret.h"
#include "base/unique_fd.h"

namespace erofs_oci::registry {

/// What proves to a registry who asks. An identity token, where there is one, goes before the password.
struct Credentials {
  std::string username;
  Secret password;
  Secret identity_token;
};

/// Docker's config.json or podman's auth.json: credentials by registry host, or by host and path
/// (containers-auth.json(5)). Immutable.
class AuthFile {
 public:
  /// Error invalid names `name`, never a value.
  static AuthFile parse(std::string_view json, std::string_view name);

  /// Those of the longest entry that covers the repository: "host/team/tools", "host/team", "host".
  std::optional<Credentials> find(const Reference& reference) const;

  /// The credential helper that the file names for the host: "ecr-login" means the program
  /// docker-credential-ecr-login. Nothing here runs it.
  std::optional<std::string> helper_for(const Reference& reference) const;

 private:
  std::map<std::string, Credentials, std::less<>> entries_;
  std::map<std::string, std::string, std::less<>> helpers_;
  std::string default_helper_;
};

/// A file in memory that holds them, to be passed to another process: secrets are never in a message. JSON.
UniqueFd to_memory_file(const Credentials& credentials);
/// What to_memory_file() wrote, or anyone else: "username", "password" and "identity_token", each optional. Error invalid
/// says what is wrong without the text.
Credentials read_memory_file(const UniqueFd& file);

/// The value of an Authorization field for HTTP's Basic scheme (RFC 7617).
Secret basic_authorization(const Credentials& credentials);

}  // namespace erofs_oci::registry
