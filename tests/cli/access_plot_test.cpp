// SPDX-License-Identifier: Apache-2.0
#include "cli/access_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AccessesReply record() {
  AccessesReply reply;
  reply.name = "tools";
  reply.image = "r.example/tools:1";
  reply.layers = {{"layer one", 100 * kMiB}, {"layer two", kMiB}};
  return reply;
}

TEST(AccessPlot, DrawsAnEmptyRecord) {
  const std::string svg = access_plot(record());
  EXPECT_THAT(svg, ::testing::StartsWith("<?xml"));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("nothing has been read"));
  EXPECT_THAT(access_plot({}), HasSubstr("nothing has been read"));
}

TEST(AccessPlot, HasABandForEachLayerAndAPathForEachKind) {
  AccessesReply reply = record();
  reply.accesses = {{0, 100'000, 0, 0, AccessHow::fetched},
                    {500'000, 20'000, 0, 50 * kMiB, AccessHow::fetched},
                    {900'000, 100'000, 1, 0, AccessHow::memory}};
  const std::string svg = access_plot(reply);
  EXPECT_THAT(svg, HasSubstr(">0: layer one<"));
  EXPECT_THAT(svg, HasSubstr(">1: layer two<"));
  EXPECT_THAT(svg, HasSubstr(R"(d="M120.0,129.0h120.0M720.0,)"));  // a second is 1200 wide
  EXPECT_THAT(svg, HasSubstr("2 of 3 reads were fetched, and waited 0.12 s together"));
  EXPECT_THAT(svg, HasSubstr(">1.0 s<"));
  EXPECT_THAT(svg, Not(HasSubstr("nothing has been read")));
}

TEST(AccessPlot, EscapesNames) {
  AccessesReply reply = record();
  reply.image = "</text><script>&\"'\x01";
  const std::string svg = access_plot(reply);
  EXPECT_THAT(svg, HasSubstr("&lt;/text&gt;&lt;script&gt;&amp;&quot;&#39; "));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(AccessPlot, SaysWhatIsLeftOut) {
  AccessesReply reply = record();
  EXPECT_THAT(access_plot(reply), Not(HasSubstr("record is full")));
  reply.left_out = 4711;
  EXPECT_THAT(access_plot(reply), HasSubstr(">4711<"));
}

}  // namespace
}  // namespace erofs_oci
