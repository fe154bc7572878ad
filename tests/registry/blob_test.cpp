// SPDX-License-Identifier: Apache-2.0
#include "registry/blob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "registry/fake_registry.h"

namespace erofs_oci::registry {
namespace {

using test::FakeRegistry;

std::string sample(size_t size) {
  std::string content(size, '\0');
  uint32_t state = 12345;
  for (char& c : content) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return content;
}

class BlobTest : public testing::Test {
 protected:
  std::shared_ptr<Blob> open(const Descriptor& descriptor,
                             RetrySettings reading = FakeRegistry::impatient()) {
    const auto repository = std::make_shared<Repository>(engine_, server_.reference(), settings_);
    return engine_.run(Blob::open(repository, descriptor, reading));
  }
  static std::string read(Blob& blob, ByteRange range) {
    std::string out(range.length, '\0');
    std::promise<std::optional<Error>> done;
    blob.read(range, std::as_writable_bytes(std::span(out)), Priority::foreground,
              [&](std::optional<Error> error) { done.set_value(std::move(error)); });
    if (const auto error = done.get_future().get()) throw *error;
    return out;
  }

  FakeRegistry server_;
  AccessSettings settings_ = FakeRegistry::settings();
  http::Engine engine_;
  const std::string content_ = sample(200'000);
};

TEST_F(BlobTest, ReadsARange) {
  const auto blob = open(server_.add_blob(content_));
  EXPECT_EQ(read(*blob, {1000, 5000}), content_.substr(1000, 5000));
}

}  // namespace
}  // namespace erofs_oci::registry
