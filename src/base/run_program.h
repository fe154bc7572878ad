// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace erofs_oci {

/// Runs a program of the system and waits for it: an absolute path, and arguments with its name as the first. It has an empty
/// environment, and says nothing. Whether it exited with 0; false, too, where it could not be started. Thread-safe.
bool run_program(const char* path, const std::vector<const char*>& arguments);

}  // namespace erofs_oci
