// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/daemon_client.h"
#include "cli/kernel_transport.h"
#include "cli/termination.h"
#include "control/mount_state.h"
#include "nbd/kernel_device.h"

namespace erofs_oci {

/// Makes, unmakes and repairs mounts: the steps of the design, each undone when a later one fails, and every one of them
/// such that a client killed after it leaves what the next call mends. Needs root. One thread at a time.
class Mounter {
 public:
  /// Says what is being done with the mount `name`; for people.
  using Reporter = std::function<void(const std::string& name, const std::string& sentence)>;

  /// `termination`, where it is given, ends mount().
  Mounter(MountStates& states, std::string control_socket, Reporter report,
          const Termination* termination = nullptr)
      : states_(states),
        control_socket_(std::move(control_socket)),
        report_(std::move(report)),
        termination_(termination) {}

  /// Mounts, or finds the mount there already and sees that it is served. Returns the state of the mount.
  /// When it is told to terminate, it undoes what it has done and throws interruption().
  MountState mount(const Definition& definition);
  /// As mount(), but one that is there already is Error busy, which says where and who serves it.
  MountState mount_own(const Definition& definition);
  /// Applies the definition's policy, and its credentials as they are now, to the mount; nothing else of it changes.
  /// Returns the keys that differ and take effect only on a restart. Error not_found where it is not mounted.
  std::vector<std::string> reload(const Definition& definition);
  /// Unmounts and forgets. A mount in use is Error busy, names its users, and stays mounted and served.
  /// Nothing of that name, or where `generation` is given only another: does nothing.
  void unmount(const std::string& name, const std::optional<std::string>& generation = std::nullopt);
  /// Unmounts in any case, without a word to the daemon: whoever has it open gets I/O errors from then on.
  /// Returns what is to be forgotten then; nullopt where there is nothing of that name.
  std::optional<MountState> end(const std::string& name);
  /// Tells the daemon of what was ended, and removes the state.
  void forget_ended(const MountState& state);
  /// Takes the mount out of the tree, in use or not, and forgets its name; whoever has it open is served on.
  void detach(const MountState& state);
  /// Whether somebody still reads what was detached.
  bool is_detached_in_use(const MountState& state);
  /// Ends the serving of what was detached.
  void end_detached(const MountState& state);
  /// Ends the reads of what was detached, without a word to its daemon.
  static void end_device(const MountState& state);
  static void end_what_nobody_uses(const MountState& state);
  /// Hands a mount to a daemon that does not serve it, as after a crash; asks the next one where it dies meanwhile. False
  /// where there was nothing to do.
  bool reattach(const std::string& name);

 private:
  void passed(const char* step) const;
  UniqueFd lock(const std::string& name) const;
  std::optional<MountState> load(const std::string& name) const;
  /// The state of `name` where it is mounted and served; what is left of one that is not is removed.
  std::optional<MountState> find_mounted(const std::string& name);
  MountState mount_anew(const Definition& definition);
  OpenReply open_source(const Definition& definition, std::optional<DaemonClient>& daemon) const;
  static void serve(const MountState& state, const std::vector<UniqueFd>& fds, DaemonClient& daemon);
  ScopedMount mount_served(const MountState& state, KernelTransport& transport) const;
  bool reattach_locked(const MountState& state);
  void undo(const MountState& state);
  void unmount_promptly(const MountState& state, std::optional<DaemonClient>& daemon);
  enum class Served { now, now_or_soon };
  bool is_served(const MountState& state, Served when = Served::now);
  void disconnect_device(const MountState& state);
  bool is_used_elsewhere(const MountState& state);
  bool is_device_used(const MountState& state, const nbd::KernelDevice& device);
  void close_in_daemon(const MountState& state);
  template <typename Ask>
  auto ask_briefly(const std::string& socket, std::optional<DaemonClient>& daemon, const Ask& ask);

  MountStates& states_;
  const std::string control_socket_;
  const Reporter report_;
  const Termination* const termination_;
  std::set<std::string> silent_;  // sockets of daemons that let a brief call pass unanswered
};

}  // namespace erofs_oci
