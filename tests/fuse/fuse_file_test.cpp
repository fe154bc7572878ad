// SPDX-License-Identifier: Apache-2.0
#include "fuse/fuse_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace erofs_oci::fuse {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& path) {
  try {
    open_connection(path);
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "opened";
}

TEST(FuseConnection, SaysThatTheDeviceIsMissing) {
  EXPECT_THAT(refusal("/nonexistent/fuse"),
              AllOf(HasSubstr("unsupported"), HasSubstr("load the module fuse")));
}

TEST(FuseConnection, SaysThatSomethingElseLiesThere) {
  for (const std::string path : {"/dev/null", "/dev", "/proc/self/status"}) {
    EXPECT_THAT(refusal(path), AllOf(HasSubstr("unsupported"), HasSubstr(path + " is not the fuse device"),
                                     HasSubstr("mknod")));
  }
}

TEST(FuseConnection, SaysThatTheRightIsMissing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a device";
  const testing::TemporaryFolder folder;
  const std::string path = folder / "fuse";
  if (::mknod(path.c_str(), S_IFCHR | 0600, makedev(10, 229)) != 0)
    GTEST_SKIP() << "cannot make a device here";
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  const std::string said = refusal(path);
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_THAT(said, AllOf(HasSubstr("denied"), HasSubstr("Permission denied"), HasSubstr("c 10:229 rw")));
}

}  // namespace
}  // namespace erofs_oci::fuse
