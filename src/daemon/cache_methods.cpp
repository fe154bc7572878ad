// SPDX-License-Identifier: Apache-2.0
#include "daemon/cache_methods.h"

#include <chrono>

#include "base/error.h"
#include "control/messages.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kProgressPeriod{200};

DiskCache& check_there(DiskCache* cache) {
  if (cache == nullptr) throw Error(ErrorKind::not_found, "the daemon has no cache; its log says why");
  return *cache;
}

CacheListReply list(const MountTable& mounts, const DiskCache& cache) {
  CacheListReply reply;
  const auto users = mounts.cache_users();
  for (const auto& layer : cache.layers()) {
    const CachedLayerInfo info = layer->info();
    CachedLayerReport report;
    report.layer = info.key.layer;
    report.table = to_string(info.key.kind);
    report.spans = info.spans;
    report.spans_kept = info.spans_kept;
    report.stream_bytes = info.stream_bytes;
    report.bytes_kept = info.bytes_kept;
    report.bytes_on_disk = info.bytes_on_disk;
    report.last_used = info.last_used;
    report.pinned = cache.is_pinned(*layer);
    const auto [first, end] = users.equal_range(info.key.file_name());
    for (auto user = first; user != end; ++user) report.mounts.push_back(user->second);
    reply.layers.push_back(std::move(report));
  }
  return reply;
}

CacheVerifyReply verify(DiskCache& cache, Call& call) {
  auto next = std::chrono::steady_clock::now();
  const auto progress = [&](uint64_t done, uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next) return;
    next = now + kProgressPeriod;
    call.progress(to_json(OpenProgress{.stage = "verifying", .done = done, .total = total}));
  };
  const VerifyReport report = cache.verify(progress, call.left);
  CacheVerifyReply reply;
  reply.spans = report.spans;
  reply.bytes = report.bytes;
  for (const DamagedSpan& span : report.damaged) reply.damaged.push_back({span.key.layer, span.span});
  return reply;
}

}  // namespace

std::vector<Method> cache_methods(const MountTable& mounts, DiskCache* cache) {
  using enum Method::Right;
  std::vector<Method> methods;
  methods.push_back({.name = "CacheList", .right = anyone, .handler = [&mounts, cache](Call&) {
                       return to_json(list(mounts, check_there(cache)));
                     }});
  methods.push_back({.name = "CacheVerify",
                     .right = owner,
                     .handler = [cache](Call& call) { return to_json(verify(check_there(cache), call)); },
                     .waits_long = true});
  methods.push_back({.name = "CacheRemove", .right = owner, .handler = [cache](Call& call) {
                       const auto request = from_json<CacheRemoveRequest>(call.parameters);
                       return to_json(CacheRemoveReply{check_there(cache).remove(request.layer)});
                     }});
  return methods;
}

}  // namespace erofs_oci
