// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/pulse.h"
#include "cache/disk_cache.h"
#include "control/server.h"
#include "daemon/control_service.h"
#include "daemon/event_log.h"
#include "daemon/folder_on_image.h"
#include "daemon/index_build.h"
#include "daemon/index_worker.h"
#include "daemon/journal.h"
#include "daemon/monitor.h"
#include "daemon/mount_table.h"
#include "daemon/service_manager.h"
#include "daemon/settings_to_serve_with.h"
#include "daemon/source_opener.h"
#include "daemon/store.h"
#include "daemon/stored_descriptors.h"
#include "handover/fault_note.h"

namespace erofs_oci {
namespace {

constexpr const char* kControlName = "control";
constexpr int kBacklog = 256;

/// Signals that end the daemon or have it read its settings again, as a descriptor.
UniqueFd awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd) throw errno_error("signalfd");
  return fd;
}

/// A socket that appears at `path` when it listens already.
UniqueFd listen_on(const std::filesystem::path& path) {
  const std::string temporary = path.native() + ".new";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (temporary.size() >= sizeof address.sun_path) {
    throw make_error(ErrorKind::invalid, "{}: is too long for a socket's path", path.native());
  }
  temporary.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(temporary.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    throw errno_error("{}", path.native());
  }
  return listener;
}

UniqueFd take_listener(std::map<std::string, UniqueFd>& passed, const DaemonOptions& options) {
  if (auto node = passed.extract(kControlName)) return std::move(node.mapped());
  if (options.listen_fd) {
    ::fcntl(*options.listen_fd, F_SETFD, FD_CLOEXEC);
    return UniqueFd(*options.listen_fd);
  }
  if (options.listen) return listen_on(*options.listen);
  throw Error(ErrorKind::invalid,
              "no control socket was passed: start it by erofs-ocid.socket, or with --listen");
}

/// Who may call everything beside root: of a private daemon whoever made the socket, be it this process; of
/// the service nobody.
uid_t owner_of(const UniqueFd& listener, const DaemonOptions& options) {
  if (!options.is_private()) return 0;
  ucred maker{};  // of listen(2), which unix(7) has SO_PEERCRED of a listening socket tell
  socklen_t length = sizeof maker;
  if (::getsockopt(listener.get(), SOL_SOCKET, SO_PEERCRED, &maker, &length) != 0)
    throw errno_error("control socket");
  return maker.uid;
}

/// A heap of many arenas keeps memory that no bound knows of; large blocks go back to the system when freed.
void tame_heap() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;  // the default will do
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Null, with a message, where the folder cannot be used. A daemon of one command reads what the service has,
/// and leaves it alone.
std::unique_ptr<DiskCache> open_cache(const DaemonOptions& options, const DaemonSettings& settings) {
  const bool is_borrowed = options.is_private() && !options.cache_dir;
  const std::filesystem::path folder = options.cache_dir.value_or(settings.cache_dir);
  try {
    refuse_folder_on_image(folder, "cache_dir");
    auto cache = std::make_unique<DiskCache>(DiskCacheOptions{.folder = folder,
                                                              .limit_bytes = settings.cache_limit,
                                                              .queue_bytes = settings.memory_limit / 2,
                                                              .read_only = is_borrowed});
    if (!cache->writes() && !is_borrowed)
      logf(LogLevel::notice, "the cache: another process writes it; reading only until the next start");
    return cache;
  } catch (const Error& error) {
    logf(is_borrowed ? LogLevel::debug : LogLevel::warning, "the cache: {}; going on without", error.what());
    return nullptr;
  }
}

/// Where workers' sockets may be made.
std::filesystem::path runtime_folder() {
  const char* folder = std::getenv("RUNTIME_DIRECTORY");
  return folder != nullptr ? std::filesystem::path(folder) : std::filesystem::temp_directory_path();
}

/// Devices are given connections by who may: erofs-oci-reattach.path starts it while this file exists, and it
/// removes the file before it looks at the mounts.
void ask_for_reattachment() {
  const std::filesystem::path file = runtime_folder() / "reattach";
  const UniqueFd written(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!written) logf(LogLevel::error, "{}: {}; erofs-oci reattach is to be called by hand", file.native(), std::strerror(errno));
}

/// Everything but the log level would take a new life of the daemon, which mounts outlive.
void reload(const std::filesystem::path& file, const ServiceManager& manager) {
  manager.reloading();
  try {
    set_log_level(load_daemon_settings(file).log_level);
    log(LogLevel::notice, "read the settings again: log_level is in force, other changes take a restart");
  } catch (const Error& error) {
    logf(LogLevel::error, "reading the settings again: {}; going on with the old ones", error.what());
  }
  manager.ready("serving");
}

/// So long a thread may be at one piece of work, which may be a read of the local disk.
constexpr std::chrono::seconds kStuck{30};

/// Tells the service manager's watchdog that all is well, unless a thread that serves does not get on: then the manager ends
/// this process, and the next one goes on where it was.
void feed_watchdog(const Pulses& pulses, const ServiceManager& manager) {
  const auto stuck = pulses.find_stuck(kStuck);
  if (!stuck) return manager.watchdog();
  logf(LogLevel::error, "thread {} has been at one thing for more than {} s; the watchdog is told no more", *stuck,
       kStuck.count());
}

/// The number of the next signal; feeds the watchdog meanwhile.
uint32_t next_signal(const UniqueFd& signals, const Pulses& pulses, const ServiceManager& manager) {
  const auto period = ServiceManager::watchdog_period();
  const int timeout =
      period ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*period).count()) : -1;
  pollfd event{signals.get(), POLLIN, 0};
  signalfd_siginfo info{};
  do {
    while (::poll(&event, 1, timeout) <= 0) feed_watchdog(pulses, manager);
  } while (::read(signals.get(), &info, sizeof info) != sizeof info);
  return info.ssi_signo;
}

}  // namespace

int run_daemon(const DaemonOptions& options) {
  ::prctl(PR_SET_NAME, "erofs-ocid");  // one that was started by descriptor is named after its number
  ::prctl(PR_SET_DUMPABLE,
          0);  // other processes of its user, perhaps nobody, may not look at credentials in its memory
  FaultNote::begin();
  log_to_journal();
  tame_heap();
  raise_descriptor_limit();
  const UniqueFd signals = awaited_signals();
  refuse_folder_on_image(options.state_dir, "the state directory");
  Store store(options.state_dir);  // before anybody can connect: it may be refused
  const DaemonSettings settings = options.is_private()
                                      ? load_daemon_settings(options.settings_file)
                                      : settings_to_serve_with(options.settings_file, options.state_dir);
  set_log_level(settings.log_level);
  ServiceManager manager;
  auto passed = manager.take_descriptors();
  UniqueFd listener = take_listener(passed, options);
  const uid_t owner = owner_of(listener, options);

  StoredMounts stored = sort_stored(std::move(passed), manager);
  drop_unclaimed(stored, MountStates(), manager);
  Pulses pulses;
  MemoryBound memory(MemoryBound::limit_within(settings.memory_limit));
  WorkerPool workers(settings.workers.value_or(std::max(1u, std::thread::hardware_concurrency())), &pulses);
  SpanLoader loader(memory, workers);
  // Behind the loader, whose loads may be writing to it when they end; before what opens layers.
  const std::unique_ptr<DiskCache> cache = open_cache(options, settings);
  http::Engine engine({.transfers_per_host = settings.connections_per_host, .pulses = &pulses});
  IndexWorkers index_workers(options.state_dir, runtime_folder(), cache.get());
  const auto fill = options.fill.room != 0 ? std::optional(options.fill) : std::nullopt;
  SourceOpener opener(
      engine, loader, workers, store,
      options.is_private() ? build_in_process(store, cache.get(), fill) : index_workers.as_build(),
      options.is_private() ? ".command-" : "", cache.get());
  EventLog events;
  const auto tell = [&events](const Event& event) {
    events.publish(event);
    if (event.kind == EventKind::connection_lost) ask_for_reattachment();
  };
  MountTable mounts(opener, manager, std::move(stored), tell, &pulses);
  mounts.resume();
  std::vector<Method> methods = control_methods(mounts, store, cache.get());
  methods.push_back(monitor_method(events));
  methods.push_back(inspect_method({engine, workers, store}));
  if (options.is_private()) methods.push_back(index_method({engine, workers, store}));
  // A daemon of one command leaves it to that command to say what was refused.
  const LogLevel refusals = options.is_private() ? LogLevel::debug : LogLevel::error;
  Server server(std::move(listener), std::move(methods), owner, {}, refusals);

  manager.ready("serving");
  while (next_signal(signals, pulses, manager) == SIGHUP) reload(options.settings_file, manager);
  manager.stopping();
  mounts.stop_resuming();
  server.stop();
  mounts.shut_down();
  loader.stop();  // the engine, which goes next, fails what is being fetched
  return 0;
}

}  // namespace erofs_oci
