// SPDX-License-Identifier: Apache-2.0
#include "http/engine.h"

#include <gtest/gtest.h>

#include "http/loopback_server.h"

namespace erofs_oci::http {
namespace {

using test::LoopbackServer;
using test::Reply;
using test::SeenRequest;

Response get(Engine& engine, const std::string& url) {
  Request request;
  request.url = url;
  return engine.run(engine.perform(request));
}

TEST(Engine, GivesStatusHeadersAndBody) {
  LoopbackServer server(
      [](const SeenRequest&) { return Reply::text(404, "no such thing").with("X-Colour", "blue"); });
  Engine engine;
  const Response response = get(engine, server.url("/a?b"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("x-colour"), "blue");
  EXPECT_EQ(response.body, "no such thing");
  EXPECT_EQ(server.seen().at(0).target, "/a?b");
}

}  // namespace
}  // namespace erofs_oci::http
