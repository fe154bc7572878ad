// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace erofs_oci {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "file_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FileTest, DurableWriteReplacesTheFileAndLeavesNoOther) {
  write_file_durably(folder_ / "state", "old", 0600);
  write_file_durably(folder_ / "state", "new", 0600);
  EXPECT_EQ(read_text_file(folder_ / "state", 10), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, DurableWriteDoesNotFollowASymlinkAtTheTemporaryName) {
  write_file_durably(folder_ / "victim", "untouched", 0600);
  std::filesystem::create_symlink(folder_ / "victim", folder_ / "state.new");
  write_file_durably(folder_ / "state", "new", 0600);
  EXPECT_EQ(read_text_file(folder_ / "victim", 10), "untouched");
}

TEST_F(FileTest, ManyMayWriteTheSameFile) {
  std::vector<std::thread> writers;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    writers.emplace_back([this, letter] {
      for (int i = 0; i < 50; ++i) write_file_durably(folder_ / "state", std::string(3, letter), 0600);
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string text = read_text_file(folder_ / "state", 10);
  EXPECT_EQ(text, std::string(3, text.at(0)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, ReadTextRefusesMoreThanItsLimit) {
  write_file_durably(folder_ / "big", std::string(100, 'x'), 0600);
  EXPECT_EQ(read_text_file(folder_ / "big", 100).size(), 100u);
  EXPECT_THROW(read_text_file(folder_ / "big", 99), Error);
}

TEST_F(FileTest, PreadExactlyRefusesAShortFile) {
  write_file_durably(folder_ / "short", "1234", 0600);
  const UniqueFd fd = open_file(folder_ / "short", O_RDONLY);
  std::array<std::byte, 4> out{};
  pread_exactly(fd.get(), 0, out, "short");
  EXPECT_EQ(as_text(out), "1234");
  EXPECT_THROW(pread_exactly(fd.get(), 1, out, "short"), Error);
}

TEST_F(FileTest, AbsenceIsNoError) {
  EXPECT_FALSE(try_open_file(folder_ / "nothing", O_RDONLY));
  EXPECT_THROW(open_file(folder_ / "nothing", O_RDONLY), Error);
}

TEST_F(FileTest, NamesOfAFolderOrAnError) {
  EXPECT_TRUE(names_in(folder_).empty());
  std::filesystem::create_directory(folder_ / "b");
  write_file_durably(folder_ / "a", "", 0600);
  std::vector<std::string> names = names_in(folder_);
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
  EXPECT_THROW(names_in(folder_ / "a"), Error);
  EXPECT_THROW(names_in(folder_ / "absent"), Error);
}

}  // namespace
}  // namespace erofs_oci
