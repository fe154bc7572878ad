// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings_to_serve_with.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/file.h"
#include "config/toml_reader.h"

namespace erofs_oci {
namespace {

std::string text_of(const std::filesystem::path& path) {
  const auto file = try_open_file(path, O_RDONLY);
  return file ? read_text(file->get(), kMaxTomlBytes, path.native()) : std::string();
}

void keep(const std::string& text, const std::filesystem::path& kept) {
  try {
    if (text_of(kept) != text) write_file_durably(kept, text, 0600);
  } catch (const Error& error) {
    logf(LogLevel::warning, "keeping a copy of the settings: {}", error.what());
  }
}

}  // namespace

DaemonSettings settings_to_serve_with(const std::filesystem::path& file, const std::filesystem::path& state_dir) {
  const std::filesystem::path kept = state_dir / "last-settings";
  try {
    const std::string text = text_of(file);
    const DaemonSettings settings = parse_daemon_settings(text, file.native());
    keep(text, kept);
    return settings;
  } catch (const Error& error) {
    logf(LogLevel::error, "{}; going on with the settings of the last start", error.what());
  }
  try {
    return load_daemon_settings(kept);
  } catch (const Error& error) {
    logf(LogLevel::error, "{}; going on with the defaults", error.what());
    return {};
  }
}

}  // namespace erofs_oci
