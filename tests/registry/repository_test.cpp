// SPDX-License-Identifier: Apache-2.0
#include "registry/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/blob.h"
#include "registry/fake_registry.h"

namespace erofs_oci::registry {
namespace {

using test::FakeRegistry;

const Platform kAmd64 = Platform::parse("linux/amd64");

class RepositoryTest : public testing::Test {
 protected:
  ResolvedImage resolve(const std::string& tag = "latest", const Platform& platform = kAmd64) {
    Repository repository(engine_, server_.reference(), FakeRegistry::settings());
    return engine_.run(repository.resolve(server_.reference(tag), platform));
  }

  FakeRegistry server_;
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
}

}  // namespace
}  // namespace erofs_oci::registry
