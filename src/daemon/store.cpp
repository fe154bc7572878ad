// SPDX-License-Identifier: Apache-2.0
#include "daemon/store.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc_path.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxManifest = 4 * kMiB;
constexpr uint64_t kMaxBinding = 4 * kKiB;
constexpr uint64_t kMaxTrace = kMiB;

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

Digest digest_of(const json& object, const char* member) {
  return Digest::parse(object.at(member).get<std::string>());
}

/// What `parse` makes of a small file's object; nullopt where it is not what was written.
template <typename Parse>
auto parse_stored(const std::string& text, const Parse& parse) -> std::optional<decltype(parse(json()))> {
  try {
    return parse(json::parse(text));
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Digest sha256_of_file(int fd, const std::string& name) {
  Sha256 hash;
  for_each_piece(fd, name, [&](uint64_t, Bytes bytes) { hash.update(bytes); });
  return hash.finish();
}

Store::Store(fs::path root) : root_(std::move(root)) {
  for (const char* folder : {"files", "manifests", "bindings", "refs", "index", "traces"}) {
    std::error_code error;
    fs::create_directories(root_ / folder, error);
    if (error) throw system_error(error.value(), (root_ / folder).native());
  }
}

fs::path Store::file_path(const Digest& digest) const {
  return root_ / "files" / ("sha256-" + digest.hex());
}
fs::path Store::manifest_path(const Digest& digest) const {
  return root_ / "manifests" / ("sha256-" + digest.hex() + ".json");
}
fs::path Store::binding_path(const std::string& mount) const {
  return root_ / "bindings" / (mount + ".json");
}

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
  UniqueFd copy = nameless_file(path.parent_path());
  for_each_piece(fd, name,
                 [&](uint64_t offset, Bytes bytes) { pwrite_all(copy.get(), offset, bytes, path.native()); });
  if (sha256_of_file(copy.get(), name) != digest)
    throw make_error(ErrorKind::busy, "{}: changed while it was copied; try again", name);
  publish_file(copy.get(), path);
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

std::string Store::ref_name(const std::string& image, const std::string& platform) {
  return sha256(as_bytes(image + " " + platform)).hex() + ".json";
}

fs::path Store::ref_path(const std::string& image, const std::string& platform) const {
  return root_ / "refs" / ref_name(image, platform);
}

void Store::put_ref(const std::string& image, const std::string& platform, const Digest& digest) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const json object{{"version", 1},
                    {"image", image},
                    {"platform", platform},
                    {"digest", to_string(digest)},
                    {"time", fmt::format("{:%F %T}", fmt::gmtime(now))}};
  write_file_durably(ref_path(image, platform), object.dump(2) + "\n", 0644);
}

std::optional<Ref> Store::find_ref(const std::string& image, const std::string& platform) {
  const fs::path path = ref_path(image, platform);
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return std::nullopt;
  auto ref = parse_stored(read_text(file->get(), kMaxBinding, path.native()), [](const json& object) {
    return Ref{digest_of(object, "digest"), object.at("time").get<std::string>()};
  });
  if (!ref) logf(LogLevel::warning, "{}: is damaged; ignoring", path.native());
  return ref;
}

fs::path Store::index_path(const IndexKey& key) const {
  const std::string layer = key.layer ? fmt::format("-layer-{}", *key.layer) : "";
  return root_ / "index" / fmt::format("sha256-{}{}.index", key.manifest.hex(), layer);
}

bool Store::has_index(const IndexKey& key) const {
  return fs::exists(index_path(key));
}

uint64_t Store::index_size(const IndexKey& key) const {
  std::error_code none;
  const auto size = fs::file_size(index_path(key), none);
  return none ? 0 : size;
}

bool Store::has_any_index(const Digest& manifest) const {
  const std::string prefix = "sha256-" + manifest.hex();
  return std::ranges::any_of(names_in(root_ / "index"), [&](const std::string& name) {
    return name.starts_with(prefix) && name.ends_with(".index");
  });
}

std::shared_ptr<const ImageIndex> Store::find_index(const IndexKey& key) {
  const fs::path path = index_path(key);
  auto file = try_open_file(path, O_RDONLY);
  if (!file) return nullptr;
  const struct stat now = stat_fd(file->get(), path.native());
  {
    MutexLock lock(mutex_);
    std::erase_if(shared_, [](const auto& entry) { return entry.second.index.expired(); });
    const auto found = shared_.find(path);
    if (found != shared_.end() && found->second.device == now.st_dev && found->second.inode == now.st_ino)
      if (auto index = found->second.index.lock()) return index;
  }
  try {
    auto index = std::make_shared<const ImageIndex>(std::move(*file), path.native());
    MutexLock lock(mutex_);
    shared_[path] = {now.st_dev, now.st_ino, index};
    return index;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) throw;
    logf(LogLevel::warning, "{}; removing it", error.what());
    ::unlink(path.c_str());
    return nullptr;
  }
}

void Store::make_index(const IndexKey& key,
                       const std::function<void(int file, const std::string& name)>& write) {
  const fs::path path = index_path(key);
  const UniqueFd file = nameless_file(path.parent_path());
  write(file.get(), path.native());
  publish_file(file.get(), path);
}

fs::path Store::trace_path(const Digest& manifest, const Digest& device) const {
  return root_ / "traces" / fmt::format("sha256-{}-{}.trace", manifest.hex(), device.hex().substr(0, 16));
}

void Store::put_trace(const Digest& manifest, const Trace& trace) {
  write_file_durably(trace_path(manifest, trace.device), encode_trace(trace), 0644);
}

std::optional<Trace> Store::find_trace(const Digest& manifest, const Digest& device) {
  const fs::path path = trace_path(manifest, device);
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return std::nullopt;
  try {
    Trace trace = decode_trace(read_text(file->get(), kMaxTrace, path.native()));
    if (trace.device == device) return trace;
    throw Error(ErrorKind::corrupt, "is of another device");
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::system) throw;
    logf(LogLevel::warning, "{}: {}; removing it", path.native(), error.what());
    ::unlink(path.c_str());
    return std::nullopt;
  }
}

void Store::put_binding(const std::string& mount, const Binding& binding) {
  json object{{"version", 1}, {"layer", to_string(binding.layer)}};
  if (binding.tarindex) object["tarindex"] = to_string(*binding.tarindex);
  if (binding.zinfo) object["zinfo"] = to_string(*binding.zinfo);
  if (binding.stream_size) object["stream_size"] = *binding.stream_size;
  write_file_durably(binding_path(mount), object.dump(2) + "\n", 0644);
}

std::optional<Binding> Store::find_binding(const std::string& mount) {
  const fs::path path = binding_path(mount);
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return std::nullopt;
  auto binding = parse_stored(read_text(file->get(), kMaxBinding, path.native()), [](const json& object) {
    Binding found{digest_of(object, "layer"), std::nullopt, std::nullopt, std::nullopt};
    if (object.contains("tarindex")) found.tarindex = digest_of(object, "tarindex");
    if (object.contains("zinfo")) found.zinfo = digest_of(object, "zinfo");
    if (object.contains("stream_size")) found.stream_size = object.at("stream_size").get<uint64_t>();
    return found;
  });
  if (!binding) {
    throw make_error(ErrorKind::corrupt, "{}: is damaged; remove it to have the index checked anew",
                     path.native());
  }
  return binding;
}

}  // namespace erofs_oci
