// SPDX-License-Identifier: Apache-2.0
#include "mount/utab.h"

#include <fmt/ranges.h>
#include <libmount/libmount.h>

#include <memory>

#include "base/error.h"

namespace erofs_oci {
namespace {

struct Unref {
  void operator()(libmnt_fs* fs) const { mnt_unref_fs(fs); }
  void operator()(libmnt_update* update) const { mnt_free_update(update); }
};
using Fs = std::unique_ptr<libmnt_fs, Unref>;

/// libmount's functions give 0, a negative errno, or 1 for "nothing to do".
void check(int result, const std::filesystem::path& target) {
  if (result < 0)
    throw system_error(-result, fmt::format("recording the mount of {} in utab", target.native()));
}

/// Replaces the entry of `target` by `fs`, or removes it where `fs` is null.
void update(const std::filesystem::path& target, libmnt_fs* fs) {
  const std::unique_ptr<libmnt_update, Unref> change(mnt_new_update());
  if (!change) throw system_error(ENOMEM, "libmount");
  const int result = mnt_update_set_fs(change.get(), 0, fs == nullptr ? target.c_str() : nullptr, fs);
  check(result, target);
  if (result == 0) check(mnt_update_table(change.get(), nullptr), target);
}

}  // namespace

void record_in_utab(const std::string& source, const std::filesystem::path& target,
                    std::span<const std::string> options) {
  if (options.empty()) return;
  const Fs fs(mnt_new_fs());
  if (!fs) throw system_error(ENOMEM, "libmount");
  check(mnt_fs_set_source(fs.get(), source.c_str()), target);
  check(mnt_fs_set_target(fs.get(), target.c_str()), target);
  check(mnt_fs_set_options(fs.get(), fmt::format("{}", fmt::join(options, ",")).c_str()), target);
  update(target, fs.get());
}

void remove_from_utab(const std::filesystem::path& target) {
  update(target, nullptr);
}

}  // namespace erofs_oci
