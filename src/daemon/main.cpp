// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <exception>

#include "base/log.h"
#include "daemon/daemon.h"

int main(int argc, char** argv) {
  erofs_oci::DaemonOptions options;
  CLI::App app("Serves container images as read-only block devices. See erofs-ocid(8).", "erofs-ocid");
  app.set_version_flag("--version", EROFS_OCI_VERSION);
  app.add_option("--settings", options.settings_file, "Settings file");
  app.add_option("--state-dir", options.state_dir,
                 "Where indexes, manifests and copies of index files are kept");
  app.add_option("--cache-dir", options.cache_dir,
                 "Where data that was read is kept, whatever the settings say");
  auto* const fill_bytes =
      app.add_option("--fill-bytes", options.fill.room, "Of a build: what it may leave there");
  app.add_option("--fill-cache", options.fill.folder,
                 "Leave what an index is built of to the cache in this folder")
      ->needs(fill_bytes);
  app.add_option("--listen", options.listen,
                 "Make the control socket here instead of taking it from systemd");
  app.add_option("--listen-fd", options.listen_fd, "Take this open descriptor as the control socket");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return erofs_oci::run_daemon(options);
  } catch (const std::exception& error) {
    erofs_oci::log(erofs_oci::LogLevel::error, std::string("erofs-ocid: ") + error.what());
    return 1;
  }
}
