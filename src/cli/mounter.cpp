// SPDX-License-Identifier: Apache-2.0
#include "cli/mounter.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/alarm.h"
#include "base/error.h"
#include "base/log.h"
#include "base/read_ahead.h"
#include "base/text.h"
#include "cli/crash_point.h"
#include "cli/credentials.h"
#include "cli/kernel_transport.h"
#include "cli/live_mount.h"
#include "cli/progress.h"
#include "config/definition_changes.h"
#include "config/definition_json.h"
#include "mount/mount_users.h"
#include "mount/mountpoint.h"
#include "mount/unmount.h"
#include "nbd/kernel_device.h"
#include "nbd/netlink.h"

namespace erofs_oci {
namespace {

/// So many restarts of the daemon a mount outlives while it is opened.
constexpr int kMaxRestarts = 5;

/// How long an unmount waits for readers to go whose reads have been failed: a stop has to end within 10 s.
constexpr std::chrono::seconds kReadersLeave{5};
constexpr std::chrono::milliseconds kReadersPause{100};
/// How long the kernel may take to end a mount over fuse whose last user has gone; udev may still look at its loop device.
constexpr std::chrono::seconds kServingEnds{5};
constexpr std::chrono::milliseconds kServingPause{5};
/// So often in a row nobody reads of whom the mount is busy all the same: it is in use.
constexpr int kQuietRounds = 2;

/// Calls `undo` when left by an exception.
template <typename Undo>
class OnFailure {
 public:
  explicit OnFailure(Undo undo) : undo_(std::move(undo)), exceptions_(std::uncaught_exceptions()) {}
  ~OnFailure() {
    if (std::uncaught_exceptions() == exceptions_) return;
    try {
      undo_();
    } catch (const std::exception& error) {
      logf(LogLevel::warning, "undoing: {}; ignoring", error.what());
    }
  }

 private:
  Undo undo_;
  int exceptions_;
};

/// What would be refused after all the network's work had been done.
void check_mountpoint(const Definition& definition) {
  Mountpoint::open(definition.mountpoint);
  const auto there = find_mount(definition.mountpoint);
  if (there && there->type != "autofs") {  // an automount waits there for just this mount
    throw make_error(ErrorKind::busy, "{}: something is mounted there already", definition.mountpoint.native());
  }
}

/// For whoever has lost the state; for systemd, which orders it as a remote mount; and for umount(8), which leaves the work to
/// umount.erofs-oci.
std::vector<std::string> mount_options(const MountState& state) {
  std::vector<std::string> options{identifying_option(state), "_netdev", "helper=erofs-oci"};
  options.insert(options.end(), state.definition.options.begin(), state.definition.options.end());
  return options;
}

MountState new_state(const Definition& definition, const OpenReply& opened, const std::string& control_socket) {
  MountState state;
  state.generation = random_hex_128();
  state.definition = definition;
  state.image_digest = opened.image_digest;
  state.index_identity = opened.index_identity;
  state.size_bytes = opened.size_bytes;
  state.block_size = opened.block_size;
  state.control_socket = control_socket;
  state.credential_paths = credential_paths();
  return state;
}

/// A daemon that stops gives up what it opens (ECANCELED), one that dies closes the connection.
bool is_daemon_gone(const Error& error) {
  const int code = error.errno_value();
  return error.kind() == ErrorKind::unavailable && !is_interruption(error) &&
         (code == ECONNRESET || code == ECANCELED || code == EPIPE);
}

/// By the filesystem's own knob: the queue's would wait, in the kernel, for reads that wait for us.
void apply_read_ahead(const MountState& state) {
  if (state.mount_device) set_read_ahead(*state.mount_device, state.definition.io.read_ahead);
}

bool is_served_by(DaemonClient& daemon, const MountState& state) {
  return std::ranges::any_of(daemon.status(state.name()), [&](const MountStatus& status) {
    return status.generation == state.generation;
  });
}

/// A daemon that is about to go on with what a former one served does not tell the generation yet.
bool is_resumed_by(DaemonClient& daemon, const MountState& state) {
  return std::ranges::any_of(daemon.status(state.name()), [](const MountStatus& status) {
    return !status.generation && status.health == Health::opening;
  });
}

/// Of a `run` that was killed. One whose daemon is there and silent is not.
bool is_orphan(const MountState& state) {
  if (state.control_socket == kControlSocket) return false;
  try {
    DaemonClient daemon(state.control_socket);
    return !is_served_by(daemon, state);
  } catch (const Error& error) {
    return error.errno_value() != ETIMEDOUT;
  }
}

Error mounted_already(const MountState& state) {
  const std::string place = state.definition.mountpoint.native();
  if (state.control_socket == kControlSocket) {
    return make_error(ErrorKind::busy,
                      "is mounted on {} already, by the service; erofs-oci umount {} unmounts it", place,
                      state.name());
  }
  return make_error(ErrorKind::busy,
                    "is mounted on {} already, by another erofs-oci run, whose daemon listens on {}", place,
                    state.control_socket);
}

}  // namespace

/// Asks a daemon for what can be done without it, too. One that has let such a call pass unanswered is asked
/// no more.
template <typename Ask>
auto Mounter::ask_briefly(const std::string& socket, std::optional<DaemonClient>& daemon, const Ask& ask) {
  if (silent_.contains(socket))
    throw make_error(ErrorKind::unavailable, "the daemon that listens on {} did not answer before", socket);
  try {
    if (!daemon) daemon.emplace(socket, nullptr, kBriefLimit);
    return ask(*daemon);
  } catch (const Error& error) {
    if (error.errno_value() == ETIMEDOUT) silent_.insert(socket);
    throw;
  }
}

/// Between two steps of a mount.
void Mounter::passed(const char* step) const {
  crash_point(step);
  if (termination_ != nullptr) termination_->check();
}

UniqueFd Mounter::lock(const std::string& name) const {
  UniqueFd held = states_.lock(name, [this] {
    if (termination_ != nullptr) termination_->check();
  });
  passed("locked");
  return held;
}

/// What is known of `name`, whose lock is held.
std::optional<MountState> Mounter::load(const std::string& name) const {
  auto state = states_.load(name);
  return state ? std::move(state) : recover_state(name);
}

std::optional<MountState> Mounter::find_mounted(const std::string& name) {
  const auto state = load(name);
  if (!state) return std::nullopt;
  if (state->phase == MountPhase::mounted && find_live_mount(*state) && !is_orphan(*state)) return state;
  report_(name, "removing what a former mount left");
  undo(*state);
  return std::nullopt;
}

MountState Mounter::mount(const Definition& definition) {
  const UniqueFd held = lock(definition.name);
  const auto state = find_mounted(definition.name);
  if (!state) return mount_anew(definition);
  reattach_locked(*state);
  report_(state->name(), fmt::format("is mounted on {} already", state->definition.mountpoint.native()));
  if (to_json(definition) != to_json(state->definition))
    report_(state->name(), "its definition has changed since; that takes effect when it is mounted anew");
  return *state;
}

MountState Mounter::mount_own(const Definition& definition) {
  const UniqueFd held = lock(definition.name);
  if (const auto state = find_mounted(definition.name)) throw mounted_already(*state);
  return mount_anew(definition);
}

/// Asks once more where the daemon is restarted meanwhile: an index may take minutes to build.
OpenReply Mounter::open_source(const Definition& definition, std::optional<DaemonClient>& daemon) const {
  ProgressDisplay display(definition.name);
  for (int restarts = 0;; ++restarts) {
    daemon.emplace(control_socket_, termination_);
    try {
      return daemon->open(definition, std::nullopt, [&](const OpenProgress& progress) { display.show(progress); });
    } catch (const Error& error) {
      if (!is_daemon_gone(error) || restarts == kMaxRestarts) throw;
    }
    display.show({.stage = "the daemon went away; asking the next one"});
  }
}

MountState Mounter::mount_anew(const Definition& definition) {
  check_mountpoint(definition);
  std::optional<DaemonClient> daemon;  // what was opened belongs to its connection until it is served
  const OpenReply opened = open_source(definition, daemon);
  passed("opened");
  MountState state = new_state(definition, opened, control_socket_);
  const OnFailure close([&] { close_in_daemon(state); });
  states_.save(state);
  const OnFailure forget([&] { states_.remove(state.name()); });
  passed("state-written");
  const auto transport = make_kernel_transport(state);
  state.transport = transport->kind();
  state.nbd_index = transport->nbd_index();
  states_.save(state);
  passed("connected");
  serve(state, transport->take_daemon_fds(), *daemon);
  passed("served");
  ScopedMount mounted = mount_served(state, *transport);
  passed("mounted");
  state.mount_id = static_cast<uint32_t>(mounted.id());
  state.unique_mount_id = mounted.unique_id();
  state.mount_device = mounted.device();
  state.phase = MountPhase::mounted;
  states_.save(state);
  passed("recorded");
  mounted.release();
  transport->release();
  return state;
}

/// A daemon that answers no read would hold us in the kernel, where no signal reaches us.
ScopedMount Mounter::mount_served(const MountState& state, KernelTransport& transport) const {
  const Definition& definition = state.definition;
  std::atomic<bool> given_up{false};
  const Alarm alarm(std::chrono::steady_clock::now() + definition.start_timeout, [&] {
    given_up = true;
    try {
      transport.give_up();
    } catch (const Error& error) {
      logf(LogLevel::error, "{}: giving it up: {}", definition.name, error.what());
    }
  });
  try {
    transport.wait_until_ready();
    passed("queue-set");
    return transport.mount(
        {.source = {}, .mountpoint = definition.mountpoint, .options = mount_options(state)});
  } catch (const Error& error) {
    if (!given_up) throw;
    const auto limit = std::chrono::duration_cast<std::chrono::seconds>(definition.start_timeout).count();
    throw make_error(ErrorKind::unavailable, "the daemon did not answer the kernel within start_timeout ({} s): {}", limit,
                     error.what());
  }
}

void Mounter::serve(const MountState& state, const std::vector<UniqueFd>& fds, DaemonClient& daemon) {
  ServeRequest request{state.name(), state.generation, state.transport, {}};
  for (FdIndex i = 0; i < fds.size(); ++i) request.fds.push_back(i);
  daemon.serve(request, fds);
}

std::vector<std::string> Mounter::reload(const Definition& definition) {
  const UniqueFd held = lock(definition.name);
  auto state = states_.load(definition.name);
  if (!state && recover_state(definition.name)) {
    throw Error(ErrorKind::not_found,
                "its state file was removed, so that nobody knows what is in force; what it serves goes on until it is "
                "unmounted and mounted anew");
  }
  if (!state || state->phase != MountPhase::mounted || !find_live_mount(*state))
    throw Error(ErrorKind::not_found, "is not mounted");
  const auto changes = changes_between(state->definition, definition);
  state->definition = with_policy_of(state->definition, definition);
  DaemonClient(state->control_socket, termination_)
      .reload(state->definition, state->generation, state->credential_paths);
  for (const auto& [variable, path] : credential_paths()) state->credential_paths[variable] = path;
  states_.save(*state);
  std::vector<std::string> left;
  for (const DefinitionChange& change : changes) {
    if (change.key == "io.read_ahead") apply_read_ahead(*state);
    if (change.when == TakesEffect::on_restart) left.emplace_back(change.key);
    if (change.when == TakesEffect::on_reload)
      report_(definition.name, fmt::format("{} is in force", change.key));
  }
  return left;
}

void Mounter::unmount(const std::string& name, const std::optional<std::string>& generation) {
  const UniqueFd held = states_.lock(name);
  const auto state = load(name);
  if (state && (!generation || state->generation == *generation)) return undo(*state);
  report_(name, state ? "was mounted anew by somebody else; leaving that alone" : "is not mounted");
  if (generation) return;
  // A client that was killed before it wrote a state may have had the source opened.
  try {
    std::optional<DaemonClient> daemon;
    ask_briefly(control_socket_, daemon, [&](DaemonClient& client) { client.close(name, std::nullopt); });
  } catch (const Error& error) {
    logf(LogLevel::debug, "{}: {}; ignoring", name, error.what());  // no daemon has nothing open
  }
}

std::optional<MountState> Mounter::end(const std::string& name) {
  const UniqueFd held = states_.lock(name);
  auto state = load(name);
  if (!state) return std::nullopt;
  if (const auto mounted = find_live_mount(*state))
    erofs_oci::detach(mounted->target, mounted->id, [&] { end_what_nobody_uses(*state); });
  end_device(*state);
  return state;
}

void Mounter::forget_ended(const MountState& state) {
  const UniqueFd held = states_.lock(state.name());
  close_in_daemon(state);
  const auto current = states_.load(state.name());
  if (current && current->generation == state.generation) states_.remove(state.name());
}

void Mounter::detach(const MountState& state) {
  const UniqueFd held = states_.lock(state.name());
  const auto current = states_.load(state.name());
  if (!current || current->generation != state.generation) return;
  if (const auto mounted = find_live_mount(*current))
    erofs_oci::detach(mounted->target, mounted->id, [&] { end_what_nobody_uses(*current); });
  states_.remove(state.name());
}

bool Mounter::is_detached_in_use(const MountState& state) {
  if (!is_served(state)) return false;
  const auto device = find_own_device(state);
  return !device || device->is_in_use();  // over fuse the serving ends with the last user
}

void Mounter::end_detached(const MountState& state) {
  end_device(state);
  close_in_daemon(state);
}

void Mounter::end_device(const MountState& state) {
  if (const auto device = find_own_device(state))
    nbd::Netlink().disconnect(device->index(), state.identifier());
}

/// Takes apart whatever of a mount is there, in the reverse order of its making; nothing that is not ours.
void Mounter::undo(const MountState& state) {
  std::optional<DaemonClient> hurrying;  // its connection keeps reads from waiting
  unmount_promptly(state, hurrying);
  disconnect_device(state);
  close_in_daemon(state);
  states_.remove(state.name());
}

/// Reads that wait for a source that is away keep the mount busy, and umount(2) itself waiting: they are failed first, and
/// their readers given a moment to go.
void Mounter::unmount_promptly(const MountState& state, std::optional<DaemonClient>& daemon) {
  const auto mounted = find_live_mount(state);
  if (!mounted) return;
  const auto hurry = [&]() -> uint64_t {
    try {
      return ask_briefly(state.control_socket, daemon, [&](DaemonClient& client) {
        return client.begin_unmount(state.name(), state.generation);
      });
    } catch (const Error& error) {
      logf(LogLevel::debug, "{}: {}; ignoring", state.name(), error.what());
      return 0;
    }
  };
  const auto until = std::chrono::steady_clock::now() + kReadersLeave;
  for (int quiet = 0;;) {
    quiet = hurry() == 0 ? quiet + 1 : 0;
    try {
      return erofs_oci::unmount(mounted->target, mounted->id, [&] { end_what_nobody_uses(state); });
    } catch (const Error& error) {
      const bool may_end = quiet < kQuietRounds && std::chrono::steady_clock::now() < until;
      if (error.kind() != ErrorKind::busy || !may_end) throw;
    }
    std::this_thread::sleep_for(kReadersPause);
  }
}

/// For an unmount that waits for reads that no daemon answers: by then the filesystem is nobody's any more. Over fuse there is no
/// such way.
void Mounter::end_what_nobody_uses(const MountState& state) {
  if (state.transport != TransportKind::nbd || !state.mount_device) return;
  try {
    if (find_live_mount(state) || is_mounted_anywhere(*state.mount_device)) return;
    logf(LogLevel::warning, "{}: nobody answers the reads for which umount waits; ending its device", state.name());
    end_device(state);
  } catch (const Error& error) {
    logf(LogLevel::error, "{}: {}", state.name(), error.what());
  }
}

/// A filesystem may live on, by a bind mount or in another mount namespace; ending its device would fail the
/// reads there.
void Mounter::disconnect_device(const MountState& state) {
  if (is_used_elsewhere(state)) {
    throw Error(ErrorKind::busy,
                "is unmounted here, but still in use by a bind mount or in another mount namespace; it is "
                "served on until a later umount finds it unused; umount --force ends it at once");
  }
  end_device(state);
}

/// Over nbd the device tells. Over fuse the serving ends by itself with the last user, very soon.
bool Mounter::is_used_elsewhere(const MountState& state) {
  if (state.transport == TransportKind::nbd) {
    const auto device = find_own_device(state);
    return device && is_device_used(state, *device);
  }
  const auto until = std::chrono::steady_clock::now() + kServingEnds;
  while (is_served(state, Served::now_or_soon)) {
    if (std::chrono::steady_clock::now() >= until) return true;
    std::this_thread::sleep_for(kServingPause);
  }
  return false;
}

/// It is not opened where nobody serves it, as that would wait for an answer that may never come. Who uses it
/// waits for the next daemon; only that of a `run` is followed by none.
bool Mounter::is_device_used(const MountState& state, const nbd::KernelDevice& device) {
  if (is_served(state)) return device.is_in_use();
  const bool is_dead = state.control_socket != kControlSocket && !silent_.contains(state.control_socket);
  if (is_dead) return false;
  return device.is_claimed() || (state.mount_device && is_mounted_anywhere(*state.mount_device));
}

bool Mounter::is_served(const MountState& state, Served when) {
  try {
    std::optional<DaemonClient> daemon;
    return ask_briefly(state.control_socket, daemon, [&](DaemonClient& client) {
      return is_served_by(client, state) || (when == Served::now_or_soon && is_resumed_by(client, state));
    });
  } catch (const Error&) {
    return false;  // no daemon, or one that does not answer, serves nothing
  }
}

/// Unmounting works without the daemon; a daemon that is gone has nothing to close.
void Mounter::close_in_daemon(const MountState& state) {
  try {
    std::optional<DaemonClient> daemon;
    ask_briefly(state.control_socket, daemon,
                [&](DaemonClient& client) { client.close(state.name(), state.generation); });
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: {}; ignoring", state.name(), error.what());
  }
}

bool Mounter::reattach(const std::string& name) {
  const UniqueFd lock = states_.lock(name);
  const auto state = states_.load(name);
  if (!state || state->phase != MountPhase::mounted) return false;
  for (int restarts = 0;; ++restarts) {
    try {
      return reattach_locked(*state);
    } catch (const Error& error) {
      if (!is_daemon_gone(error) || restarts == kMaxRestarts) throw;
    }
  }
}

/// False where it is served already.
bool Mounter::reattach_locked(const MountState& state) {
  DaemonClient daemon(state.control_socket, termination_);
  if (is_served_by(daemon, state)) return false;
  const OpenReply opened = daemon.open(
      state.definition, state.image_digest, [](const OpenProgress&) {}, state.credential_paths);
  if (opened.generation == state.generation) return false;  // it has gone on by itself meanwhile
  report_(state.name(), "is handed to a new daemon");
  if (opened.size_bytes != state.size_bytes || opened.block_size != state.block_size) {
    throw make_error(ErrorKind::corrupt, "its source has {} bytes now, and had {} when it was mounted",
                     opened.size_bytes, state.size_bytes);
  }
  // A tar file has no digest to be pinned by; of another index the kernel would read wrong places.
  if (opened.index_identity != state.index_identity) {
    throw Error(ErrorKind::corrupt,
                "its source or its index is not what it was when it was mounted; mount it anew");
  }
  const bool kept = opened.kept == state.generation;
  serve(state, kept ? std::vector<UniqueFd>() : reconnect_kernel_transport(state), daemon);
  return true;
}

}  // namespace erofs_oci
