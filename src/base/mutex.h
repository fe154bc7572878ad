// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// Clang's thread-safety analysis (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html); nothing elsewhere.
#if defined(__clang__)
#define EROFS_OCI_TSA(x) __attribute__((x))
#else
#define EROFS_OCI_TSA(x)
#endif
#define GUARDED_BY(x) EROFS_OCI_TSA(guarded_by(x))
#define REQUIRES(...) EROFS_OCI_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) EROFS_OCI_TSA(locks_excluded(__VA_ARGS__))

namespace erofs_oci {

/// std::mutex as a capability that the analysis knows.
class EROFS_OCI_TSA(capability("mutex")) Mutex {
 public:
  void lock() EROFS_OCI_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() EROFS_OCI_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class EROFS_OCI_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) EROFS_OCI_TSA(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() EROFS_OCI_TSA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition variable for Mutex; waits may wake spuriously, so callers loop.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// False when `deadline` passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace erofs_oci
