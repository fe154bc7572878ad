// SPDX-License-Identifier: Apache-2.0
#include "control/messages.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "control/files_wanted.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using testing::HasSubstr;

const std::string kGeneration(32, 'a');
const Digest kDigest = sha256({});

Definition definition() {
  Definition definition;
  definition.name = "tools";
  definition.image = "registry.example.com/team/tools:1.4";
  definition.mountpoint = "/srv/tools";
  return definition;
}

OpenRequest open_request() {
  return {.definition = definition(),
          .files = {.image = 4, .layout = {{"index.json", 5}}, .tarindex = 1, .zinfo = 2, .ca = 0},
          .credentials = 3,
          .pinned = kDigest};
}

OpenReply open_reply() {
  return {.generation = kGeneration,
          .kept = kGeneration,
          .size_bytes = 1 << 20,
          .block_size = 4096,
          .image_digest = kDigest,
          .index_identity = "id"};
}

ServeRequest serve_request() {
  return {.name = "tools", .generation = kGeneration, .transport = TransportKind::nbd, .fds = {0, 2}};
}

StatusReply status_reply() {
  MountStatus mount{.name = "tools",
                    .generation = kGeneration,
                    .image = "a:1",
                    .image_digest = kDigest,
                    .mountpoint = "/srv/tools",
                    .transport = TransportKind::export_,
                    .health = Health::waiting,
                    .reason = "registry away",
                    .integrity = Integrity::local,
                    .size_bytes = 4096};
  mount.counters = {1, 2, 3, 4, 5, 6, 7, 8};
  mount.cache = {CacheState::partial, 1, 2, true};
  return {{mount}};
}

ListReply list_reply() {
  return {{{"tools", kGeneration, "a:1", Health::serving}}};
}

MonitorReply monitor_reply() {
  return {Event{.kind = EventKind::corrupt, .mount = "tools", .layer = "sha256:ab", .span = 7, .message = "damaged"}, 2};
}

InspectReply inspect_reply() {
  return {.image = "a:1",
          .digest = kDigest,
          .media_type = "application/x",
          .platform = "linux/amd64",
          .created = "2026-01-31T12:00:00Z",
          .layers = {{.number = 0,
                      .digest = kDigest,
                      .media_type = "application/y",
                      .size_bytes = 7,
                      .format = "tar+gzip",
                      .access = LayerAccess::with_index,
                      .stream_size_bytes = 9,
                      .spans = 1}},
          .indexes = {{.layer = 0, .identity = "sha256:x", .size_bytes = 8, .spans = 1}}};
}

AccessesReply accesses_reply() {
  return {.name = "tools",
          .image = "a:1",
          .image_digest = kDigest,
          .age_us = 9,
          .layers = {{"layer", 4096}},
          .accesses = {{1, 2, 0, 3, AccessHow::read_ahead}},
          .left_out = 4};
}

template <typename T>
void expect_round_trip(const T& message, const json& expected) {
  EXPECT_EQ(to_json(message), expected);
  EXPECT_EQ(to_json(from_json<T>(expected)), expected);
}

template <typename T>
std::string refusal(json object, const json& patch) {
  for (const auto& [key, value] : patch.items()) object[key] = value;
  try {
    from_json<T>(object);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(Messages, SurviveARoundTripWithAllMembers) {
  expect_round_trip(OpenProgress{"resolving", 1, 2}, {{"stage", "resolving"}, {"done", 1}, {"total", 2}});
  expect_round_trip(open_reply(), {{"generation", kGeneration},
                                   {"kept", kGeneration},
                                   {"size_bytes", 1048576},
                                   {"block_size", 4096},
                                   {"image_digest", to_string(kDigest)},
                                   {"index_identity", "id"}});
  expect_round_trip(serve_request(),
                    {{"name", "tools"}, {"generation", kGeneration}, {"transport", "nbd"}, {"fds", {0, 2}}});
  expect_round_trip(CloseRequest{"tools", kGeneration}, {{"name", "tools"}, {"generation", kGeneration}});
  expect_round_trip(StatusRequest{"tools"}, {{"name", "tools"}});
  expect_round_trip(PrefetchRequest{"tools", 7}, {{"name", "tools"}, {"rate", 7}});
  expect_round_trip(PrefetchReply{8}, {{"bytes", 8}});
  expect_round_trip(AccessesRequest{"tools"}, {{"name", "tools"}});
  const json accesses = to_json(accesses_reply());
  EXPECT_EQ(to_json(from_json<AccessesReply>(accesses)), accesses);
  EXPECT_EQ(accesses["accesses"][0]["how"], "read_ahead");
  expect_round_trip(BeginUnmountRequest{"tools", kGeneration}, {{"name", "tools"}, {"generation", kGeneration}});
  expect_round_trip(BeginUnmountReply{3}, {{"waiting", 3}});
  expect_round_trip(MonitorRequest{"tools"}, {{"mount", "tools"}});
  expect_round_trip(monitor_reply(), {{"event",
                                       {{"kind", "corrupt"},
                                        {"mount", "tools"},
                                        {"layer", "sha256:ab"},
                                        {"span", 7},
                                        {"message", "damaged"}}},
                                      {"lost", 2}});
  expect_round_trip(
      list_reply(),
      {{"mounts",
        {{{"name", "tools"}, {"generation", kGeneration}, {"image", "a:1"}, {"health", "serving"}}}}});
}

TEST(Messages, OpenRequestCarriesTheDefinitionAndDescriptorIndexes) {
  const auto request = from_json<OpenRequest>(to_json(open_request()));
  EXPECT_EQ(request.definition.mountpoint, "/srv/tools");
  EXPECT_EQ(request.files.tarindex, 1u);
  EXPECT_EQ(request.files.zinfo, 2u);
  EXPECT_EQ(request.files.ca, 0u);
  EXPECT_EQ(request.files.image, 4u);
  EXPECT_EQ(request.files.layout.at("index.json"), 5u);
  EXPECT_EQ(request.credentials, 3u);
  EXPECT_EQ(request.pinned, kDigest);
}

TEST(Messages, StatusReplyCarriesEverything) {
  const json object = to_json(status_reply());
  EXPECT_EQ(to_json(from_json<StatusReply>(object)), object);
  const json& mount = object["mounts"][0];
  EXPECT_EQ(mount["transport"], "export");
  EXPECT_EQ(mount["health"], "waiting");
  EXPECT_EQ(mount["reason"], "registry away");
  EXPECT_EQ(mount["integrity"], "local");
  EXPECT_EQ(mount["counters"]["misses"], 8);
}

TEST(Messages, OpenRequestNamesOnlyWhatALayoutHas) {
  const json request = to_json(open_request());
  const auto with_layout = [&](const json& layout) {
    return refusal<OpenRequest>(request, {{"files", {{"layout", layout}}}});
  };
  EXPECT_THAT(with_layout({{"../x", 1}}), HasSubstr("'layout' must name files as an image layout does"));
  EXPECT_THAT(with_layout({{"index.json", "x"}}), HasSubstr("'files' 'layout' must be a whole number"));
  EXPECT_THAT(with_layout(7), HasSubstr("'files' 'layout' must be an object"));
  json many;
  for (size_t i = 0; i <= kMaxLayoutFiles; ++i) many[fmt::format("blobs/sha256/{:064x}", i)] = 0;
  EXPECT_THAT(with_layout(many), HasSubstr("'layout' must have 200 files at most"));
}

TEST(Messages, InspectReplyCarriesEverything) {
  const json object = to_json(inspect_reply());
  EXPECT_EQ(to_json(from_json<InspectReply>(object)), object);
  EXPECT_EQ(object["layers"][0]["access"], "with_index");
  EXPECT_EQ(object["indexes"][0]["layer"], 0);
}

TEST(Messages, LeaveOutWhatIsNotSet) {
  EXPECT_EQ(to_json(StatusRequest{}), json::object());
  EXPECT_EQ(to_json(CloseRequest{"tools", {}}), (json{{"name", "tools"}}));
  EXPECT_FALSE(from_json<StatusRequest>({{"name", nullptr}}).name);
}

TEST(Messages, RefuseWhatIsUnknownMissingOrOutOfRange) {
  const json serve = to_json(serve_request());
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"colour", 1}}), HasSubstr("'colour' is not known"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"name", nullptr}}), HasSubstr("'name' is missing"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"name", "../x"}}),
              HasSubstr("'name' must be the name of a mount"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"name", 1}}),
              HasSubstr("'name' must be a string, not a number"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"generation", "AA"}}),
              HasSubstr("'generation' must be 32 lower-case hex"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"transport", "loop"}}), HasSubstr("'transport' must be one of"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"fds", json::array()}}),
              HasSubstr("'fds' must name a descriptor"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"fds", {-1}}}), HasSubstr("'fds' must be a whole number"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"fds", {4294967296}}}),
              HasSubstr("'fds' must be a whole number"));
  EXPECT_THAT(refusal<ServeRequest>(serve, {{"fds", 0}}), HasSubstr("'fds' must be an array"));
  EXPECT_THAT(refusal<PrefetchRequest>({{"name", "tools"}}, {{"rate", 0}}), HasSubstr("'rate' must not be 0"));
  EXPECT_THAT(refusal<AccessesReply>(to_json(accesses_reply()), {{"layers", json::array()}}),
              HasSubstr("'layer' must be one of 'layers'"));
  EXPECT_THAT(refusal<OpenReply>(to_json(open_reply()), {{"block_size", 1024}}),
              HasSubstr("'block_size' must be 512 or 4096"));
  EXPECT_THAT(refusal<OpenReply>(to_json(open_reply()), {{"size_bytes", 0}}),
              HasSubstr("'size_bytes' must be whole blocks"));
  EXPECT_THAT(refusal<OpenReply>(to_json(open_reply()), {{"size_bytes", 1e3}}),
              HasSubstr("'size_bytes' must be a whole number"));
  EXPECT_THAT(refusal<OpenReply>(to_json(open_reply()), {{"image_digest", "md5:x"}}),
              HasSubstr("'image_digest' must be sha256:"));
  EXPECT_THAT(refusal<OpenRequest>(to_json(open_request()), {{"files", {{"key", 1}}}}),
              HasSubstr("'files' 'key' is not known"));
  EXPECT_THAT(refusal<OpenRequest>(to_json(open_request()), {{"definition", {{"name", "x"}}}}),
              HasSubstr("'image' is missing"));
  EXPECT_THAT(refusal<StatusReply>(to_json(status_reply()), {{"mounts", {1}}}),
              HasSubstr("'mounts' must be an object"));
}

TEST(TakeFd, GivesEachDescriptorOnceAndNoOther) {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_THROW(take_fd(fds, 1, "zinfo"), Error);
  EXPECT_TRUE(take_fd(fds, 0, "zinfo"));
  EXPECT_THROW(take_fd(fds, 0, "tarindex"), Error);
}

/// The names before ':' in the first parentheses after `head` in the interface's text.
std::set<std::string> declared(const std::string& head) {
  const std::string_view text = interface_description();
  size_t at = text.find(head);
  EXPECT_NE(at, std::string_view::npos) << head;
  at = text.find('(', at + head.size() - 1);
  std::set<std::string> names;
  std::string word;
  for (const char c : text.substr(at, text.find(')', at) - at)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
    } else {
      if (c == ':') names.insert(word);
      word.clear();
    }
  }
  return names;
}

std::set<std::string> members(const json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

TEST(Interface, DeclaresTheMembersOfEveryMessage) {
  EXPECT_EQ(declared("type Files ("), members(to_json(open_request())["files"]));
  EXPECT_EQ(declared("method Open("), members(to_json(open_request())));
  EXPECT_EQ(declared("method Serve("), members(to_json(serve_request())));
  EXPECT_EQ(declared("method Close("), members(to_json(CloseRequest{"a", kGeneration})));
  EXPECT_EQ(declared("method Reload("), members(to_json(ReloadRequest{kGeneration, definition(), 0})));
  EXPECT_EQ(declared("method BeginUnmount("), members(to_json(BeginUnmountRequest{"a", kGeneration})));
  EXPECT_EQ(declared("method Monitor("), members(to_json(MonitorRequest{"a"})));
  EXPECT_EQ(declared("type Event ("), members(to_json(monitor_reply())["event"]));
  EXPECT_EQ(declared("method Status("), members(to_json(StatusRequest{"a"})));
  EXPECT_EQ(declared("type MountStatus ("), members(to_json(status_reply())["mounts"][0]));
  EXPECT_EQ(declared("type Counters ("), members(to_json(status_reply())["mounts"][0]["counters"]));
  EXPECT_EQ(declared("type MountSummary ("), members(to_json(list_reply())["mounts"][0]));
  EXPECT_EQ(declared("type MountCache ("), members(to_json(status_reply())["mounts"][0]["cache"]));
  const CacheListReply cached{{{.layer = kDigest, .table = "index", .mounts = {"tools"}}}};
  EXPECT_EQ(declared("type CachedLayer ("), members(to_json(cached)["layers"][0]));
  EXPECT_EQ(declared("method CacheRemove("), members(to_json(CacheRemoveRequest{kDigest})));
  const CacheVerifyReply verified{.spans = 1, .bytes = 2, .damaged = {{kDigest, 3}}};
  EXPECT_EQ(declared("type DamagedSpan ("), members(to_json(verified)["damaged"][0]));
  EXPECT_EQ(from_json<CacheVerifyReply>(to_json(verified)).damaged[0].span, 3u);
  EXPECT_EQ(from_json<CacheListReply>(to_json(cached)).layers[0].mounts[0], "tools");
  EXPECT_EQ(declared("method Prefetch("), members(to_json(PrefetchRequest{"a", 1})));
  EXPECT_EQ(declared("method Accesses(name: string) -> ("), members(to_json(accesses_reply())));
  EXPECT_EQ(declared("type Access ("), members(to_json(accesses_reply())["accesses"][0]));
  EXPECT_EQ(declared("type RecordedLayer ("), members(to_json(accesses_reply())["layers"][0]));
  json open = to_json(open_reply());
  open.update(to_json(OpenProgress{"a", 1, 2}));
  EXPECT_EQ(declared("pinned: ?string) -> ("), members(open));
  EXPECT_EQ(declared("method Inspect("), members(to_json(open_request())));
  json inspect = to_json(inspect_reply());
  EXPECT_EQ(declared("type Layer ("), members(inspect["layers"][0]));
  EXPECT_EQ(declared("type Index ("), members(inspect["indexes"][0]));
  inspect.update(to_json(OpenProgress{"a", 1, 2}));
  const std::string_view text = interface_description();
  EXPECT_EQ(declared(std::string(text.substr(text.find("method Inspect("), 88))), members(inspect));
}

TEST(Interface, DeclaresTheNamesOfEveryEnum) {
  const std::string text(interface_description());
  EXPECT_THAT(text, HasSubstr(fmt::format("type Integrity ({}, {}, {})", to_string(Integrity::verified),
                                          to_string(Integrity::unverified), to_string(Integrity::local))));
  EXPECT_THAT(text, HasSubstr(fmt::format("type AccessHow ({}, {}, {}, {}, {}, {})", to_string(AccessHow::memory),
                                          to_string(AccessHow::disk), to_string(AccessHow::fetched),
                                          to_string(AccessHow::failed), to_string(AccessHow::read_ahead),
                                          to_string(AccessHow::prefetch))));
  EXPECT_THAT(text,
              HasSubstr(fmt::format("type Transport ({}, {}, {})", to_string(TransportKind::nbd),
                                    to_string(TransportKind::fuse), to_string(TransportKind::export_))));
  EXPECT_THAT(text, HasSubstr(fmt::format("type Health ({}, {}, {}, {})", to_string(Health::opening),
                                          to_string(Health::serving), to_string(Health::waiting),
                                          to_string(Health::failed))));
}

}  // namespace
}  // namespace erofs_oci
