// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace erofs_oci {

/// Rules for the text of single settings, for TextCodec: each gives the text back, perhaps in a normal form,
/// or throws Error invalid "must …". The text has no control characters.

std::string image_rule(std::string text);       ///< parse_image_source() accepts it
std::string mountpoint_rule(std::string text);  ///< absolute, normalised, not "/"
std::string path_rule(std::string text);        ///< absolute
std::string platform_rule(std::string text);    ///< os/architecture[/variant]
std::string credential_rule(
    std::string text);  ///< name of a credential or absolute path; never repeated in messages
std::string proxy_rule(std::string text);      ///< URL without user information; never repeated in messages
std::string root_hash_rule(std::string text);  ///< 64 hex digits, made lower-case

/// `layer`: a number from 0, or a digest; kept as text in both cases.
struct LayerCodec {
  static std::string type() { return "number | digest"; }
  static std::string read(const nlohmann::json& value);
  static nlohmann::json write(const std::string& value);
};

}  // namespace erofs_oci
