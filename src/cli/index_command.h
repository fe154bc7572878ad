// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/source_argument.h"

namespace erofs_oci {

struct IndexOptions {
  std::string source;
  SourceOptions image;
  std::string format = "image";
  std::string output;  ///< "": the store
  std::string zinfo;   ///< "": beside the output
  std::string whiteouts;
  std::string span;  ///< "": the format's usual
};

/// Builds an index of an image, or of a layer, into the store or a file. Returns the exit code; throws Error.
int index_command(const IndexOptions& options);

}  // namespace erofs_oci
