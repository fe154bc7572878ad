// SPDX-License-Identifier: Apache-2.0
#include "fuse/protocol.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace erofs_oci::fuse {
namespace {

std::array<std::byte, 64> request_of_length(uint32_t length) {
  std::array<std::byte, 64> bytes{};
  store_le<uint32_t>(bytes.data(), length);
  return bytes;
}

TEST(FuseProtocol, RequestIsSplitIntoHeaderAndBody) {
  const auto request = parse_request(request_of_length(48));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.len, 48u);
  EXPECT_EQ(request->body.size(), 8u);
}

TEST(FuseProtocol, RequestOfAnImpossibleLengthIsNone) {
  EXPECT_FALSE(parse_request({}));
  EXPECT_FALSE(parse_request(Bytes(request_of_length(48)).first(39)));
  EXPECT_FALSE(parse_request(request_of_length(39)));
  EXPECT_FALSE(parse_request(request_of_length(65)));
}

TEST(FuseProtocol, BodyOfAnOlderKernelIsFilledWithZeros) {
  std::array<std::byte, 64> bytes = request_of_length(40 + 8);
  store_le<uint64_t>(bytes.data() + 40, 7);
  bytes[48] = std::byte{0xff};  // behind the request
  const auto in = body_as<fuse_read_in>(*parse_request(bytes));
  EXPECT_EQ(in.fh, 7u);
  EXPECT_EQ(in.offset, 0u);
}

TEST(FuseProtocol, InitIsAnsweredWithConstantsThatTheKernelOffers) {
  const auto reply = init_reply({.major = 7, .minor = 45, .max_readahead = 131072, .flags = ~0u});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->major, 7u);
  EXPECT_EQ(reply->minor, kMinorVersion);
  EXPECT_EQ(reply->max_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)), kMaxReadBytes);
  EXPECT_EQ(reply->flags,
            uint32_t{FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_MAX_PAGES | FUSE_EXPLICIT_INVAL_DATA});
  EXPECT_EQ(init_reply({.major = 7, .minor = 31, .flags = FUSE_ASYNC_READ})->flags,
            uint32_t{FUSE_ASYNC_READ});
}

TEST(FuseProtocol, InitOfAnotherVersionIsNegotiatedOrRefused) {
  EXPECT_EQ(init_reply({.major = 8, .minor = 0})->major, 7u);
  EXPECT_FALSE(init_reply({.major = 7, .minor = 30}));
  EXPECT_FALSE(init_reply({.major = 6, .minor = 99}));
}

TEST(FuseProtocol, ChangesAreRefusedAsToAReadOnlyFilesystem) {
  for (const uint32_t opcode : {FUSE_WRITE, FUSE_SETATTR, FUSE_SETXATTR, FUSE_FALLOCATE}) {
    EXPECT_EQ(refusal(opcode), EROFS) << opcode;
  }
  for (const uint32_t opcode : {FUSE_LOOKUP, FUSE_FLUSH, FUSE_GETXATTR, FUSE_INTERRUPT, FUSE_POLL}) {
    EXPECT_EQ(refusal(opcode), ENOSYS) << opcode;
  }
}

}  // namespace
}  // namespace erofs_oci::fuse
