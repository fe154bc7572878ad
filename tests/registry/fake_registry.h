// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "http/loopback_server.h"
#include "registry/hosts.h"
#include "registry/manifest.h"
#include "base/reference.h"

namespace erofs_oci::test {

/// A registry on loopback, in plain http, with one repository "team/tools". Well-behaved, unless a test
/// intercepts.
class FakeRegistry {
 public:
  using Interceptor = std::function<std::optional<Reply>(const SeenRequest&)>;
  static constexpr std::string_view kPrefix = "/v2/team/tools/";

  FakeRegistry() : server_([this](const SeenRequest& request) { return answer(request); }) {}

  LoopbackServer& server() { return server_; }

  /// "127.0.0.1:40000/team/tools:TAG"
  Reference reference(const std::string& tag = "latest") const {
    return Reference::parse(fmt::format("{}/team/tools:{}", server_.address(), tag));
  }
  /// Settings that reach it, and that give up within a second.
  static registry::AccessSettings settings() {
    registry::AccessSettings settings;
    settings.insecure = true;
    settings.proxy = "";
    settings.retry = impatient();
    return settings;
  }
  static registry::RetrySettings impatient() {
    registry::RetrySettings retry;
    retry.deadline = std::chrono::milliseconds(800);
    retry.first_delay = std::chrono::milliseconds(10);
    retry.longest_delay = std::chrono::milliseconds(100);
    return retry;
  }

  /// Asked before the registry itself; what it returns is sent instead.
  void intercept(Interceptor interceptor) {
    const std::lock_guard lock(mutex_);
    interceptor_ = std::move(interceptor);
  }

  registry::Descriptor add_blob(const std::string& content,
                                std::string media_type = "application/vnd.oci.image.layer.v1.tar+gzip") {
    const std::lock_guard lock(mutex_);
    registry::Descriptor descriptor;
    descriptor.media_type = std::move(media_type);
    descriptor.digest = sha256(as_bytes(content));
    descriptor.size_bytes = content.size();
    blobs_["blobs/" + to_string(descriptor.digest)] = content;
    return descriptor;
  }
  /// Adds a manifest or index under its digest and, unless that is empty, a tag.
  registry::Descriptor add_manifest(const std::string& json, const std::string& content_type,
                                    const std::string& tag) {
    const std::lock_guard lock(mutex_);
    registry::Descriptor descriptor;
    descriptor.media_type = content_type;
    descriptor.digest = sha256(as_bytes(json));
    descriptor.size_bytes = json.size();
    for (const std::string& name : {to_string(descriptor.digest), tag}) {
      if (!name.empty()) manifests_["manifests/" + name] = {json, content_type};
    }
    return descriptor;
  }
  /// An OCI image of `layers`, in order.
  registry::Descriptor add_image(const std::vector<registry::Descriptor>& layers, const std::string& tag) {
    std::string list;
    for (const registry::Descriptor& layer : layers) list += (list.empty() ? "" : ",") + json_of(layer);
    const std::string config = json_of(add_blob("{}", "application/vnd.oci.image.config.v1+json"));
    return add_manifest(fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", config, list),
                        "application/vnd.oci.image.manifest.v1+json", tag);
  }
  /// An OCI index of images and their platforms, each given as JSON.
  registry::Descriptor add_index(const std::vector<std::pair<registry::Descriptor, std::string>>& images,
                                 const std::string& tag) {
    std::string list;
    for (const auto& [image, platform] : images) {
      list += (list.empty() ? "" : ",") + json_of(image, fmt::format(R"(,"platform":{})", platform));
    }
    return add_manifest(fmt::format(R"({{"schemaVersion":2,"manifests":[{}]}})", list),
                        "application/vnd.oci.image.index.v1+json", tag);
  }

  static std::string json_of(const registry::Descriptor& descriptor, const std::string& more = "") {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", descriptor.media_type,
                       to_string(descriptor.digest), descriptor.size_bytes, more);
  }

 private:
  Reply answer(const SeenRequest& request) {
    const std::lock_guard lock(mutex_);
    if (interceptor_) {
      if (auto reply = interceptor_(request)) return *std::move(reply);
    }
    const std::string target = request.target.substr(std::min(kPrefix.size(), request.target.size()));
    if (const auto found = blobs_.find(target); found != blobs_.end())
      return Reply::content(found->second, request);
    if (const auto found = manifests_.find(target); found != manifests_.end()) {
      return Reply::text(200, found->second.first)
          .with("Content-Type", found->second.second)
          .with("Docker-Content-Digest", to_string(sha256(as_bytes(found->second.first))));
    }
    return Reply::text(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
  }

  std::mutex mutex_;
  Interceptor interceptor_;
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::pair<std::string, std::string>> manifests_;
  LoopbackServer server_;
};

}  // namespace erofs_oci::test
