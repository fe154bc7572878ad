// SPDX-License-Identifier: Apache-2.0
#include "handover/fault_note.h"

#include <signal.h>

#include <array>

#include "base/error.h"

namespace erofs_oci {
namespace {

using Word = std::atomic<uint32_t>;
static_assert(Word::is_always_lock_free && std::atomic<Word*>::is_always_lock_free,
              "a handler may touch nothing else");

constexpr std::array kFaults{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/// More than a service manager keeps connections for (FileDescriptorStoreMax= of the unit).
std::array<std::atomic<Word*>, 4096> words;

/// What was there before begin(): a sanitizer's handler, or the default.
std::array<struct sigaction, kFaults.size()> before;

void on_fault(int signal, siginfo_t* info, void*) {
  for (const auto& word : words) {
    if (Word* const noted = word.load()) noted->store(FaultNote::kFaulted);
  }
  for (size_t i = 0; i < kFaults.size(); ++i) {
    if (kFaults[i] == signal) ::sigaction(signal, &before[i], nullptr);
  }
  // An instruction that faults does so again, on its own stack; what somebody sent is to be sent again.
  const bool sent = info->si_code <= 0;
  if (sent) ::raise(signal);
}

std::atomic<Word*>& place_for(Word& word) {
  for (auto& place : words) {
    Word* none = nullptr;
    if (place.compare_exchange_strong(none, &word)) return place;
  }
  throw Error(ErrorKind::no_space, "there are too many connections");
}

}  // namespace

FaultNote::FaultNote(Word& word) : place_(place_for(word)) {}

FaultNote::~FaultNote() {
  place_ = nullptr;
}

void FaultNote::begin() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  ::sigfillset(&action.sa_mask);
  for (size_t i = 0; i < kFaults.size(); ++i) {
    if (::sigaction(kFaults[i], &action, &before[i]) != 0) throw errno_error("sigaction");
  }
}

}  // namespace erofs_oci
