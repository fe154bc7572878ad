// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace erofs_oci {

/// The Varlink interface of the daemon (https://varlink.org/Interface-Definition).
constexpr std::string_view kInterface = "io.github.erofs-oci";
constexpr std::string_view kServiceInterface = "org.varlink.service";
/// The errors of kInterface. Failed: parameters kind, errno and message, as in class Error. FilesWanted:
/// names.
constexpr std::string_view kFailed = "io.github.erofs-oci.Failed";
constexpr std::string_view kFilesWanted = "io.github.erofs-oci.FilesWanted";
/// Where the daemon of the host listens (systemd's socket unit).
constexpr const char* kControlSocket = "/run/erofs-oci/control";

/// The interface as GetInterfaceDescription gives it: the contract, in words and types.
std::string_view interface_description();
/// The text of org.varlink.service, which describes itself.
std::string_view service_description();

inline std::string method_name(std::string_view method) {
  return std::string(kInterface).append(".").append(method);
}

}  // namespace erofs_oci
