// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace erofs_oci {

/// What went wrong, as far as a caller may act on it. Retry is decided by this, never by text.
enum class ErrorKind {
  not_found,    ///< the thing asked for does not exist
  denied,       ///< credentials or permissions were refused
  unavailable,  ///< may work later: network, time-outs, 5xx
  corrupt,      ///< data differs from its digest or its format
  unsupported,  ///< well-formed, but nothing here can handle it
  invalid,      ///< the request, definition or argument is wrong
  busy,         ///< in use by somebody else
  no_space,     ///< a disk or a bound is full
  system,       ///< the operating system refused; see errno_value()
};

/// Lower-case name of `kind` as used in JSON and logs.
std::string_view to_string(ErrorKind kind);

/// Inverse of to_string; unknown names give `system`.
ErrorKind error_kind_from_string(std::string_view name);

/// The one exception type: a category for programs, an errno for the wire, a sentence for people.
/// The sentence never contains a credential.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, int errno_value, const std::string& sentence)
      : std::runtime_error(sentence), kind_(kind), errno_value_(errno_value) {}
  Error(ErrorKind kind, const std::string& sentence);

  ErrorKind kind() const { return kind_; }
  /// The errno a block request or a system interface should see; never 0.
  int errno_value() const { return errno_value_; }

  /// The same error with "`context`: " before its sentence.
  Error within(std::string_view context) const;

 private:
  ErrorKind kind_;
  int errno_value_;
};

/// An Error of kind `kind` with a formatted sentence.
template <typename... Args>
Error make_error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// The Error for the system error `errno_value` ("`context`: No such file or directory"); its kind follows from it.
Error system_error(int errno_value, std::string_view context);

/// system_error() with the current errno.
template <typename... Args>
Error errno_error(fmt::format_string<Args...> format, Args&&... args) {
  const int saved = errno;
  return system_error(saved, fmt::format(format, std::forward<Args>(args)...));
}

/// Runs `body`; an Error that leaves it gets "`context`: " before its sentence.
template <typename Body>
decltype(auto) with_context(std::string_view context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw error.within(context);
  }
}

}  // namespace erofs_oci
