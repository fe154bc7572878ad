// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "control/files_wanted.h"

namespace erofs_oci {

/// {"error": kFailed, "parameters": {kind, errno, message}}
nlohmann::json failed_reply(const Error& error);

/// {"error": kFilesWanted, "parameters": {names}}
nlohmann::json files_wanted_reply(const FilesWanted& wanted);
/// What a reply with "error" asks for; nullopt where it is another error. Error corrupt for names that are
/// not of a layout.
std::optional<FilesWanted> files_wanted_of_reply(const nlohmann::json& reply);

/// An error of org.varlink.service by its short name ("MethodNotFound"), with its one parameter where it has
/// one.
nlohmann::json service_error_reply(std::string_view name, std::string_view parameter = {},
                                   std::string_view value = {});

/// The Error that a reply with "error" stands for. The text comes from a process that is trusted less: only
/// its printable characters are kept.
Error error_of_reply(const nlohmann::json& reply);

}  // namespace erofs_oci
