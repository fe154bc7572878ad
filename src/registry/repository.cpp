// SPDX-License-Identifier: Apache-2.0
#include "registry/repository.h"

#include <algorithm>

#include "base/text.h"

namespace erofs_oci::registry {

Repository::Repository(http::Engine& engine, Reference reference, AccessSettings settings)
    : engine_(engine), name_(reference.repository()), settings_(std::move(settings)) {
  for (const Endpoint& endpoint : endpoints_of(reference.host, settings_.insecure)) {
    hosts_.push_back(std::make_unique<HostClient>(engine_, endpoint, reference, settings_));
  }
}

void Repository::cancel(const std::shared_ptr<Repository>& repository, const Error& reason) {
  repository->engine_.spawn(run_cancel(repository, reason));
}

http::Task<void> Repository::run_cancel(std::shared_ptr<Repository> self, Error reason) {
  self->engine_.abort(self->opening_, reason);
  co_return;
}

void Repository::set_credentials(const std::shared_ptr<Repository>& repository, std::optional<Credentials> credentials) {
  repository->engine_.spawn(run_set_credentials(repository, std::move(credentials)));
}

http::Task<void> Repository::run_set_credentials(std::shared_ptr<Repository> self, std::optional<Credentials> credentials) {
  for (const auto& host : self->hosts_) host->set_credentials(credentials);
  co_return;
}

http::Task<Answer> Repository::get(const Get& get) {
  // A host that has answered once is the one: an attacker who cuts https must not get a later request over
  // http.
  const auto known =
      std::find_if(hosts_.begin(), hosts_.end(), [](const auto& host) { return host->has_answered(); });
  if (known != hosts_.end()) co_return co_await (*known)->get(get);
  std::optional<Error> failure;
  for (const auto& host : hosts_) {
    try {
      co_return co_await host->get(get);
    } catch (const Error& error) {
      if (host->has_answered() || error.kind() != ErrorKind::unavailable) throw;
      // Where nobody listens, https and http fail in the same words.
      if (!failure) {
        failure = error;
      } else if (std::string_view(failure->what()) != error.what()) {
        const std::string both = fmt::format("{}; {}", failure->what(), error.what());
        failure = Error(error.kind(), error.errno_value(), both);
      }
    }
  }
  throw *failure;
}

bool Repository::has_answered() const {
  return std::ranges::any_of(hosts_, [](const auto& host) { return host->has_answered(); });
}

http::Task<Answer> Repository::get_patiently(Get get) {
  Retry retry(settings_.retry);
  while (true) {
    get.limits = retry.within_deadline(settings_.limits);
    std::optional<Failure> failure;
    try {
      Answer answer = co_await this->get(get);
      if (answer.response.ok()) co_return answer;
      failure = failure_of(answer.response);
    } catch (const Error& error) {
      // It never spoke TLS: asking again will not help. One that did may do so again.
      if (error.errno_value() == EPROTO && !has_answered())
        throw Error(ErrorKind::invalid, EPROTO, error.what());
      failure = Failure{error, std::nullopt};
    }
    co_await engine_.sleep_for(retry.delay_after(*failure), get.group);
  }
}

http::Task<Repository::Document> Repository::fetch_manifest(const std::string& selector,
                                                            const std::optional<Digest>& digest) {
  Get get;
  get.path = "manifests/" + selector;
  get.accept = manifest_accept();
  get.body_limit = kManifestLimit;
  get.group = &opening_;
  Answer answer = co_await get_patiently(get);
  Document document{std::move(answer.response.body),
                    std::string(answer.response.headers.find("Content-Type").value_or("")),
                    {}};
  document.digest = sha256(as_bytes(document.text));
  const auto stated =
      digest ? digest : Digest::try_parse(answer.response.headers.find("Docker-Content-Digest").value_or(""));
  if (stated && *stated != document.digest) {
    throw make_error(ErrorKind::corrupt, "manifest {}: its SHA-256 is {}, it should be {}", selector,
                     document.digest.hex(), stated->hex());
  }
  co_return document;
}

http::Task<ResolvedImage> Repository::resolve_parts(const Reference& reference, const Platform& platform) {
  ResolvedImage image;
  image.reference = reference;
  const std::string selector = reference.selector();
  Document document = co_await fetch_manifest(selector, reference.digest);
  if (is_index(document.text, document.content_type, "manifest")) {
    const Index index = parse_index(document.text, "index");
    const Descriptor entry = select_platform(index, platform);
    image.index_digest = document.digest;
    image.platform = entry.platform;
    const std::string chosen = to_string(entry.digest);
    const std::optional<Digest> digest = entry.digest;
    document = co_await fetch_manifest(chosen, digest);
    verify(entry, document.text, "manifest");
    if (is_index(document.text, entry.media_type, "manifest")) {
      throw Error(ErrorKind::unsupported, "the index leads to another index");
    }
  }
  image.manifest_digest = document.digest;
  image.manifest = parse_manifest(document.text, "manifest " + to_string(document.digest));
  image.manifest_json = std::move(document.text);
  co_return image;
}

http::Task<ResolvedImage> Repository::resolve(Reference reference, Platform platform) {
  try {
    co_return co_await resolve_parts(reference, platform);
  } catch (const Error& error) {
    throw error.within("resolving " + to_string(reference));
  }
}

http::Task<std::string> Repository::fetch_small_blob(Descriptor descriptor, uint64_t limit) {
  const std::string what = fmt::format("blob {} of {}", to_string(descriptor.digest), name_);
  if (descriptor.size_bytes > limit) {
    throw make_error(ErrorKind::unsupported, "{}: it has {}, at most {} are taken", what,
                     human_size(descriptor.size_bytes), human_size(limit));
  }
  Get get;
  get.path = "blobs/" + to_string(descriptor.digest);
  get.body_limit = descriptor.size_bytes;
  get.group = &opening_;
  try {
    Answer answer = co_await get_patiently(get);
    verify(descriptor, answer.response.body, "its content");
    co_return std::move(answer.response.body);
  } catch (const Error& error) {
    throw error.within(what);
  }
}

}  // namespace erofs_oci::registry
