// SPDX-License-Identifier: Apache-2.0
#include "daemon/monitor.h"

namespace erofs_oci {
namespace {

nlohmann::json monitor(EventLog& events, Call& call) {
  const auto request = from_json<MonitorRequest>(call.parameters);
  const auto listener = events.listen();
  call.progress(to_json(MonitorReply{}));
  while (auto event = listener->next(call.left)) {
    if (request.mount && event->mount != *request.mount) continue;
    call.progress(to_json(MonitorReply{std::move(event), listener->take_lost()}));
  }
  return to_json(MonitorReply{std::nullopt, listener->take_lost()});
}

}  // namespace

Method monitor_method(EventLog& events) {
  return {.name = "Monitor",
          .right = Method::Right::anyone,
          .replies = Method::Replies::stream,
          .handler = [&events](Call& call) { return monitor(events, call); },
          .waits_long = true};
}

}  // namespace erofs_oci
