// SPDX-License-Identifier: Apache-2.0
#include "base/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(Reference, SplitsHostPathTagAndDigest) {
  struct Case {
    std::string text, host, path, tag;
    bool has_digest;
  };
  const std::vector<Case> cases{
      {"registry.example.com/team/tools:1.4", "registry.example.com", "team/tools", "1.4", false},
      {"registry.example.com/team/tools", "registry.example.com", "team/tools", "latest", false},
      {"registry.example.com:5000/tools", "registry.example.com:5000", "tools", "latest", false},
      {"host:5000/img:v1", "host:5000", "img", "v1", false},
      {"localhost/img", "localhost", "img", "latest", false},
      {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", "latest", false},
      {"[::1]:5000/img:x", "[::1]:5000", "img", "x", false},
      {"UPPER/img", "UPPER", "img", "latest", false},
      {"example.com/a@" + kDigest, "example.com", "a", "", true},
      {"example.com/a:tag@" + kDigest, "example.com", "a", "tag", true},
      {"example.com:5000/a@" + kDigest, "example.com:5000", "a", "", true},
      {"example.com/a.b_c__d---e/f", "example.com", "a.b_c__d---e/f", "latest", false},
      {"example.com/a:_Tag.1-x", "example.com", "a", "_Tag.1-x", false},
  };
  for (const Case& c : cases) {
    const Reference reference = Reference::parse(c.text);
    EXPECT_EQ(reference.host, c.host) << c.text;
    EXPECT_EQ(reference.path, c.path) << c.text;
    EXPECT_EQ(reference.tag, c.tag) << c.text;
    EXPECT_EQ(reference.digest.has_value(), c.has_digest) << c.text;
  }
}

TEST(Reference, WithoutAHostItIsDockerHubs) {
  for (const auto& [text, full] : std::vector<std::pair<std::string, std::string>>{
           {"debian", "docker.io/library/debian:latest"},
           {"debian:12", "docker.io/library/debian:12"},
           {"team/tools", "docker.io/team/tools:latest"},
           {"docker.io/debian", "docker.io/library/debian:latest"},
           {"index.docker.io/team/tools:1", "docker.io/team/tools:1"},
           {"a/b/c@" + kDigest, "docker.io/a/b/c@" + kDigest}}) {
    EXPECT_EQ(to_string(Reference::parse(text)), full);
  }
}

TEST(Reference, ADigestGoesBeforeATag) {
  EXPECT_EQ(Reference::parse("example.com/a:tag@" + kDigest).selector(), kDigest);
  EXPECT_EQ(Reference::parse("example.com/a:tag").selector(), "tag");
}

TEST(Reference, RefusesWhatTheGrammarDoesNotTake) {
  for (const std::string& text : {std::string(""),
                                  std::string(":tag"),
                                  std::string("example.com/"),
                                  std::string("example.com/A"),
                                  std::string("example.com//a"),
                                  std::string("example.com/a/"),
                                  std::string("example.com/-a"),
                                  std::string("example.com/a..b"),
                                  std::string("example.com/a._b"),
                                  std::string("example.com/a___b"),
                                  std::string("example.com/a:"),
                                  std::string("example.com/a:-x"),
                                  std::string("example.com/a:b c"),
                                  std::string("example.com/a:") + std::string(129, 'x'),
                                  std::string("example.com/a@sha256:12"),
                                  std::string("example.com/a@md5:abc"),
                                  std::string("example.com/a@") + kDigest + "@" + kDigest,
                                  std::string("exa_mple.com/a"),
                                  std::string("-example.com/a"),
                                  std::string("example.com:0/a"),
                                  std::string("example.com:65536/a"),
                                  std::string("example.com:/a"),
                                  std::string("example.com/a?b"),
                                  std::string("https://example.com/a"),
                                  std::string("example.com/../a"),
                                  std::string("example.com/a\nb"),
                                  "example.com/" + std::string(250, 'a'),
                                  std::string("[::1/a"),
                                  std::string("[]:1/a"),
                                  std::string("a.b") + ":c:d/e"}) {
    try {
      Reference::parse(text);
      ADD_FAILURE() << "taken: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
    }
  }
}

TEST(Reference, SaysWhichPartIsWrong) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      return to_string(Reference::parse(text));
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message("example.com/Tools:1"), testing::HasSubstr("\"Tools\" is no repository"));
  EXPECT_THAT(message("example.com/tools:-1"), testing::HasSubstr("\"-1\" is no tag"));
  EXPECT_THAT(message("exa_mple.com/tools"), testing::HasSubstr("\"exa_mple.com\" is no host"));
}

}  // namespace
}  // namespace erofs_oci
