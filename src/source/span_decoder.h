// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/mutex.h"
#include "source/stream.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// Decodes fetched spans and verifies them against their digests, on a worker pool, which outlives it. A thread that
/// decoded one and sees another waiting takes that along: the digests of two take little more time than that of one.
/// Thread-safe. It may be destroyed once each job's `done` was called.
class SpanDecoder {
 public:
  struct Job {
    std::shared_ptr<const Stream> stream;
    size_t span;
    Bytes input;          ///< the span as it is stored; empty where that is its output (SpanTable::is_identity())
    MutableBytes output;  ///< of exactly its length
    /// Called exactly once, on a worker, with why the bytes are not those that the table tells of; must not throw.
    /// `input` and `output` last until then.
    std::function<void(const std::optional<Error>&)> done;
  };

  explicit SpanDecoder(WorkerPool& workers) : workers_(workers) {}

  void decode(Priority priority, Job job);

 private:
  /// Jobs that no thread has taken. A task of the pool whose job another one took along may be the last to see it.
  struct Waiting {
    Mutex mutex;
    std::array<std::deque<Job>, 3> jobs GUARDED_BY(mutex);  // by Priority

    std::optional<Job> take(Priority priority);
  };

  static void work(Waiting& waiting, Priority priority);

  WorkerPool& workers_;
  const std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace erofs_oci
