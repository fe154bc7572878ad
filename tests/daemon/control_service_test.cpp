// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_service.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <array>
#include <thread>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "control/server_fixture.h"
#include "daemon/index_build.h"
#include "daemon/monitor.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// The daemon's methods on a socket.
class ControlServiceTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    auto methods = control_methods(mounts_, store_);
    methods.push_back(monitor_method(events_));
    ServerFixture::serve(std::move(methods));
  }
  static void open(Client& client) {
    const std::string image = TEST_DATA_DIR "/layer.erofs";
    OpenRequest request;
    request.definition.name = "tools";
    request.definition.image = "file:" + image;
    request.definition.mountpoint = "/mnt";
    request.files.image = 0;
    const UniqueFd file = open_file(image, O_RDONLY);
    client.call("Open", to_json(request), std::array{file.get()}, soon());
  }

  /// What is said when the file `image` is passed as `member` too, of which the definition says nothing.
  std::string refusal_of(std::optional<FdIndex> OpenFiles::*member) {
    const UniqueFd file = open_file(TEST_DATA_DIR "/layer.erofs", O_RDONLY);
    OpenRequest request;
    request.definition.name = "tools";
    request.definition.image = "registry.example.com/team/tools:1";
    request.definition.mountpoint = "/mnt";
    request.files.*member = 0;
    Client one = client();
    return error_of([&] { one.call("Open", to_json(request), std::array{file.get()}, soon()); }).what();
  }

  testing::TemporaryFolder store_folder_;
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  http::Engine engine_;
  Store store_{store_folder_ / "store"};
  SourceOpener opener_{engine_, loader_, workers_, store_, build_in_process(store_)};
  ServiceManager manager_;
  EventLog events_;
  MountTable mounts_{opener_, manager_, {}, [this](const Event& event) { events_.publish(event); }};
};

TEST_F(ControlServiceTest, MonitorTellsWhatHappensFromItsFirstReplyOn) {
  Client listener = client();
  std::vector<std::string> seen;
  std::jthread publisher;
  const auto on_reply = [&](const nlohmann::json& parameters) {
    const auto reply = from_json<MonitorReply>(parameters);
    if (!reply.event) {  // listening
      events_.publish({.kind = EventKind::served, .mount = "other", .message = "is not asked for"});
      events_.publish({.kind = EventKind::source_away, .mount = "tools", .message = "gone"});
      return;
    }
    seen.push_back(reply.event->mount + ": " + reply.event->message);
    publisher = std::jthread([this] { server_->stop(); });
  };
  listener.call_more("Monitor", to_json(MonitorRequest{"tools"}), {}, std::chrono::seconds(20), on_reply);
  EXPECT_EQ(seen, std::vector<std::string>{"tools: gone"});
}

TEST_F(ControlServiceTest, ReloadIsForTheGenerationThatIsServed) {
  Client one = client();
  open(one);
  ReloadRequest request{.generation = std::string(32, 'a'), .definition = {}, .credentials = {}};
  request.definition.name = "tools";
  request.definition.image = "file:/x";
  request.definition.mountpoint = "/mnt";
  const Error error = error_of([&] { one.call("Reload", to_json(request), {}, soon()); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
}

TEST_F(ControlServiceTest, BeginUnmountOfWhatIsNotThereWaitsForNobody) {
  Client one = client();
  const auto reply = one.call("BeginUnmount", to_json(BeginUnmountRequest{"nothing", std::nullopt}), {}, soon());
  EXPECT_EQ(from_json<BeginUnmountReply>(reply).waiting, 0u);
}

TEST_F(ControlServiceTest, ClosesWhatAClientLeftUnserved) {
  {
    Client one = client();
    open(one);
    EXPECT_THAT(mounts_.status(std::nullopt), SizeIs(1));
  }
  const auto deadline = soon();
  while (!mounts_.status(std::nullopt).empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_THAT(mounts_.status(std::nullopt), IsEmpty());
}

TEST_F(ControlServiceTest, RefusesFilesThatTheDefinitionDoesNotName) {
  EXPECT_THAT(refusal_of(&OpenFiles::ca),
              HasSubstr("files.ca is passed, but the definition does not name it"));
  EXPECT_THAT(refusal_of(&OpenFiles::image), HasSubstr("files.image"));
  EXPECT_THAT(refusal_of(&OpenFiles::tarindex), HasSubstr("files.tarindex"));
  EXPECT_THAT(refusal_of(&OpenFiles::zinfo), HasSubstr("files.zinfo"));
}

}  // namespace
}  // namespace erofs_oci
