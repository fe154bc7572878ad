// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_record.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "daemon/kept_connection.h"
#include "nbd/connection.h"

namespace erofs_oci {
namespace {

const Digest kDigest = Digest::parse("sha256:" + std::string(64, 'a'));

OpenInput input() {
  OpenInput input;
  input.definition.name = "tools";
  input.definition.image = "oci:/srv/layout:1";
  input.definition.mountpoint = "/mnt/tools";
  input.layout.emplace("index.json", memory_file("test", "first"));
  input.layout.emplace("blobs/sha256/" + std::string(64, 'b'), memory_file("test", "second"));
  input.ca_pem = "certificates";
  input.credentials = registry::Credentials{"user", Secret("geheim"), {}};
  return input;
}

OpenReply opened() {
  OpenReply reply;
  reply.size_bytes = 8192;
  reply.block_size = 4096;
  reply.image_digest = kDigest;
  reply.index_identity = "id";
  return reply;
}

StoredMount stored() {
  SourceRecord record(input());
  record.set_opened(opened());
  return record.to_stored(TransportKind::fuse);
}

std::string text_of(int fd) {
  ::lseek(fd, 0, SEEK_SET);
  return read_text(fd, 1 * kMiB, "test");
}

TEST(SourceRecord, GivesBackWhatASourceIsOpenedFrom) {
  const StoredSource source = take_source(stored());
  EXPECT_EQ(source.kind, TransportKind::fuse);
  EXPECT_EQ(source.input.definition.image, "oci:/srv/layout:1");
  EXPECT_EQ(source.input.pinned, kDigest);
  EXPECT_EQ(source.input.ca_pem, "certificates");
  EXPECT_EQ(source.input.credentials->username, "user");
  EXPECT_EQ(source.input.credentials->password.reveal(), "geheim");
  ASSERT_EQ(source.input.layout.size(), 2u);
  EXPECT_EQ(text_of(source.input.layout.at("index.json").get()), "first");
  EXPECT_FALSE(source.input.image);
  EXPECT_NO_THROW(check_same_source(source.opened, opened()));
}

TEST(SourceRecord, SecretsAreInThePartForThem) {
  for (const auto& [part, fd] : stored()) {
    EXPECT_EQ(text_of(fd.get()).find("geheim") != std::string::npos, part == "credentials") << part;
  }
}

TEST(SourceRecord, RefusesAnotherVersionAndWhatIsNone) {
  for (const std::string text : {R"({"version": 2})", "{", ""}) {
    StoredMount parts = stored();
    parts["source"] = memory_file("test", text);
    EXPECT_THROW(take_source(parts), Error) << text;
  }
  EXPECT_THROW(take_source({}), Error);
}

TEST(SourceRecord, NoticesAnotherSource) {
  OpenReply other = opened();
  other.size_bytes += 4096;
  EXPECT_THROW(check_same_source(opened(), other), Error);
  other = opened();
  other.index_identity = "another";
  EXPECT_THROW(check_same_source(opened(), other), Error);
}

/// How many mounts of a registry the service manager keeps all of, by the names that they have there.
size_t mounts_kept(TransportKind kind, bool has_login) {
  OpenInput of_registry;
  of_registry.definition.name = "tools";
  of_registry.definition.image = "registry.example.com/team/tools:1";
  if (has_login) of_registry.credentials = registry::Credentials{"user", Secret("geheim"), {}};
  SourceRecord record(of_registry);
  record.set_opened(opened());
  StoredMount parts = record.to_stored(kind);
  nbd::TestConnection connection;
  std::vector<UniqueFd> handed_over;
  handed_over.push_back(duplicate(connection.server->socket.get()));
  if (kind == TransportKind::nbd) {
    handed_over.push_back(duplicate(connection.server->pipe.read_fd()));
    handed_over.push_back(duplicate(connection.server->pipe.write_fd()));
  }
  parts.merge(new_connection(kind, std::move(handed_over)));

  ServiceManager manager;
  for (size_t kept = 0;; ++kept) {
    const std::string generation = random_hex_128();
    std::map<std::string, int> fds;
    for (const auto& [part, fd] : parts) fds.emplace(stored_name(generation, part), fd.get());
    try {
      manager.store(fds);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::no_space) << error.what();
      return kept;
    }
  }
}

TEST(SourceRecord, AsManyMountsAreKeptAsTheManPageSays) {
  EXPECT_EQ(mounts_kept(TransportKind::nbd, false), 571u);
  EXPECT_EQ(mounts_kept(TransportKind::fuse, false), 975u);
  EXPECT_EQ(mounts_kept(TransportKind::nbd, true), 470u);
  EXPECT_EQ(mounts_kept(TransportKind::fuse, true), 714u);
}

}  // namespace
}  // namespace erofs_oci
