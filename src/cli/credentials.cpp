// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/image_source.h"
#include "registry/credentials.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFile = 1 * kMiB;
constexpr int kHowToOpen = O_RDONLY | O_NONBLOCK;  // a FIFO must not hold us up

constexpr const char* kCredentials = "CREDENTIALS_DIRECTORY";
constexpr const char* kAuthFile = "REGISTRY_AUTH_FILE";
constexpr const char* kDockerConfig = "DOCKER_CONFIG";
constexpr const char* kHome = "HOME";

/// What a variable says now, and then what it said when the mount was made.
using Places = std::array<CredentialPaths, 2>;

std::vector<fs::path> paths_of(const char* variable, const Places& places) {
  std::vector<fs::path> paths;
  for (const CredentialPaths& each : places) {
    const auto found = each.find(variable);
    if (found != each.end() && (paths.empty() || paths.back() != found->second))
      paths.emplace_back(found->second);
  }
  return paths;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// The file that the definition names; absent ones are for the caller to refuse.
std::optional<fs::path> named_file(const Definition& definition, const Places& places) {
  const auto& name = definition.registry.credential;
  if (!name) return std::nullopt;
  if (name->starts_with('/')) return fs::path(*name);
  const auto folders = paths_of(kCredentials, places);
  if (folders.empty()) {
    throw make_error(ErrorKind::not_found,
                     "registry.credential = \"{}\" needs the service manager's credentials: LoadCredential={}:/path in the "
                     "unit",
                     *name, *name);
  }
  const auto found =
      std::ranges::find_if(folders, [&](const fs::path& folder) { return is_there(folder / *name); });
  return (found != folders.end() ? *found : folders.front()) / *name;
}

fs::path home_of_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? fs::path(entry->pw_dir) : fs::path("/root");
}

/// Files that are looked at without being named; absent ones are passed over.
std::vector<fs::path> usual_files(const Definition& definition, const Places& places) {
  std::vector<fs::path> files;
  for (const fs::path& folder : paths_of(kCredentials, places)) files.push_back(folder / definition.name);
  for (const fs::path& file : paths_of(kAuthFile, places)) files.push_back(file);
  for (const fs::path& folder : paths_of(kDockerConfig, places)) files.push_back(folder / "config.json");
  auto homes = paths_of(kHome, places);
  if (homes.empty()) homes.push_back(home_of_user());
  for (const fs::path& home : homes) files.push_back(home / ".docker/config.json");
  files.push_back("/etc/erofs-oci/auth.json");
  return files;
}

/// "username:password", with at most a line feed behind it.
std::optional<registry::Credentials> parse_pair(const std::string& text) {
  const std::string line = text.substr(0, text.find_last_not_of("\r\n") + 1);
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0 || line.find('\n') != std::string::npos) return std::nullopt;
  return registry::Credentials{line.substr(0, colon), Secret(line.substr(colon + 1)), {}};
}

std::optional<registry::Credentials> read_credentials(const fs::path& path, const UniqueFd& file,
                                                      const Reference& reference) {
  if (!S_ISREG(stat_fd(file.get(), path.native()).st_mode))
    throw make_error(ErrorKind::invalid, "{}: is not a regular file", path.native());
  const Secret text(read_text(file.get(), kMaxFile, path.native()));
  const std::string& content = text.reveal();
  const size_t first = content.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || content[first] != '{') {
    if (auto pair = parse_pair(content)) return pair;
    throw make_error(ErrorKind::invalid, "{}: holds neither username:password nor a docker config.json", path.native());
  }
  const auto auth = registry::AuthFile::parse(content, path.native());
  auto found = auth.find(reference);
  if (const auto helper = auth.helper_for(reference); !found && helper) {
    logf(LogLevel::warning, "{}: names the credential helper '{}' for {}, which is not run; ignoring", path.native(),
         *helper, reference.host);
  }
  return found;
}

}  // namespace

CredentialPaths credential_paths() {
  CredentialPaths paths;
  for (const char* variable : {kCredentials, kAuthFile, kDockerConfig, kHome}) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    std::error_code error;
    const fs::path path = fs::absolute(value, error);
    if (!error && path.native().size() < PATH_MAX) paths.emplace(variable, path);
  }
  return paths;
}

std::optional<UniqueFd> find_credentials(const Definition& definition, const CredentialPaths& remembered) {
  const ImageSource source = parse_image_source(definition.image);
  if (source.kind != ImageKind::registry) return std::nullopt;
  const auto reference = Reference::parse(source.location);
  const Places places{credential_paths(), remembered};
  if (const auto path = named_file(definition, places)) {
    const auto credentials = read_credentials(*path, open_file(*path, kHowToOpen), reference);
    if (credentials) return registry::to_memory_file(*credentials);
    throw make_error(ErrorKind::not_found, "{}: says nothing of {}", path->native(), reference.host);
  }
  for (const fs::path& path : usual_files(definition, places)) {
    const auto file = try_open_file(path, kHowToOpen);
    if (!file) continue;
    if (const auto credentials = read_credentials(path, *file, reference)) return registry::to_memory_file(*credentials);
  }
  return std::nullopt;
}

}  // namespace erofs_oci
