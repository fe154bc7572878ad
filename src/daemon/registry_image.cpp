// SPDX-License-Identifier: Apache-2.0
#include "daemon/registry_image.h"

#include <algorithm>

#include "base/error.h"
#include "daemon/image_config.h"

namespace erofs_oci {
namespace {

/// So long a registry is waited for where the image can be opened without it.
constexpr std::chrono::seconds kOfflinePatience{3};

/// So long a source is asked again before its mount takes it to be away. Reads then wait in its PatientDevice.
constexpr std::chrono::seconds kFirstPatience{5};

registry::AccessSettings access_settings(const OpenInput& input) {
  const Definition& definition = input.definition;
  registry::AccessSettings settings;
  settings.insecure = definition.registry.insecure;
  settings.ca_pem = input.ca_pem;
  settings.proxy = definition.registry.proxy;
  settings.credentials = input.credentials;
  settings.retry.deadline = definition.start_timeout;
  return settings;
}

}  // namespace

registry::RetrySettings reading_settings(const IoSettings& io) {
  registry::RetrySettings settings;
  std::chrono::milliseconds longest = http::TimeLimits().stall;  // a registry may need long for its first byte
  if (io.on_unavailable == Unavailable::fail) longest = std::min(longest, io.deadline);
  settings.shortest_try = longest;
  settings.deadline = std::min<std::chrono::milliseconds>(longest, kFirstPatience);
  return settings;
}

RegistryImage::RegistryImage(const OpenInput& input, http::Engine& engine)
    : engine_(engine),
      name_(input.definition.image),
      reference_(Reference::parse(input.definition.image)),
      reading_(reading_settings(input.definition.io)),
      platform_(to_string(wanted_platform(input.definition))),
      access_(access_settings(input)) {}

std::unique_ptr<RegistryImage> RegistryImage::resolve(
    const OpenInput& input, http::Engine& engine, Store& store, const StageSink& stage,
    const LocalKnowledge& local) {
  std::unique_ptr<RegistryImage> image(new RegistryImage(input, engine));
  if (input.pinned && image->load(*input.pinned, store)) {
    image->repository_ = std::make_shared<registry::Repository>(engine, image->reference_, image->access_);
  } else {
    image->ask(input, store, stage, local);
  }
  return image;
}

/// False where the store does not have the manifest.
bool RegistryImage::load(const Digest& digest, Store& store) {
  const auto json = store.find_manifest(digest);
  if (!json) return false;
  resolved_.reference = reference_;
  resolved_.manifest_digest = digest;
  resolved_.manifest = registry::parse_manifest(*json, name_);
  offline_ = true;
  return true;
}

void RegistryImage::ask(const OpenInput& input, Store& store, const StageSink& stage,
                        const LocalKnowledge& local) {
  Reference exact = reference_;
  if (input.pinned) exact.digest = input.pinned;
  const std::string key = to_string(exact);
  auto known = store.find_ref(key, platform_);
  if (known && !(local.may_go_offline(known->digest) && store.find_manifest(known->digest))) known.reset();
  if (known && reference_.digest && local.is_here(known->digest) && load(known->digest, store)) {
    repository_ = std::make_shared<registry::Repository>(engine_, reference_, access_);
    return;
  }
  auto patient = access_;
  if (known)
    patient.retry.deadline =
        std::min<std::chrono::milliseconds>(input.definition.start_timeout, kOfflinePatience);
  stage({.stage = "resolving"});
  try {
    const auto asked = std::make_shared<registry::Repository>(engine_, reference_, patient);
    const std::stop_callback stopping(input.left, [&] { registry::Repository::cancel(asked, given_up()); });
    resolved_ = engine_.run(asked->resolve(exact, registry::Platform::parse(platform_)));
    repository_ = known ? std::make_shared<registry::Repository>(engine_, reference_, access_) : asked;
    if (input.definition.platform && !input.pinned && !resolved_.index_digest)
      check_platform(input.definition, ImageConfig(config()));
    store.put_manifest(resolved_.manifest_digest, resolved_.manifest_json);
    if (!input.pinned) store.put_ref(key, platform_, resolved_.manifest_digest);
  } catch (const Error& error) {
    if (!known || error.kind() != ErrorKind::unavailable) throw;
    load(known->digest, store);
    repository_ = std::make_shared<registry::Repository>(engine_, reference_, access_);
    stage({.stage = fmt::format("the registry is away ({}); going on with {}, which the name led to on {}",
                                error.what(), to_string(known->digest), known->time)});
  }
}

LayerBlob RegistryImage::open_layer(size_t number, Preflight preflight) {
  const registry::Descriptor& descriptor = layers()[number];
  const bool ask = preflight == Preflight::ask && !offline_;
  {
    MutexLock lock(mutex_);
    if (given_up_) throw *given_up_;
  }
  auto blob = ask ? engine_.run(registry::Blob::open(repository_, descriptor, reading_))
                  : registry::Blob::assume(repository_, descriptor, reading_);
  MutexLock lock(mutex_);
  if (given_up_) throw *given_up_;
  opened_.push_back(blob);
  return {blob, blob, reference_.repository() + (access_.insecure ? " insecure" : "")};
}

void RegistryImage::give_up(const Error& reason) {
  registry::Repository::cancel(repository_, reason);
  MutexLock lock(mutex_);
  given_up_ = reason;
  for (const auto& blob : opened_) blob->fail_pending(reason);
}

std::string RegistryImage::config() {
  return engine_.run(repository_->fetch_small_blob(resolved_.manifest.config, kMaxConfig));
}

}  // namespace erofs_oci
