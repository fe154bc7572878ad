// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/source_argument.h"
#include "config/definition.h"

namespace erofs_oci {

// The commands of erofs-oci(1). Each returns the process's exit code and throws Error, which main prints.

int mount_command(const std::string& name);
/// All mounts where `name` is empty. `force`: in use or not, see Mounter::end().
int umount_command(const std::string& name, bool force);
/// Error, naming them, where keys have changed that take a restart; the others are in force then.
int reload_command(const std::string& name);
/// All mounts where `name` is empty; goes on with the others when one fails, and returns EX_TEMPFAIL where
/// the failure may pass.
int reattach_command(const std::string& name);
/// Prints what happens to the mount, or to all, until a signal.
int monitor_command(const std::string& name, bool json);
int status_command(const std::string& name, bool json);
int check_command(const std::string& name_or_file, bool online);
/// Removes from the daemon's store what no definition names and no mount needs.
int cache_gc_command(bool dry_run);
int cache_ls_command(bool json);
/// 1 where something was damaged.
int cache_verify_command();
/// `layer`: a digest, or how it begins; "": all.
int cache_rm_command(const std::string& layer);
/// Fetches all of a mount to disk. `rate`: a size, or "".
int prefetch_command(const std::string& name, const std::string& rate);
/// Prints a picture of what was read of a mount and when, as SVG.
int plot_command(const std::string& name);
int run_command(const std::string& file);
struct InspectOptions {
  std::string source;  ///< an image, or NAME|FILE.toml of a definition
  SourceOptions image;
  bool json = false;
};
int inspect_command(const InspectOptions& options);
int export_command(const std::string& name_or_file, const std::string& socket);

/// The definition NAME of /etc/erofs-oci, or the one in a file where the argument has a '/' or ends in ".toml".
Definition definition_of(const std::string& name_or_file);
/// A Mounter's Reporter: on standard error, "tools: is not mounted".
void report(const std::string& name, const std::string& sentence);
/// Error denied, naming `command`, for anyone but root.
void require_root(const char* command);

}  // namespace erofs_oci
