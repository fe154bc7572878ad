// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci::http {
namespace {

TEST(Url, OriginHasTheDefaultPortAndLowerCase) {
  EXPECT_EQ(origin_of("https://Registry.Example.com/v2/?a=b"), "https://registry.example.com:443");
  EXPECT_EQ(origin_of("http://example.com"), "http://example.com:80");
  EXPECT_EQ(origin_of("http://[::1]:5000/x"), "http://[::1]:5000");
  EXPECT_NE(origin_of("https://example.com"), origin_of("http://example.com"));
  EXPECT_NE(origin_of("https://example.com"), origin_of("https://example.com:8443"));
}

TEST(Url, RefusesOtherSchemesAndUserNames) {
  for (const char* url : {"file:///etc/passwd", "ftp://example.com/x", "https://user:secret@example.com/",
                          "nonsense::", "https://"}) {
    EXPECT_THROW(origin_of(url), Error) << url;
  }
}

TEST(Url, ErrorsDoNotRepeatTheUrl) {
  try {
    origin_of("https://user:secret@example.com/");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
  }
}

TEST(Url, HostLeavesOutWhatMayBeSigned) {
  EXPECT_EQ(host_of("https://storage.example.com/bucket/key?signature=abc"), "storage.example.com:443");
}

TEST(Url, ResolvesALocation) {
  const std::string base = "https://example.com/v2/a/blobs/x?y=z";
  EXPECT_EQ(resolve_url(base, "https://storage.example.com/k?s=1%2F2"),
            "https://storage.example.com/k?s=1%2F2");
  EXPECT_EQ(resolve_url(base, "/other"), "https://example.com/other");
  EXPECT_EQ(resolve_url(base, "sibling"), "https://example.com/v2/a/blobs/sibling");
  EXPECT_EQ(resolve_url(base, "//example.org/p"), "https://example.org/p");
  EXPECT_THROW(resolve_url(base, "file:///etc/passwd"), Error);
}

TEST(Url, EncodesParameters) {
  EXPECT_EQ(encode_parameters({{"scope", "repository:a/b:pull"}, {"x", "1 &=ü"}}),
            "scope=repository%3Aa%2Fb%3Apull&x=1%20%26%3D%C3%BC");
}

TEST(Url, AddsParametersToAQuery) {
  EXPECT_EQ(with_parameters("https://example.com/token", {{"a", "1"}}), "https://example.com/token?a=1");
  EXPECT_EQ(with_parameters("https://example.com/token?x=y", {{"a", "b/c"}}),
            "https://example.com/token?x=y&a=b%2Fc");
  EXPECT_EQ(with_parameters("https://example.com/token?x=y", {}), "https://example.com/token?x=y");
}

}  // namespace
}  // namespace erofs_oci::http
