// SPDX-License-Identifier: Apache-2.0
#include "config/daemon_settings.h"

#include <fcntl.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"
#include "config/codecs.h"
#include "config/rules.h"
#include "config/toml_reader.h"

namespace erofs_oci {
namespace {

/// Below this a few large spans would be inflated through the disk all the time.
constexpr uint64_t kMinMemory = 32 * kMiB;
constexpr uint64_t kMaxMemory = 1024 * kGiB;
constexpr uint64_t kMinCache = 64 * kMiB;
constexpr uint64_t kMaxCache = 1024 * 1024 * kGiB;
constexpr uint32_t kMaxConnections = 64;
constexpr uint32_t kMaxWorkers = 256;

/// syslog's levels by name: they begin at 3, so this is no ChoiceCodec.
struct LogLevelCodec {
  static constexpr std::array<std::string_view, 5> kNames{"error", "warning", "notice", "info", "debug"};
  static constexpr int kFirst = static_cast<int>(LogLevel::error);
  static std::string type() { return "error | warning | notice | info | debug"; }
  static LogLevel read(const nlohmann::json& value) {
    return static_cast<LogLevel>(kFirst + static_cast<int>(read_choice(value, kNames)));
  }
  static nlohmann::json write(LogLevel value) { return kNames.at(static_cast<size_t>(value) - kFirst); }
};

template <typename Codec, auto Field>
Setting<DaemonSettings> key(std::string_view name, std::string_view default_text, std::string_view doc) {
  return setting<DaemonSettings, Codec, Field>(name, default_text, doc);
}

// clang-format off
std::vector<Setting<DaemonSettings>> make_settings() {
  using S = DaemonSettings;
  return {
      key<TextCodec<path_rule, std::filesystem::path>, &S::cache_dir>("cache_dir", "/var/cache/erofs-oci",
          "Where data that was read is kept"),
      key<SizeCodec<kMinCache, kMaxCache>, &S::cache_limit>("cache_limit", "10GiB",
          "The most that all cached data may take up on disk"),
      key<SizeCodec<kMinMemory, kMaxMemory>, &S::memory_limit>("memory_limit", "64MiB",
          "The most data that is held in memory, for all mounts together"),
      key<NumberCodec<1, kMaxConnections>, &S::connections_per_host>("connections_per_host", "16",
          "The most connections to one host"),
      key<NumberCodec<1, kMaxWorkers>, &S::workers>("workers", "one a core",
          "How many threads decompress"),
      key<LogLevelCodec, &S::log_level>("log_level", "info",
          "The least important messages that are logged"),
  };
}
// clang-format on

}  // namespace

std::span<const Setting<DaemonSettings>> daemon_settings() {
  static const std::vector<Setting<DaemonSettings>> settings = make_settings();
  return settings;
}

DaemonSettings parse_daemon_settings(std::string_view text, std::string_view file_name) {
  DaemonSettings settings;
  read_settings(daemon_settings(), read_toml(text, file_name), settings);
  return settings;
}

DaemonSettings load_daemon_settings(const std::filesystem::path& path) {
  const auto file = try_open_file(path, O_RDONLY);
  if (!file) return {};
  return parse_daemon_settings(read_text(file->get(), kMaxTomlBytes, path.native()), path.native());
}

}  // namespace erofs_oci
