// SPDX-License-Identifier: Apache-2.0
#include "cli/layout_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

namespace fs = std::filesystem;

std::string blob(unsigned number) {
  return fmt::format("blobs/sha256/{:064x}", number);
}

class LayoutRoundsTest : public ::testing::Test {
 protected:
  LayoutRoundsTest() {
    fs::create_directories(root() / "blobs/sha256");
    write("index.json", "{}");
  }
  fs::path root() const { return folder_ / "layout"; }
  void write(const std::string& name, const std::string& text) const {
    write_file_durably(root() / name, text, 0644);
  }
  std::string refusal(std::vector<std::string> names) {
    try {
      rounds_.open(FilesWanted(std::move(names)));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  testing::TemporaryFolder folder_;
  LayoutRounds rounds_{{ImageKind::oci, folder_ / "layout", std::nullopt}};
};

TEST_F(LayoutRoundsTest, OpensWhatALayoutHas) {
  write(blob(1), "one");
  const auto files = rounds_.open(FilesWanted({"index.json", blob(1)}));
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(read_text(files.at("index.json").get(), 10, ""), "{}");
  EXPECT_EQ(read_text(files.at(blob(1)).get(), 10, ""), "one");
}

TEST_F(LayoutRoundsTest, OpensNothingElse) {
  write("oci-layout", "{}");
  for (const std::string& name : {std::string("oci-layout"), std::string("../layout/index.json"),
                                  std::string("/etc/passwd"), std::string("blobs/sha256"), blob(1) + "/"}) {
    EXPECT_THAT(refusal({name}), HasSubstr("which it may not")) << name;
  }
}

TEST_F(LayoutRoundsTest, FollowsNoSymlink) {
  fs::create_symlink("/etc/passwd", root() / blob(1));
  EXPECT_THAT(refusal({blob(1)}), HasSubstr(blob(1) + ": a symbolic link in a layout is not followed"));
  fs::rename(root() / "blobs/sha256", root() / "real");
  fs::create_symlink("../real", root() / "blobs/sha256");
  EXPECT_THAT(refusal({blob(2)}), HasSubstr("a symbolic link in a layout is not followed"));
}

TEST_F(LayoutRoundsTest, TheLayoutItselfMayBeASymlink) {
  fs::create_symlink(root(), folder_ / "link");
  LayoutRounds rounds({ImageKind::oci, folder_ / "link", std::nullopt});
  EXPECT_EQ(rounds.open(FilesWanted({"index.json"})).size(), 1u);
}

TEST_F(LayoutRoundsTest, OpensRegularFilesOnly) {
  ASSERT_EQ(::mkfifo((root() / blob(1)).c_str(), 0644), 0);
  fs::create_directory(root() / blob(2));
  EXPECT_THAT(refusal({blob(1)}), HasSubstr("is not a regular file"));
  EXPECT_THAT(refusal({blob(2)}), HasSubstr("is not a regular file"));
}

TEST_F(LayoutRoundsTest, NamesWhatIsMissing) {
  EXPECT_THAT(refusal({blob(1)}), HasSubstr(blob(1) + ": No such file"));
}

TEST_F(LayoutRoundsTest, OpensAFileOnce) {
  rounds_.open(FilesWanted({"index.json"}));
  EXPECT_THAT(refusal({"index.json"}), HasSubstr("or has already"));
}

TEST_F(LayoutRoundsTest, EndsAfterItsRounds) {
  for (int i = 0; i < LayoutRounds::kMaxRounds; ++i) {
    write(blob(static_cast<unsigned>(i)), "x");
    EXPECT_EQ(refusal({blob(static_cast<unsigned>(i))}), "");
  }
  EXPECT_THAT(refusal({"index.json"}), HasSubstr("asked for more files 7 times"));
}

TEST_F(LayoutRoundsTest, OpensNoMoreThanAMessageCarries) {
  std::vector<std::string> names;
  for (unsigned i = 0; i <= kMaxLayoutFiles; ++i) {
    names.push_back(blob(i));
    write(blob(i), "x");
  }
  EXPECT_THAT(refusal(names), HasSubstr("more than 200 files; pack it as a tar file"));
}

TEST_F(LayoutRoundsTest, OpensNothingForAnotherKindOfImage) {
  LayoutRounds rounds({ImageKind::registry, "a", std::nullopt});
  EXPECT_THROW(rounds.open(FilesWanted({"index.json"})), Error);
}

}  // namespace
}  // namespace erofs_oci
