// SPDX-License-Identifier: Apache-2.0
#include "control/mount_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "config/definition_file.h"
#include "control/message_fields.h"

namespace erofs_oci {

template <>
struct EnumNames<MountPhase> {
  static constexpr std::array<std::string_view, 2> kNames{"preparing", "mounted"};
};
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxStateFile = 1 * kMiB;
constexpr std::chrono::seconds kLockLimit{60};
constexpr std::chrono::milliseconds kLockPause{20};

}  // namespace

template <>
struct Fields<MountState> {
  static void visit(auto& io, auto& m) {
    io("version", m.version);
    io("phase", m.phase);
    io("generation", m.generation);
    io("definition", m.definition);
    io("image_digest", m.image_digest);
    io("index_identity", m.index_identity);
    io("transport", m.transport);
    io("size_bytes", m.size_bytes);
    io("block_size", m.block_size);
    io("nbd_index", m.nbd_index);
    io("mount_id", m.mount_id);
    io("unique_mount_id", m.unique_mount_id);
    io("mount_device", m.mount_device);
    io("control_socket", m.control_socket);
    io("credential_paths", m.credential_paths);
  }
};

namespace {

MountState parse(const std::string& text, const std::string& name) {
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded()) throw Error(ErrorKind::corrupt, "is not JSON");
  MountState state;
  FieldReader reader(object);
  Fields<MountState>::visit(reader, state);  // without finish(): a newer version may have written more
  if (state.version != kStateVersion) {
    throw make_error(ErrorKind::unsupported, "has version {}, this program knows {}", state.version,
                     kStateVersion);
  }
  if (!is_generation(state.generation)) throw Error(ErrorKind::corrupt, "has no valid generation");
  if (state.name() != name) throw make_error(ErrorKind::corrupt, "is of mount '{}'", state.name());
  return state;
}

}  // namespace

std::string MountState::identifier() const { return fmt::format("erofs-oci:{}:{}", name(), generation); }

MountStates::MountStates(fs::path folder) : folder_(std::move(folder)) {}

void MountStates::make_folder() const {
  const fs::path folder = folder_ / "mounts";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw system_error(error.value(), folder.native());
}

fs::path MountStates::file(const std::string& name) const { return folder_ / "mounts" / (name + ".json"); }

UniqueFd MountStates::lock(const std::string& name, const std::function<void()>& check) const {
  check_mount_name(name);
  make_folder();
  const fs::path path = folder_ / (name + ".lock");
  UniqueFd fd = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  const auto deadline = std::chrono::steady_clock::now() + kLockLimit;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw errno_error("{}", path.native());
    if (std::chrono::steady_clock::now() > deadline) {
      throw make_error(ErrorKind::busy, "{}: another erofs-oci works on this mount", name);
    }
    check();
    std::this_thread::sleep_for(kLockPause);
  }
  return fd;
}

std::optional<MountState> MountStates::load(const std::string& name) const {
  const fs::path path = file(name);
  const auto fd = try_open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return std::nullopt;
  return with_context(path.native(), [&] {
    if (!S_ISREG(stat_fd(fd->get(), path.native()).st_mode))
      throw Error(ErrorKind::corrupt, "is not a regular file");
    try {
      return parse(read_text(fd->get(), kMaxStateFile, path.native()), name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::invalid) throw;
      throw make_error(error.kind(),
                       "{}; it says no more what is mounted: unmount that by umount(8), then remove the file",
                       error.what());
    }
  });
}

void MountStates::save(const MountState& state) const {
  make_folder();
  write_file_durably(file(state.name()), encode(state).dump(2) + "\n", 0644);
}

void MountStates::remove(const std::string& name) const {
  if (::unlink(file(name).c_str()) != 0 && errno != ENOENT) throw errno_error("{}", file(name).native());
}

std::vector<std::string> MountStates::names() const {
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = folder_ / "mounts";
  const fs::directory_iterator entries(folder, error);
  if (error && error != std::errc::no_such_file_or_directory)
    throw system_error(error.value(), folder.native());
  for (const auto& entry : entries) {
    if (entry.path().extension() == ".json" && is_mount_name(entry.path().stem().native())) {
      names.push_back(entry.path().stem());
    }
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace erofs_oci
