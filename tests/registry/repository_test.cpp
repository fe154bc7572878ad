// SPDX-License-Identifier: Apache-2.0
#include "registry/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "http/error_of.h"
#include "registry/fake_registry.h"

namespace erofs_oci::registry {
namespace {

using std::chrono::milliseconds;
using test::error_of;
using test::FakeRegistry;
using test::Reply;
using test::SeenRequest;
using testing::HasSubstr;
using testing::StartsWith;

const Platform kAmd64 = Platform::parse("linux/amd64");
const std::string kAmd64Json = R"({"os":"linux","architecture":"amd64"})";
const std::string kArm64Json = R"({"os":"linux","architecture":"arm64","variant":"v8"})";

class RepositoryTest : public testing::Test {
 protected:
  std::shared_ptr<Repository> repository() {
    return std::make_shared<Repository>(engine_, server_.reference(), settings_);
  }
  ResolvedImage resolve(const Reference& reference, const Platform& platform = kAmd64) {
    const auto repository_kept = repository();
    return engine_.run(repository_kept->resolve(reference, platform));
  }
  ResolvedImage resolve(const std::string& tag = "latest", const Platform& platform = kAmd64) {
    return resolve(server_.reference(tag), platform);
  }
  Reference by_digest(const Digest& digest) const {
    Reference reference = server_.reference();
    reference.tag.clear();
    reference.digest = digest;
    return reference;
  }
  std::string fetch(const Descriptor& descriptor, uint64_t limit = 1000) {
    const auto repository_kept = repository();
    return engine_.run(repository_kept->fetch_small_blob(descriptor, limit));
  }

  FakeRegistry server_;
  AccessSettings settings_ = FakeRegistry::settings();
  http::Engine engine_;
};

TEST_F(RepositoryTest, ResolvesATagToAnImage) {
  const Descriptor image =
      server_.add_image({server_.add_blob("layer 0"), server_.add_blob("layer 1")}, "1.4");
  const ResolvedImage resolved = resolve("1.4");
  EXPECT_EQ(resolved.manifest_digest, image.digest);
  EXPECT_EQ(sha256(as_bytes(resolved.manifest_json)), image.digest);
  EXPECT_EQ(resolved.manifest.layers.size(), 2u);
  EXPECT_FALSE(resolved.platform);
  EXPECT_FALSE(resolved.index_digest);
}

TEST_F(RepositoryTest, AsksForEveryKindOfManifest) {
  server_.add_image({}, "latest");
  resolve();
  const std::string accept = server_.server().seen("/v2/").at(0).header("Accept");
  for (const char* type :
       {"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json"}) {
    EXPECT_THAT(accept, HasSubstr(type));
  }
}

TEST_F(RepositoryTest, ChoosesThePlatformFromAnIndex) {
  const Descriptor amd64 = server_.add_image({server_.add_blob("amd64")}, "");
  const Descriptor arm64 = server_.add_image({server_.add_blob("arm64")}, "");
  const Descriptor index = server_.add_index({{amd64, kAmd64Json}, {arm64, kArm64Json}}, "latest");
  const ResolvedImage resolved = resolve("latest", Platform::parse("linux/arm64"));
  EXPECT_EQ(resolved.manifest_digest, arm64.digest);
  EXPECT_EQ(resolved.index_digest, index.digest);
  EXPECT_EQ(to_string(*resolved.platform), "linux/arm64");
}

TEST_F(RepositoryTest, SaysWhichPlatformsThereAre) {
  const Descriptor image = server_.add_image({}, "");
  server_.add_index({{image, kAmd64Json}, {image, kArm64Json}}, "1.4");
  const Error error = error_of([&] { resolve("1.4", Platform::parse("linux/s390x")); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_THAT(error.what(), HasSubstr("has no manifest for linux/s390x; it has: linux/amd64, linux/arm64"));
}

TEST_F(RepositoryTest, ADigestIsAskedForByName) {
  const Descriptor image = server_.add_image({}, "");
  EXPECT_EQ(resolve(by_digest(image.digest)).manifest_digest, image.digest);
  EXPECT_EQ(server_.server().seen("/v2/").at(0).target,
            "/v2/team/tools/manifests/" + to_string(image.digest));
}

TEST_F(RepositoryTest, AnswersWithOtherContentAreCorrupt) {
  const Descriptor image = server_.add_image({}, "latest");
  server_.intercept([](const SeenRequest&) { return Reply::text(200, R"({"config":{},"layers":[]} )"); });
  EXPECT_EQ(error_of([&] { resolve(by_digest(image.digest)); }).kind(), ErrorKind::corrupt);
  server_.intercept([&](const SeenRequest&) {
    return Reply::text(200, "{}").with("Docker-Content-Digest", to_string(image.digest));
  });
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::corrupt);
}

TEST_F(RepositoryTest, AnIndexThatStatesAnotherSizeIsCorrupt) {
  Descriptor image = server_.add_image({}, "");
  image.size_bytes += 1;
  server_.add_index({{image, kAmd64Json}}, "latest");
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::corrupt);
}

TEST_F(RepositoryTest, AnIndexOfIndexesIsUnsupported) {
  const Descriptor inner = server_.add_index({}, "");
  server_.add_index({{inner, kAmd64Json}}, "latest");
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::unsupported);
}

TEST_F(RepositoryTest, AManifestBeyondTheLimitIsCorrupt) {
  server_.intercept(
      [](const SeenRequest&) { return Reply::text(200, std::string(kManifestLimit + 1, ' ')); });
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::corrupt);
}

TEST_F(RepositoryTest, APageForPeopleIsNoManifest) {
  server_.intercept([](const SeenRequest&) {
    return Reply::text(200, "<html>login</html>").with("Content-Type", "text/html");
  });
  const Error error = error_of([&] { resolve(); });
  EXPECT_EQ(error.kind(), ErrorKind::corrupt);
  EXPECT_THAT(error.what(), StartsWith("resolving " + to_string(server_.reference()) + ": manifest: "));
}

TEST_F(RepositoryTest, AnUnknownTagIsNotFoundInTheRegistrysWords) {
  const Error error = error_of([&] { resolve("none"); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_THAT(error.what(), HasSubstr("answered 404: manifest unknown"));
}

TEST_F(RepositoryTest, TriesAgainWhileTheRegistryIsBusy) {
  const Descriptor image = server_.add_image({}, "latest");
  server_.intercept([failures = 3](const SeenRequest&) mutable -> std::optional<Reply> {
    if (failures-- <= 0) return std::nullopt;
    return Reply::text(503, "");
  });
  EXPECT_EQ(resolve().manifest_digest, image.digest);
}

TEST_F(RepositoryTest, GivesUpAtItsDeadline) {
  server_.intercept([](const SeenRequest&) { return Reply::text(503, ""); });
  const Error error = error_of([&] { resolve(); });
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_THAT(error.what(), testing::ContainsRegex("answered 503 after [0-9]+ tries"));
}

TEST_F(RepositoryTest, PlainHttpIsOnlyForInsecure) {
  server_.add_image({}, "latest");
  settings_.insecure = false;
  EXPECT_EQ(error_of([&] { resolve(); }).kind(), ErrorKind::unavailable);
  EXPECT_TRUE(server_.server().seen().empty());
}

TEST_F(RepositoryTest, FetchesASmallBlob) {
  const Descriptor blob = server_.add_blob("{\"a\":1}");
  EXPECT_EQ(fetch(blob), "{\"a\":1}");
  EXPECT_EQ(fetch(server_.add_blob("")), "");
}

TEST_F(RepositoryTest, ASmallBlobIsVerifiedAndBounded) {
  const Descriptor good = server_.add_blob("content");
  EXPECT_EQ(error_of([&] { fetch(good, 6); }).kind(), ErrorKind::unsupported);
  for (const char* other : {"Content", "conten", "content and more"}) {
    server_.intercept([&](const SeenRequest&) { return Reply::text(200, other); });
    EXPECT_EQ(error_of([&] { fetch(good); }).kind(), ErrorKind::corrupt) << other;
  }
}

TEST_F(RepositoryTest, CancelEndsWhatIsBeingOpened) {
  settings_.retry = RetrySettings();
  server_.intercept([](const SeenRequest&) { return Reply::text(200, "x").cut(0, Reply::End::stall); });
  const auto repository_kept = repository();
  std::thread cancelling([&] {
    while (server_.server().seen("/v2/").empty()) std::this_thread::sleep_for(milliseconds(1));
    Repository::cancel(repository_kept, Error(ErrorKind::unavailable, "start_timeout of 90 s has passed"));
  });
  const Error error = error_of([&] { engine_.run(repository_kept->resolve(server_.reference(), kAmd64)); });
  cancelling.join();
  EXPECT_THAT(error.what(), HasSubstr("start_timeout of 90 s has passed"));
}

TEST(Endpoints, AreHttpsUnlessInsecure) {
  const auto urls = [](std::string_view host, bool insecure) {
    std::vector<std::string> out;
    for (const Endpoint& endpoint : endpoints_of(host, insecure)) out.push_back(endpoint.url);
    return out;
  };
  using testing::ElementsAre;
  EXPECT_THAT(urls("example.com", false), ElementsAre("https://example.com"));
  EXPECT_THAT(urls("127.0.0.1:5000", false), ElementsAre("https://127.0.0.1:5000"));
  EXPECT_THAT(urls("example.com:5000", true),
              ElementsAre("https://example.com:5000", "http://example.com:5000"));
  EXPECT_THAT(urls("docker.io", false), ElementsAre("https://registry-1.docker.io"));
}

}  // namespace
}  // namespace erofs_oci::registry
