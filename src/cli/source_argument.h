// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "config/definition.h"

namespace erofs_oci {

/// What commands take beside a SOURCE, in place of a definition's keys.
struct SourceOptions {
  std::string platform;
  std::string layer;
  std::string ca;
  std::string credential;
  bool insecure = false;
};

/// The name of a definition that is made of an image by itself.
constexpr const char* kSourceName = "source";

/// What SOURCE stands for: the definition in a FILE.toml, the one of a NAME, or an image by itself. Options
/// go before the keys of a definition. Paths may be relative. Error invalid or not_found in words.
Definition definition_of_source(const std::string& source, const SourceOptions& options);

}  // namespace erofs_oci
