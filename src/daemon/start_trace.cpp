// SPDX-License-Identifier: Apache-2.0
#include "daemon/start_trace.h"

#include <pthread.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/interruptible_sleep.h"

namespace erofs_oci {

StartTrace::StartTrace(std::string mount, std::shared_ptr<const MappedDevice> device, const Digest& manifest,
                       Store& store, SpanLoader& loader, std::optional<uint64_t> rate)
    : mount_(std::move(mount)),
      device_(std::move(device)),
      manifest_(manifest),
      store_(store),
      loader_(loader),
      rate_(rate),
      thread_([this](const std::stop_token& stop) {
        ::pthread_setname_np(::pthread_self(), "trace");
        run(stop);
      }) {}

void StartTrace::run(const std::stop_token& stop) {
  try {
    const Digest device = device_identity(*device_);
    const Trace former = store_.find_trace(manifest_, device).value_or(Trace{device, {}});
    replay(former, stop);
    sleep_for(kStart - device_->record()->age(), stop);
    note(former);
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: its trace: {}; going on without", mount_, error.what());
  }
}

void StartTrace::replay(const Trace& trace, const std::stop_token& stop) {
  if (trace.entries.empty()) return;
  Prefetch prefetch(
      device_, spans_of(trace, *device_), loader_,
      {.rate = rate_, .spans_at_a_time = kSpansAtATime, .patience = std::chrono::milliseconds(0)});
  try {
    prefetch.run(stop);
    logf(LogLevel::info, "{}: prefetch: what earlier starts read is on disk, {}", mount_,
         human_size(prefetch.total_bytes()));
  } catch (const Error& error) {
    if (!stop.stop_requested())
      logf(LogLevel::warning, "{}: prefetch: {}; the rest is fetched when it is read", mount_, error.what());
  }
}

void StartTrace::note(const Trace& former) {
  const Trace trace = next_trace(former, device_->record()->accesses(), kStart);
  // A mount that nobody has used says nothing of how it is used.
  if (trace.entries.empty() || trace.entries.front().age != 0) return;
  store_.put_trace(manifest_, trace);
  logf(LogLevel::debug, "{}: noted a trace of {} spans", mount_, trace.entries.size());
}

}  // namespace erofs_oci
