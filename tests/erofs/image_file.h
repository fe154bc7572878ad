// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "erofs/tree_testing.h"

namespace erofs_oci::erofs::testing {

/// Whether a program can be run.
inline bool has_program(const std::string& name) {
  return std::system(fmt::format("command -v {} >/dev/null", name).c_str()) == 0;
}

inline std::string noise(size_t size) {
  std::mt19937 random(1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  const UniqueFd file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  write_all(file.get(), as_bytes(bytes), path.string());
}

/// A tree written to disk with data area `data`: image holds [metadata ‖ data], and the two also have files
/// of their own.
class ImageFile {
 public:
  ImageFile(const Tree& tree, WriteOptions options, const std::string& data) {
    options.data_size = data.size();
    const std::string metadata = write_metadata(tree, options);
    const std::string padded =
        data + std::string(round_up(data.size(), options.block_size) - data.size(), '\0');
    write_file(image(), metadata + padded);
    write_file(this->metadata(), metadata);
    write_file(this->data(), padded);
  }

  std::string image() const { return folder_ / "image"; }
  std::string metadata() const { return folder_ / "metadata"; }
  std::string data() const { return folder_ / "data"; }
  std::string path(const std::string& name) const { return folder_ / name; }

 private:
  erofs_oci::testing::TemporaryFolder folder_;
};

}  // namespace erofs_oci::erofs::testing
