// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "gzip/zinfo.h"

namespace erofs_oci {

/// What is known of the windows of a zinfo, which nothing in it covers: a span's output ends with the window
/// of the next, so each span that is decoded tells about one. Where they differ, either may be wrong and both
/// are refused. Where all spans before one were decoded without a difference, it is as if the layer had been
/// inflated from its start. Thread-safe.
class WindowChecks {
 public:
  WindowChecks() = default;
  ~WindowChecks();
  WindowChecks(const WindowChecks&) = delete;
  WindowChecks& operator=(const WindowChecks&) = delete;

  /// Compares the end of span `span` with the next window. Bytes that are zero in a window may have been left
  /// out by its writer, since nothing refers to them; whether that is so is seen by check_start() of the next
  /// span. Throws Error corrupt.
  void check_end(const Zinfo& zinfo, size_t span, Bytes out);
  /// The window of `span` as its predecessor ended, where that was seen lately and differs in bytes left out.
  std::optional<std::vector<std::byte>> true_window(size_t span) const;
  /// It makes no difference to the span.
  void drop_true_window(size_t span) const;
  /// Has `span` and the one before refused, the second time: the first may be bytes broken on their way.
  /// Throws Error corrupt.
  [[noreturn]] void refuse(const Zinfo& zinfo, size_t span);
  /// Why `span` must not be served, whatever memory holds.
  std::optional<Error> damage(size_t span) const;

 private:
  class TrueWindows;
  static TrueWindows& true_windows();

  mutable Mutex mutex_;
  std::map<size_t, int> differences_ GUARDED_BY(mutex_);
  std::map<size_t, Error> damaged_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci
