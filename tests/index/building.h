// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/mutex.h"
#include "erofs/tree_testing.h"
#include "gzip/gzip_testing.h"
#include "index/builder.h"
#include "tar/archive.h"
#include "zstd/block.h"

namespace erofs_oci::testing {

/// A layer in memory. Reads are answered at once, or each on a thread of its own after up to `delay`.
class MemoryBlob : public RangeReader {
 public:
  explicit MemoryBlob(std::string data, std::string name = "layer")
      : data_(std::move(data)), name_(std::move(name)) {}

  uint64_t size_bytes() const override { return data_.size() + missing; }
  std::string name() const override { return name_; }
  void read(ByteRange range, MutableBytes out, Priority, RangeDone done) override {
    if (delay == std::chrono::microseconds(0)) return done(answer(range, out));
    const auto time = delay * (random_() % 100) / 100;
    threads_.emplace_back([this, range, out, time, done = std::move(done)] {
      std::this_thread::sleep_for(time);
      done(answer(range, out));
    });
  }

  uint64_t missing = 0;            ///< bytes that it says to have and has not
  uint64_t fails_at = UINT64_MAX;  ///< reads that go beyond are errors
  std::chrono::microseconds delay{0};

 private:
  std::optional<Error> answer(ByteRange range, MutableBytes out) const {
    if (range.end() > std::min<uint64_t>(fails_at, data_.size()))
      return Error(ErrorKind::unavailable, name_ + " is away");
    std::copy_n(as_bytes(data_).begin() + static_cast<ptrdiff_t>(range.offset), range.length, out.begin());
    return std::nullopt;
  }

  const std::string data_;
  const std::string name_;
  std::minstd_rand random_;
  std::vector<std::jthread> threads_;
};

inline UniqueFd memory_fd() {
  return UniqueFd(::memfd_create("test", MFD_CLOEXEC));
}

inline std::string bytes_of_file(int fd) {
  std::string bytes(static_cast<size_t>(stat_fd(fd, "test").st_size), '\0');
  pread_exactly(fd, 0, std::as_writable_bytes(std::span(bytes)), "test");
  return bytes;
}

inline UniqueFd fd_of(const std::string& bytes) {
  UniqueFd fd = memory_fd();
  write_all(fd.get(), as_bytes(bytes), "test");
  return fd;
}

// ---- archives and their compressed forms

/// Bytes of which deflate makes something, with references as far as they go.
inline std::string prose(size_t size, unsigned seed = 7) {
  std::string text(size, '\0');
  std::mt19937 random(seed);
  for (size_t i = 0; i < size; ++i) {
    text[i] = i > 40'000 && random() % 8 != 0 ? text[i - 1 - random() % 30'000]
                                              : static_cast<char>('a' + random() % 26);
  }
  return text;
}

inline std::string member_of(const std::string& name, const std::string& data) {
  return member({.name = name}, data);
}

/// Files of many sizes, links and an empty one; about 700 KiB.
inline std::string varied_archive(unsigned seed = 7) {
  return member({.name = "d/", .type = '5'}) + member_of("d/big", prose(400'000, seed)) +
         member_of("d/empty", "") + member({.name = "d/link", .type = '1', .link = "d/big"}) +
         member_of("small", "small\n") + member_of("zeros", std::string(200'000, '\0')) +
         member_of("odd", prose(70'001, seed + 1)) + member({.name = "s", .type = '2', .link = "d/big"}) +
         end_blocks();
}

inline std::string gzip_text(const std::string& data) {
  return std::string(as_text(gzip(as_bytes(data))));
}

/// Members of `size` bytes each.
inline std::string gzip_members(const std::string& data, size_t size) {
  std::string out;
  for (size_t at = 0; at < data.size(); at += size) out += gzip_text(data.substr(at, size));
  return out;
}

/// One member that ends, as Go's compress/gzip makes them, with an empty block.
inline std::string gzip_with_empty_end(const std::string& data) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, data.size()) + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// One member, flushed after each `size` bytes of data, so that a block begins there; ends with empty blocks.
inline std::string gzip_flushed(const std::string& data, size_t size) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, data.size()) + 100 + data.size() / size * 10, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  for (size_t at = 0; at < data.size(); at += size) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data() + at));
    stream.avail_in = static_cast<uInt>(std::min(size, data.size() - at));
    EXPECT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
  }
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// Frames of `size` bytes each.
inline std::string zstd_frames(const std::string& data, size_t size) {
  std::string out;
  for (size_t at = 0; at < data.size(); at += size)
    out += as_text(zstd_compress(as_bytes(data.substr(at, size))));
  return out;
}

inline std::string zstd_skippable(size_t size) {
  std::string frame("\x5a\x2a\x4d\x18", 4);
  std::string length(4, '\0');
  store_le<uint32_t>(length.data(), static_cast<uint32_t>(size));
  return frame + length + std::string(size, 's');
}

struct Form {
  const char* name;
  StreamFormat format;
  std::function<std::string(const std::string&)> compress;
};

inline void PrintTo(const Form& form, std::ostream* out) {
  *out << form.name;
}

/// How an archive may be stored, for spans of 64 KiB.
inline const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {"plain", StreamFormat::plain, [](const std::string& tar) { return tar; }},
      {"gzip", StreamFormat::gzip, gzip_text},
      {"gzip_members", StreamFormat::gzip, [](const std::string& tar) { return gzip_members(tar, 50'000); }},
      {"gzip_small_members", StreamFormat::gzip,
       [](const std::string& tar) { return gzip_members(tar, 999); }},
      {"gzip_empty_end", StreamFormat::gzip, gzip_with_empty_end},
      {"gzip_flushed", StreamFormat::gzip, [](const std::string& tar) { return gzip_flushed(tar, 64 * kKiB); }},
      {"gzip_empty_member", StreamFormat::gzip,
       [](const std::string& tar) {
         return gzip_text("") + gzip_text(tar) + gzip_text("") + std::string(99, '\0');
       }},
      {"zstd", StreamFormat::zstd, [](const std::string& tar) { return zstd_frames(tar, SIZE_MAX / 2); }},
      {"zstd_frames", StreamFormat::zstd, [](const std::string& tar) { return zstd_frames(tar, 10'000); }},
      {"zstd_large_frames", StreamFormat::zstd,
       [](const std::string& tar) { return zstd_frames(tar, 100'000); }},
      {"zstd_skippable", StreamFormat::zstd,
       [](const std::string& tar) {
         return zstd_skippable(0) + zstd_frames(tar.substr(0, std::min<size_t>(tar.size(), 65'536)), 65'536) +
                zstd_skippable(70'000) +
                zstd_frames(tar.substr(std::min<size_t>(tar.size(), 65'536)), 65'536) + zstd_skippable(300);
       }},
  };
  return all;
}

// ---- indexes

constexpr uint64_t kTestSpan = 64 * kKiB;

inline BuildOptions build_options(unsigned threads = 1) {
  return {.span_size = kTestSpan, .threads = threads, .scratch = ::testing::TempDir(), .progress = {}};
}

inline LayerInput layer_input(std::string blob, std::string name = "layer") {
  return {std::make_shared<MemoryBlob>(std::move(blob), std::move(name)), std::nullopt, std::nullopt};
}

inline ImageInput image_input(const std::vector<std::string>& blobs) {
  ImageInput image{.platform = "linux/amd64"};
  for (size_t i = 0; i < blobs.size(); ++i)
    image.layers.push_back(layer_input(blobs[i], fmt::format("layer {}", i)));
  return image;
}

inline std::string build_index(const ImageInput& image, const BuildOptions& options = build_options()) {
  const UniqueFd out = memory_fd();
  build_image_index(image, options, out.get(), "test.index");
  return bytes_of_file(out.get());
}

/// "KIND: sentence" of the Error that `action` gives; "none".
template <typename Action>
std::string failure_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "none";
}

inline std::string build_failure(const ImageInput& image, const BuildOptions& options = build_options()) {
  return failure_of([&] { build_index(image, options); });
}

/// What each file of an image holds, by its path, read as a device would be: metadata, extents, streams.
class DeviceContents {
 public:
  DeviceContents(const ImageIndex& index, std::vector<std::string> streams)
      : index_(index), streams_(std::move(streams)), metadata_(index.metadata().size, '\0') {
    pread_exactly(index.file(), index.metadata().offset, std::as_writable_bytes(std::span(metadata_)),
                  "test");
    const auto reader = erofs::testing::reader_of(metadata_);
    tree_ = erofs::testing::read_tree(reader);
    list(0, "");
  }
  const std::map<std::string, std::string>& files() const { return files_; }
  const erofs::Tree& tree() const { return tree_; }

 private:
  void list(erofs::NodeId directory, const std::string& prefix) {
    for (const auto& [name, id] : tree_.nodes[directory].children) {
      const erofs::Node& node = tree_.nodes[id];
      if (S_ISDIR(node.mode)) list(id, prefix + name + "/");
      if (S_ISREG(node.mode)) files_[prefix + name] = read(node);
    }
  }

  std::string read(const erofs::Node& node) const {
    std::string content(node.size, '\0');
    for (const erofs::FileData& data : node.data) {
      for (const Extent& extent : index_.extents()) {
        const ByteRange common =
            ByteRange{data.address, data.length}.intersect({extent.device_offset, extent.length});
        if (common.empty()) continue;
        content.replace(data.file_offset + common.offset - data.address, common.length,
                        streams_[extent.target], extent.target_offset + common.offset - extent.device_offset,
                        common.length);
      }
    }
    return content;
  }

  const ImageIndex& index_;
  const std::vector<std::string> streams_;
  std::string metadata_;
  erofs::Tree tree_;
  std::map<std::string, std::string> files_;
};

}  // namespace erofs_oci::testing
