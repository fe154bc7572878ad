// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.h"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

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

std::optional<fs::path> environment_path(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return fs::path(value);
}

/// The file that the definition names; absent ones are for the caller to refuse.
std::optional<fs::path> named_file(const Definition& definition) {
  const auto& name = definition.registry.credential;
  if (!name) return std::nullopt;
  if (name->starts_with('/')) return fs::path(*name);
  const auto folder = environment_path("CREDENTIALS_DIRECTORY");
  if (!folder) {
    throw make_error(ErrorKind::not_found,
                     "registry.credential = \"{}\" needs the service manager's credentials: LoadCredential={}:/path in the "
                     "unit",
                     *name, *name);
  }
  return *folder / *name;
}

fs::path home() {
  if (const auto path = environment_path("HOME")) return *path;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? fs::path(entry->pw_dir) : fs::path("/root");
}

/// Files that are looked at without being named; absent ones are passed over.
std::vector<fs::path> usual_files(const Definition& definition) {
  std::vector<fs::path> files;
  if (const auto folder = environment_path("CREDENTIALS_DIRECTORY")) files.push_back(*folder / definition.name);
  if (const auto file = environment_path("REGISTRY_AUTH_FILE")) files.push_back(*file);
  if (const auto folder = environment_path("DOCKER_CONFIG")) files.push_back(*folder / "config.json");
  files.push_back(home() / ".docker/config.json");
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

std::optional<UniqueFd> find_credentials(const Definition& definition) {
  const ImageSource source = parse_image_source(definition.image);
  if (source.kind != ImageKind::registry) return std::nullopt;
  const auto reference = Reference::parse(source.location);
  if (const auto path = named_file(definition)) {
    const auto credentials = read_credentials(*path, open_file(*path, kHowToOpen), reference);
    if (credentials) return registry::to_memory_file(*credentials);
    throw make_error(ErrorKind::not_found, "{}: says nothing of {}", path->native(), reference.host);
  }
  for (const fs::path& path : usual_files(definition)) {
    const auto file = try_open_file(path, kHowToOpen);
    if (!file) continue;
    if (const auto credentials = read_credentials(path, *file, reference)) return registry::to_memory_file(*credentials);
  }
  return std::nullopt;
}

}  // namespace erofs_oci
