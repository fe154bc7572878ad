// SPDX-License-Identifier: Apache-2.0
#include "daemon/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxManifest = 4 * kMiB;
constexpr uint64_t kMaxBinding = 4 * kKiB;

/// Hands the file on in pieces.
template <typename Take>
void for_each_piece(int fd, const std::string& name, Take&& take) {
  std::vector<std::byte> buffer(kMiB);
  for (uint64_t offset = 0;;) {
    const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error("{}", name);
    if (count == 0) return;
    take(offset, Bytes(buffer).first(static_cast<size_t>(count)));
    offset += static_cast<uint64_t>(count);
  }
}

}  // namespace

Digest sha256_of_file(int fd, const std::string& name) {
  Sha256 hash;
  for_each_piece(fd, name, [&](uint64_t, Bytes bytes) { hash.update(bytes); });
  return hash.finish();
}

Store::Store(fs::path root) : root_(std::move(root)) {
  for (const char* folder : {"files", "manifests", "bindings"}) {
    std::error_code error;
    fs::create_directories(root_ / folder, error);
    if (error) throw system_error(error.value(), (root_ / folder).native());
  }
}

fs::path Store::file_path(const Digest& digest) const { return root_ / "files" / ("sha256-" + digest.hex()); }
fs::path Store::manifest_path(const Digest& digest) const {
  return root_ / "manifests" / ("sha256-" + digest.hex() + ".json");
}
fs::path Store::binding_path(const std::string& mount) const { return root_ / "bindings" / (mount + ".json"); }

std::optional<UniqueFd> Store::find(const Digest& digest) {
  const fs::path path = file_path(digest);
  auto file = try_open_file(path, O_RDONLY);
  if (file && sha256_of_file(file->get(), path.native()) != digest) {
    logf(LogLevel::warning, "{}: is damaged; ignoring", path.native());
    return std::nullopt;
  }
  return file;
}

Store::Kept Store::keep(int fd, const std::string& name) {
  const Digest digest = sha256_of_file(fd, name);
  if (auto kept = find(digest)) return {digest, std::move(*kept)};
  const fs::path path = file_path(digest);
  const fs::path temporary = path.native() + "." + random_hex_128();
  UniqueFd copy = open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0644);
  try {
    for_each_piece(fd, name, [&](uint64_t offset, Bytes bytes) {
      pwrite_all(copy.get(), offset, bytes, temporary.native());
    });
    if (::fsync(copy.get()) != 0) throw errno_error("{}: fsync", temporary.native());
    if (sha256_of_file(copy.get(), name) != digest) {
      throw make_error(ErrorKind::busy, "{}: changed while it was copied; try again", name);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw errno_error("{}: rename", path.native());
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  return {digest, std::move(copy)};
}

void Store::put_manifest(const Digest& digest, const std::string& text) {
  if (!find_manifest(digest)) write_file_durably(manifest_path(digest), text, 0644);
}

std::optional<std::string> Store::find_manifest(const Digest& digest) {
  const fs::path path = manifest_path(digest);
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return std::nullopt;
  std::string text = read_text(file->get(), kMaxManifest, path.native());
  if (sha256(as_bytes(text)) != digest) {
    logf(LogLevel::warning, "{}: is damaged; ignoring", path.native());
    return std::nullopt;
  }
  return text;
}

void Store::put_binding(const std::string& mount, const Binding& binding) {
  json object{{"version", 1}, {"layer", to_string(binding.layer)}, {"tarindex", to_string(binding.tarindex)}};
  if (binding.zinfo) object["zinfo"] = to_string(*binding.zinfo);
  write_file_durably(binding_path(mount), object.dump(2) + "\n", 0644);
}

std::optional<Binding> Store::find_binding(const std::string& mount) {
  const fs::path path = binding_path(mount);
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return std::nullopt;
  try {
    const json object = json::parse(read_text(file->get(), kMaxBinding, path.native()));
    Binding binding{Digest::parse(object.at("layer").get<std::string>()),
                    Digest::parse(object.at("tarindex").get<std::string>()), std::nullopt};
    if (object.contains("zinfo")) binding.zinfo = Digest::parse(object.at("zinfo").get<std::string>());
    return binding;
  } catch (const json::exception&) {
    throw make_error(ErrorKind::corrupt, "{}: is damaged; remove it to have the index checked anew", path.native());
  }
}

}  // namespace erofs_oci
