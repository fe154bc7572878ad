// SPDX-License-Identifier: Apache-2.0
#include "registry/credentials.h"

#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "registry/base64.h"

namespace erofs_oci::registry {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxMemoryFile = 64 * kKiB;
constexpr std::string_view kDockerHub = "docker.io";

// "https://index.docker.io/v1/" and "registry.example.com/team" become what a Reference's repository() starts
// with.
std::string normalized_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!key.starts_with(scheme)) continue;
    key.remove_prefix(scheme.size());
    key = key.substr(0, key.find('/'));  // with a scheme, only the host counts, as docker has it
    break;
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  const std::string_view host = key.substr(0, key.find('/'));
  if (host == "index.docker.io" || host == "registry-1.docker.io") {
    return std::string(kDockerHub) + std::string(key.substr(host.size()));
  }
  return std::string(key);
}

// The object under `key`; an empty one where there is none.
Json object_member(const Json& json, const char* key) {
  const Json member = json.value(key, Json::object());
  if (!member.is_object()) throw make_error(ErrorKind::invalid, "\"{}\" is not an object", key);
  return member;
}

std::string text_member(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? "" : found->get<std::string>();
}

// "auth" is the Base64 form of "username:password"; docker pads passwords with NUL.
void decode_auth(const std::string& auth, Credentials& into) {
  auto decoded = base64_decode(auth);
  if (!decoded) throw Error(ErrorKind::invalid, "\"auth\" is not Base64");
  const Secret both(*std::exchange(decoded, std::nullopt));
  const size_t colon = both.reveal().find(':');
  if (colon == std::string::npos) throw Error(ErrorKind::invalid, "\"auth\" holds no \"username:password\"");
  into.username = both.reveal().substr(0, colon);
  const std::string& text = both.reveal();
  const size_t end = text.find_last_not_of('\0');
  into.password = Secret(text.substr(colon + 1, end == std::string::npos || end <= colon ? 0 : end - colon));
}

Credentials credentials_of(const Json& json) {
  if (!json.is_object()) throw Error(ErrorKind::invalid, "not an object");
  Credentials out;
  if (const std::string auth = text_member(json, "auth"); !auth.empty()) decode_auth(auth, out);
  if (const std::string name = text_member(json, "username"); !name.empty()) {
    out.username = name;
    out.password = Secret(text_member(json, "password"));
  }
  out.identity_token = Secret(text_member(json, "identitytoken"));
  return out;
}

bool is_empty(const Credentials& credentials) {
  return credentials.username.empty() && credentials.identity_token.empty();
}

}  // namespace

AuthFile AuthFile::parse(std::string_view text, std::string_view name) {
  // What nlohmann says may quote the text: it is not passed on.
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw make_error(ErrorKind::invalid, "{}: not a JSON object", name);
  AuthFile file;
  std::string where;
  try {
    file.default_helper_ = text_member(json, "credsStore");
    const Json helpers = object_member(json, "credHelpers");
    const Json auths = object_member(json, "auths");
    for (const auto& [key, value] : helpers.items()) {
      file.helpers_.emplace(normalized_key(key), value.get<std::string>());
    }
    for (const auto& [key, value] : auths.items()) {
      where = fmt::format(" (auths, {})", key);
      // An entry without a value says that the credentials are in a helper.
      if (Credentials found = credentials_of(value); !is_empty(found)) {
        file.entries_.insert_or_assign(normalized_key(key), std::move(found));
      }
    }
  } catch (const Json::exception&) {
    throw make_error(ErrorKind::invalid, "{}: a value is not of its type{}", name, where);
  } catch (const Error& error) {
    throw make_error(ErrorKind::invalid, "{}: {}{}", name, error.what(), where);
  }
  return file;
}

std::optional<Credentials> AuthFile::find(const Reference& reference) const {
  for (std::string key = reference.repository();;) {
    if (const auto found = entries_.find(key); found != entries_.end()) return found->second;
    const size_t slash = key.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    key.resize(slash);
  }
}

std::optional<std::string> AuthFile::helper_for(const Reference& reference) const {
  if (const auto found = helpers_.find(reference.host); found != helpers_.end()) return found->second;
  return default_helper_.empty() ? std::nullopt : std::optional(default_helper_);
}

UniqueFd to_memory_file(const Credentials& credentials) {
  const Json object{{"username", credentials.username},
                    {"password", credentials.password.reveal()},
                    {"identity_token", credentials.identity_token.reveal()}};
  const Secret text(object.dump());
  return memory_file("credentials", text.reveal());
}

Credentials read_memory_file(const UniqueFd& file) {
  ::lseek(file.get(), 0, SEEK_SET);
  const Secret text(read_text(file.get(), kMaxMemoryFile, "credentials"));
  const Json object = Json::parse(text.reveal(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw Error(ErrorKind::invalid, "credentials are not a JSON object");
  const auto member = [&](const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return {member("username"), Secret(member("password")), Secret(member("identity_token"))};
}

Secret basic_authorization(const Credentials& credentials) {
  const Secret both(credentials.username + ":" + credentials.password.reveal());
  return Secret("Basic " + base64_encode(both.reveal()));
}

}  // namespace erofs_oci::registry
