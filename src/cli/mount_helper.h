// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/definition.h"

namespace erofs_oci {

// What mount(8) and umount(8) run for the type erofs-oci: the program under the name mount.erofs-oci or
// umount.erofs-oci.

/// The command line of a helper, as mount(8), EXTERNAL HELPERS, gives it.
struct HelperArguments {
  std::vector<std::string> operands;
  std::string options;  ///< of -o
  bool lazy = false;    ///< umount -l
  bool f = false;       ///< umount -f: force; mount -f: fake, all but the mount itself
};

/// Error invalid for what a helper cannot be asked for.
HelperArguments parse_helper_arguments(int argc, char** argv);

/// `definition` with the options that fstab's line has beyond those for mount(8) itself; they override its
/// own. Error invalid where one is not known, as in a definition.
Definition with_fstab_options(Definition definition, std::string_view options);

/// Whether both paths name one directory, without looking at the directory itself, where an automount may
/// wait.
bool is_same_place(const std::filesystem::path& a, const std::filesystem::path& b);

/// Runs the helper of that name; the exit code of mount(8). Throws Error.
int run_mount_helper(std::string_view program, int argc, char** argv);

}  // namespace erofs_oci
