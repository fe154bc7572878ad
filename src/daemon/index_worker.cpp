// SPDX-License-Identifier: Apache-2.0
#include "daemon/index_worker.h"

#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "control/client.h"
#include "control/private_daemon.h"
#include "daemon/index_build.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kConnectLimit{10};
/// Longer than a worker can be silent: its reads of a registry that is away give up before.
constexpr std::chrono::minutes kSilence{10};
constexpr std::chrono::milliseconds kLook{200};

/// What the client sent, once more, as the worker needs it.
class WorkerRequest {
 public:
  WorkerRequest(const OpenInput& input, const IndexKey& key) {
    request_.definition = input.definition;
    request_.definition.index = IndexPolicy::build;
    // A build that waited for ever would be one that nobody can end.
    request_.definition.io.on_unavailable = Unavailable::fail;
    request_.pinned = key.manifest;
    if (input.image) request_.files.image = add(duplicate(input.image.get()));
    for (const auto& [name, file] : input.layout) request_.files.layout[name] = add(duplicate(file.get()));
    if (input.ca_pem) request_.files.ca = add(memory_file("erofs-oci-ca", *input.ca_pem));
    if (input.credentials) request_.credentials = add(registry::to_memory_file(*input.credentials));
  }

  json body() const { return to_json(request_); }
  std::vector<int> fds() const {
    std::vector<int> numbers;
    for (const UniqueFd& fd : fds_) numbers.push_back(fd.get());
    return numbers;
  }

 private:
  FdIndex add(UniqueFd fd) {
    fds_.push_back(std::move(fd));
    return static_cast<FdIndex>(fds_.size() - 1);
  }

  OpenRequest request_;
  std::vector<UniqueFd> fds_;
};

std::vector<std::string> arguments_of(const CacheFill& fill) {
  if (fill.room == 0) return {};
  return {"--fill-cache", fill.folder, "--fill-bytes", std::to_string(fill.room)};
}

bool is_of_the_image(const Error& error) {
  return error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported;
}

}  // namespace

/// A build that somebody has begun.
struct IndexWorkers::Build {
  Mutex mutex;
  CondVar changed;
  OpenProgress progress GUARDED_BY(mutex);
  bool finished GUARDED_BY(mutex) = false;
  std::optional<Error> error GUARDED_BY(mutex);
};

void IndexWorkers::build(const OpenInput& input, const Image& image, const IndexKey& key,
                         const StageSink& stage) {
  for (;;) {
    bool is_first = false;
    const auto build = join(key, is_first);
    if (is_first) return lead(*build, input, image, key, stage);
    if (wait_for(*build, input, stage)) return;
  }
}

void IndexWorkers::lead(Build& build, const OpenInput& input, const Image& image, const IndexKey& key,
                        const StageSink& stage) {
  const StageSink tell_all = [&](const OpenProgress& progress) {
    {
      MutexLock lock(build.mutex);
      build.progress = progress;
      build.changed.notify_all();
    }
    stage(progress);
  };
  try {
    run(input, image, key, tell_all);
  } catch (const Error& error) {
    finish(key, build, error);
    throw;
  } catch (const std::exception& error) {
    finish(key, build, Error(ErrorKind::system, error.what()));
    throw;
  }
  finish(key, build, std::nullopt);
}

std::shared_ptr<IndexWorkers::Build> IndexWorkers::join(const IndexKey& key, bool& is_first) {
  MutexLock lock(mutex_);
  auto& build = builds_[key];
  is_first = !build;
  if (is_first) build = std::make_shared<Build>();
  return build;
}

void IndexWorkers::finish(const IndexKey& key, Build& build, std::optional<Error> error) {
  {
    MutexLock lock(mutex_);
    builds_.erase(key);
  }
  MutexLock lock(build.mutex);
  build.finished = true;
  build.error = std::move(error);
  build.changed.notify_all();
}

/// False where it failed for a reason that may be its leader's own: a caller who left, a credential, a time limit.
bool IndexWorkers::wait_for(Build& build, const OpenInput& input, const StageSink& stage) {
  for (OpenProgress told;;) {
    OpenProgress progress;
    {
      MutexLock lock(build.mutex);
      if (!build.finished) build.changed.wait_until(build.mutex, std::chrono::steady_clock::now() + kLook);
      if (build.finished && build.error && is_of_the_image(*build.error)) throw *build.error;
      if (build.finished) return !build.error;
      progress = build.progress;
    }
    if (input.stop.stop_requested()) throw given_up();
    if (progress != told) stage(told = progress);
  }
}

void IndexWorkers::run(const OpenInput& input, const Image& image, const IndexKey& key,
                       const StageSink& stage) {
  stage({.stage = "building the index"});
  const CacheFilling filling(cache_, input.definition, image, key);  // ends behind the worker
  PrivateDaemon worker({.program = "/proc/self/exe",
                        .parent_folder = runtime_folder_,
                        .state_dir = state_dir_,
                        .user = std::nullopt,
                        .arguments = arguments_of(filling.fill()),
                        .background = true});
  const std::stop_callback stopping(input.stop, [&] { worker.terminate(); });
  Client client(worker.socket(), deadline_in(kConnectLimit));
  const WorkerRequest request(input, key);
  const auto pass_on = [&](const json& parameters) { stage(from_json<OpenProgress>(parameters)); };
  client.call_more("Open", request.body(), request.fds(), kSilence, pass_on);
}

}  // namespace erofs_oci
