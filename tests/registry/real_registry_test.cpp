// SPDX-License-Identifier: Apache-2.0
// Against the servers that people run: Distribution (docker-registry) and nginx, on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "registry/blob_fixture.h"
#include "registry/real_server.h"

namespace erofs_oci::registry {
namespace {

using test::error_of;
using test::FakeRegistry;
using test::find_program;
using test::PendingRead;
using test::Process;
using test::ScratchFolder;
using testing::HasSubstr;

const Platform kAmd64 = Platform::parse("linux/amd64");

Descriptor descriptor_of(const std::string& content, std::string media_type) {
  Descriptor descriptor;
  descriptor.media_type = std::move(media_type);
  descriptor.digest = sha256(as_bytes(content));
  descriptor.size_bytes = content.size();
  return descriptor;
}

/// docker-registry with the repository "team/tools", whose image "1.4" has one layer of 5 MB.
class DistributionTest : public testing::Test {
 protected:
  void start(const std::string& auth = "") {
    const auto program = find_program("docker-registry");
    if (!program) GTEST_SKIP() << "docker-registry is not installed";
    fill();
    const auto config =
        folder_.write("config.yml", fmt::format("version: 0.1\n"
                                                "storage: {{filesystem: {{rootdirectory: {}}}}}\n"
                                                "http: {{addr: 127.0.0.1:{}}}\n"
                                                "log: {{level: error}}\n{}",
                                                (folder_.path() / "data").native(), port_, auth));
    registry_.emplace(std::vector<std::string>{*program, "serve", config}, folder_.path() / "log");
    ASSERT_TRUE(test::wait_for(port_)) << folder_.read("log");
  }
  std::string with_password() {
    const auto htpasswd = find_program("htpasswd");
    if (!htpasswd) return "";
    test::run_program({*htpasswd, "-Bbn", "user", "s3cret"}, folder_.path() / "htpasswd");
    return fmt::format("auth: {{htpasswd: {{realm: x, path: {}}}}}\n",
                       (folder_.path() / "htpasswd").native());
  }
  Reference reference() const { return Reference::parse(fmt::format("127.0.0.1:{}/team/tools:1.4", port_)); }
  ResolvedImage resolve() {
    const auto repository = std::make_shared<Repository>(engine_, reference(), settings_);
    return engine_.run(repository->resolve(reference(), kAmd64));
  }

  const std::string layer_ = test::sample(5'000'000);
  ScratchFolder folder_;
  const uint16_t port_ = test::free_port();
  std::optional<Process> registry_;
  AccessSettings settings_ = FakeRegistry::settings();
  http::Engine engine_;

 private:
  // Distribution's storage layout (registry/storage/paths.go), which spares a push.
  void fill() {
    const std::string config = "{}";
    const Descriptor layer = descriptor_of(layer_, "application/vnd.oci.image.layer.v1.tar+gzip");
    const Descriptor config_descriptor = descriptor_of(config, "application/vnd.oci.image.config.v1+json");
    const std::string type = "application/vnd.oci.image.manifest.v1+json";
    const std::string manifest =
        fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}})", type,
                    FakeRegistry::json_of(config_descriptor), FakeRegistry::json_of(layer));
    for (const std::string& content : {layer_, config, manifest}) {
      const std::string hex = sha256(as_bytes(content)).hex();
      folder_.write(fmt::format("{}/blobs/sha256/{}/{}/data", kRoot, hex.substr(0, 2), hex), content);
    }
    link("_layers", layer.digest);
    link("_layers", config_descriptor.digest);
    link("_manifests/revisions", sha256(as_bytes(manifest)));
    folder_.write(fmt::format("{}/repositories/team/tools/_manifests/tags/1.4/current/link", kRoot),
                  to_string(sha256(as_bytes(manifest))));
  }
  void link(const std::string& kind, const Digest& digest) {
    folder_.write(fmt::format("{}/repositories/team/tools/{}/sha256/{}/link", kRoot, kind, digest.hex()),
                  to_string(digest));
  }
  static constexpr std::string_view kRoot = "data/docker/registry/v2";
};

TEST_F(DistributionTest, ResolvesAndReadsRanges) {
  start();
  if (IsSkipped()) return;
  const ResolvedImage image = resolve();
  ASSERT_EQ(image.manifest.layers.size(), 1u);
  const auto repository = std::make_shared<Repository>(engine_, reference(), settings_);
  const auto blob = engine_.run(Blob::open(repository, image.manifest.layers[0], RetrySettings()));
  EXPECT_EQ(PendingRead(*blob, {1'000'000, kMiB}).wait(), layer_.substr(1'000'000, kMiB));
  EXPECT_EQ(PendingRead(*blob, {4'999'999, 1}).wait(), layer_.substr(4'999'999, 1));
}

TEST_F(DistributionTest, TakesAPassword) {
  start(with_password());
  if (IsSkipped()) return;
  if (!find_program("htpasswd")) GTEST_SKIP() << "htpasswd is not installed";
  EXPECT_THAT(error_of([&] { resolve(); }).what(), HasSubstr("none is configured"));
  settings_.credentials = Credentials{"user", Secret("wrong"), Secret()};
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::denied);
  settings_.credentials = Credentials{"user", Secret("s3cret"), Secret()};
  EXPECT_EQ(resolve().manifest.layers.size(), 1u);
}

TEST_F(DistributionTest, AnUnknownTagAndRepositoryAreNotFound) {
  start();
  if (IsSkipped()) return;
  for (const char* name : {"team/tools:none", "nobody/nothing:1"}) {
    const Reference absent = Reference::parse(fmt::format("127.0.0.1:{}/{}", port_, name));
    const auto repository = std::make_shared<Repository>(engine_, absent, settings_);
    EXPECT_EQ(error_of([&] { engine_.run(repository->resolve(absent, kAmd64)); }).kind(),
              ErrorKind::not_found);
  }
}

TEST_F(DistributionTest, ReadsGoOnWhenItComesBack) {
  start();
  if (IsSkipped()) return;
  const Descriptor layer = descriptor_of(layer_, "application/vnd.oci.image.layer.v1.tar+gzip");
  const auto repository = std::make_shared<Repository>(engine_, reference(), settings_);
  const auto blob = engine_.run(Blob::open(repository, layer, RetrySettings()));
  registry_.reset();
  PendingRead waiting(*blob, {100, 100});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  start();
  EXPECT_EQ(waiting.wait(), layer_.substr(100, 100));
}

/// nginx with TLS and HTTP/2 as a registry that redirects to a storage on another port, with a signature in
/// the URL that can be made to expire. Its certificate is its own.
class NginxTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto nginx = find_program("nginx");
    const auto openssl = find_program("openssl");
    if (!nginx || !openssl) GTEST_SKIP() << "nginx or openssl is not installed";
    ASSERT_EQ(test::run_program(
                  {*openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-keyout", folder_.path() / "key.pem", "-out", folder_.path() / "cert.pem", "-days", "2",
                   "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"},
                  folder_.path() / "openssl.log"),
              0)
        << folder_.read("openssl.log");
    folder_.write("files/blob", content_);
    folder_.write("signature.conf", "set $good 1;");
    folder_.write("nginx.conf", configuration("ssl http2"));
    nginx_.emplace(
        std::vector<std::string>{*nginx, "-p", folder_.path(), "-c", "nginx.conf", "-e", "error.log"},
        folder_.path() / "nginx.log");
    ASSERT_TRUE(test::wait_for(port_) && test::wait_for(storage_port_)) << folder_.read("nginx.log");
    settings_.insecure = false;
    settings_.ca_pem = folder_.read("cert.pem");
  }

  void start() {
    const std::string nginx = *find_program("nginx");
    nginx_.emplace(
        std::vector<std::string>{nginx, "-p", folder_.path(), "-c", "nginx.conf", "-e", "error.log"},
        folder_.path() / "nginx.log");
    ASSERT_TRUE(test::wait_for(port_) && test::wait_for(storage_port_)) << folder_.read("nginx.log");
  }

  std::string configuration(const char* tls) const {
    return fmt::format(R"(
user root; daemon off; pid nginx.pid; worker_processes 1; error_log error.log;
events {{ }}
http {{
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  log_format test '$server_protocol $server_port $status "$http_range" "$http_authorization"';
  access_log access.log test;
  ssl_certificate cert.pem; ssl_certificate_key key.pem;
  server {{
    listen 127.0.0.1:{0} {3};
    include signature.conf;
    location /v2/team/tools/blobs/ {{ return 307 https://127.0.0.1:{1}/blob?signature=$good; }}
    location /v2/team/downgrade/blobs/ {{ return 307 http://127.0.0.1:{2}/blob; }}
  }}
  server {{
    listen 127.0.0.1:{1} ssl http2;
    include signature.conf;
    root files;
    if ($arg_signature != $good) {{ return 401; }}
  }}
  server {{
    listen 127.0.0.1:{2};
    root files;
  }}
}}
)",
                       port_, storage_port_, plain_port_, tls);
  }

  std::shared_ptr<Blob> open(const char* repository_name = "team/tools", RetrySettings reading = {},
                             std::vector<std::string> urls = {}) {
    const Reference reference = Reference::parse(fmt::format("127.0.0.1:{}/{}", port_, repository_name));
    const auto repository = std::make_shared<Repository>(engine_, reference, settings_);
    Descriptor descriptor = descriptor_of(content_, "");
    descriptor.urls = std::move(urls);
    return engine_.run(Blob::open(repository, descriptor, reading));
  }
  size_t log_count(std::string_view part) {
    const std::string log = folder_.read("access.log");
    size_t count = 0;
    for (size_t at = log.find(part); at != std::string::npos; at = log.find(part, at + 1)) ++count;
    return count;
  }
  // Makes the URLs that were given out so far no good, and waits until they are not.
  void expire_signatures() {
    folder_.write("signature.conf", "set $good 2;");
    nginx_->signal(SIGHUP);
    http::Request old;
    old.url = fmt::format("https://127.0.0.1:{}/blob?signature=1", storage_port_);
    const http::ConnectionSettings connection{settings_.ca_pem, false, ""};
    old.connection = &connection;
    old.range = ByteRange{0, 1};
    for (int status = 0; status != 401;) {
      http::Engine fresh;  // new connections go to new workers
      status = fresh.run(fresh.perform(old)).status;
    }
  }

  const std::string content_ = test::sample(3'000'000);
  ScratchFolder folder_;
  const uint16_t port_ = test::free_port();
  const uint16_t storage_port_ = test::free_port();
  const uint16_t plain_port_ = test::free_port();
  std::optional<Process> nginx_;
  AccessSettings settings_ = FakeRegistry::settings();
  http::Engine engine_;
};

TEST_F(NginxTest, ReadsThroughARedirectOverTlsAndHttp2) {
  const auto blob = open();
  std::vector<std::unique_ptr<PendingRead>> reads;
  for (uint64_t i = 0; i < 30; ++i) {
    reads.push_back(std::make_unique<PendingRead>(*blob, ByteRange{i * 100'000, 100'000}));
  }
  for (uint64_t i = 0; i < 30; ++i) EXPECT_EQ(reads[i]->wait(), content_.substr(i * 100'000, 100'000));
  nginx_.reset();  // which writes its log out
  EXPECT_EQ(log_count(fmt::format("HTTP/2.0 {} 307", port_)), 1u);
  EXPECT_EQ(log_count(fmt::format("HTTP/2.0 {} 206", storage_port_)), 31u);
}

TEST_F(NginxTest, ASignedUrlThatExpiresFailsNoRead) {
  const auto blob = open();
  EXPECT_EQ(PendingRead(*blob, {0, 1000}).wait(), content_.substr(0, 1000));
  expire_signatures();
  EXPECT_EQ(PendingRead(*blob, {5000, 1000}).wait(), content_.substr(5000, 1000));
}

TEST_F(NginxTest, AnUnknownCertificateIsDeniedInWords) {
  settings_.ca_pem.reset();
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(), HasSubstr("certificate"));
}

TEST_F(NginxTest, InsecureTakesAnyCertificate) {
  settings_.ca_pem.reset();
  settings_.insecure = true;
  EXPECT_EQ(PendingRead(*open(), {0, 1000}).wait(), content_.substr(0, 1000));
}

TEST_F(NginxTest, ARedirectOutOfHttpsIsRefusedUnlessInsecure) {
  EXPECT_THAT(error_of([&] { open("team/downgrade"); }).what(),
              HasSubstr("redirects from https to plain http"));
  settings_.insecure = true;
  EXPECT_EQ(PendingRead(*open("team/downgrade"), {0, 1000}).wait(), content_.substr(0, 1000));
}

TEST_F(NginxTest, ARegistryThatSpokeHttpsIsNotAskedOverPlainHttpLater) {
  settings_.insecure = true;
  const auto blob = open("team/tools", FakeRegistry::impatient());
  nginx_.reset();
  folder_.write("nginx.conf", configuration(""));
  folder_.write("signature.conf", "set $good 2;");  // so that a read has to go to the registry again
  start();
  EXPECT_EQ(error_of([&] { PendingRead(*blob, {0, 1000}).wait(); }).kind(), ErrorKind::unavailable);
  nginx_.reset();
  EXPECT_EQ(log_count(fmt::format("HTTP/1.1 {} 307", port_)), 0u);
}

TEST_F(NginxTest, APlainHttpPortIsToldAtOnce) {
  const auto reference = Reference::parse(fmt::format("127.0.0.1:{}/team/tools:1", plain_port_));
  const auto repository = std::make_shared<Repository>(engine_, reference, settings_);
  const auto begin = std::chrono::steady_clock::now();
  const Error error = error_of([&] { engine_.run(repository->resolve(reference, Platform::host())); });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_THAT(error.what(), HasSubstr("registry.insecure = true allows that"));
}

TEST_F(NginxTest, ALayerElsewhereIsTakenByHttpsOnlyUnlessInsecure) {
  const std::vector<std::string> urls{fmt::format("http://127.0.0.1:{}/blob", plain_port_)};
  const char* absent = "team/absent";
  EXPECT_EQ(error_of([&] { open(absent, RetrySettings(), urls); }).kind(), ErrorKind::not_found);
  settings_.insecure = true;
  EXPECT_EQ(PendingRead(*open(absent, RetrySettings(), urls), {0, 1000}).wait(), content_.substr(0, 1000));
}

TEST_F(NginxTest, AMalformedCaIsInvalid) {
  settings_.ca_pem = "not a certificate";
  EXPECT_EQ(error_of([&] { open(); }).kind(), ErrorKind::invalid);
}

}  // namespace
}  // namespace erofs_oci::registry
