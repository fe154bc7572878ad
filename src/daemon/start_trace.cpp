// SPDX-License-Identifier: Apache-2.0
#include "daemon/start_trace.h"

#include <pthread.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/interruptible_sleep.h"

namespace erofs_oci {
namespace {

/// In their order but for those that are under way together, of which neighbours are brought together.
std::vector<SpanPlace> in_windows(std::vector<SpanPlace> places) {
  for (size_t first = 0; first < places.size(); first += StartTrace::kSpansAtATime) {
    const auto begin = places.begin() + static_cast<ptrdiff_t>(first);
    const size_t count = std::min(StartTrace::kSpansAtATime, places.size() - first);
    std::ranges::sort(begin, begin + static_cast<ptrdiff_t>(count));
  }
  return places;
}

}  // namespace

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
  Prefetch prefetch(device_, in_windows(spans_of(trace, *device_)), loader_,
                    {.rate = rate_,
                     .spans_at_a_time = kSpansAtATime,
                     .neighbours = kNeighbours,
                     .patience = std::chrono::milliseconds(0)});
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
