// SPDX-License-Identifier: Apache-2.0
#include "http/event.h"

#include <algorithm>

#include "http/loop.h"

namespace erofs_oci::http {

class Event::Wait final : public Suspension {
 public:
  Wait(Event& event, const AbortGroup* group) : Suspension(*event.engine_.loop_, group), event_(event) {}
  void happened() { complete(); }

 private:
  void enter() override { event_.waiting_.push_back(this); }
  void leave() override { std::erase(event_.waiting_, this); }

  Event& event_;
};

Task<void> Event::wait(const AbortGroup* group) {
  if (set_) co_return;
  Wait wait(*this, group);
  co_await wait;
}

void Event::set() {
  set_ = true;
  for (Wait* wait : std::exchange(waiting_, {})) wait->happened();
}

}  // namespace erofs_oci::http
