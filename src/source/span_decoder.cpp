// SPDX-License-Identifier: Apache-2.0
#include "source/span_decoder.h"

#include <utility>
#include <vector>

#include "base/twin_sha256.h"

namespace erofs_oci {
namespace {

using Job = SpanDecoder::Job;

bool has_digest(const Job& job) { return job.stream->spans->digest(job.span) != nullptr; }

/// Whether the output is there; else the job has been told why not.
bool decode_output(const Job& job) {
  const SpanTable& spans = *job.stream->spans;
  if (spans.is_identity()) return true;
  try {
    spans.decode(job.span, job.input, job.output);
    return true;
  } catch (const Error& error) {
    job.done(error);
    return false;
  }
}

void verify(const Job& job, const Digest& found) {
  std::optional<Error> corrupt;
  try {
    check_digest(*job.stream->spans, job.span, found);
  } catch (const Error& error) {
    corrupt = error;
  }
  job.done(corrupt);
}

}  // namespace

void SpanDecoder::decode(Priority priority, Job job) {
  {
    MutexLock lock(waiting_->mutex);
    waiting_->jobs[static_cast<size_t>(priority)].push_back(std::move(job));
  }
  workers_.post(priority, [waiting = waiting_, priority] { work(*waiting, priority); });
}

/// Nothing where another thread took it along.
std::optional<Job> SpanDecoder::Waiting::take(Priority priority) {
  MutexLock lock(mutex);
  auto& queue = jobs[static_cast<size_t>(priority)];
  if (queue.empty()) return std::nullopt;
  Job job = std::move(queue.front());
  queue.pop_front();
  return job;
}

void SpanDecoder::work(Waiting& waiting, Priority priority) {
  std::vector<Job> decoded;
  while (decoded.size() < 2) {
    std::optional<Job> job = waiting.take(priority);
    if (!job) break;
    if (decode_output(*job)) decoded.push_back(std::move(*job));
  }
  if (decoded.size() == 2 && has_digest(decoded[0]) && has_digest(decoded[1])) {
    const std::array<Digest, 2> found = TwinSha256::both(decoded[0].output, decoded[1].output);
    for (size_t i = 0; i < 2; ++i) verify(decoded[i], found[i]);
    return;
  }
  for (const Job& job : decoded) has_digest(job) ? verify(job, sha256(job.output)) : job.done(std::nullopt);
}

}  // namespace erofs_oci
