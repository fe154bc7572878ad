// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "http/error_of.h"
#include "registry/blob.h"
#include "registry/fake_registry.h"

namespace erofs_oci::test {

/// Bytes that do not repeat.
inline std::string sample(size_t size) {
  std::string content(size, '\0');
  uint32_t state = 12345;
  for (char& c : content) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return content;
}

/// A read under way; lives as long as the read.
class PendingRead {
 public:
  PendingRead(registry::Blob& blob, ByteRange range) : out_(range.length, '\0') {
    blob.read(range, std::as_writable_bytes(std::span(out_)), Priority::foreground,
              [this](std::optional<Error> error) { done_.set_value(std::move(error)); });
  }
  /// The bytes; throws the read's error.
  std::string wait() {
    if (const auto error = done_.get_future().get())
      throw Error(error->kind(), error->errno_value(), error->what());
    return out_;
  }

 private:
  std::string out_;
  std::promise<std::optional<Error>> done_;
};

/// One blob of 200,000 bytes in a fake registry.
class BlobTest : public testing::Test {
 protected:
  std::shared_ptr<registry::Blob> open(registry::RetrySettings reading = FakeRegistry::impatient()) {
    const auto repository = std::make_shared<registry::Repository>(*engine_, server_.reference(), settings_);
    auto blob = engine_->run(registry::Blob::open(repository, descriptor_, reading));
    requests_at_open_ = blob_requests().size();
    return blob;
  }
  static std::string read(registry::Blob& blob, ByteRange range) { return PendingRead(blob, range).wait(); }

  std::vector<SeenRequest> blob_requests() { return server_.server().seen("/v2/team/tools/blobs/"); }
  std::vector<ByteRange> ranges_since_open() {
    std::vector<ByteRange> ranges;
    const auto seen = blob_requests();
    for (size_t i = requests_at_open_; i < seen.size(); ++i)
      ranges.push_back(seen[i].range().value_or(ByteRange()));
    return ranges;
  }
  /// The next answer ends after `bytes` of its body.
  void cut_once(size_t bytes, Reply::End end) {
    server_.intercept(
        [this, bytes, end, cut = false](const SeenRequest& request) mutable -> std::optional<Reply> {
          if (std::exchange(cut, true)) return std::nullopt;
          return Reply::content(content_, request).cut(bytes, end);
        });
  }

  const std::string content_ = sample(200'000);
  FakeRegistry server_;
  registry::Descriptor descriptor_ = server_.add_blob(content_);
  registry::AccessSettings settings_ = FakeRegistry::settings();
  size_t requests_at_open_ = 0;
  std::unique_ptr<http::Engine> engine_ = std::make_unique<http::Engine>();
};

}  // namespace erofs_oci::test
