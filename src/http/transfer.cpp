// SPDX-License-Identifier: Apache-2.0
#include "http/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <new>

#include "base/error.h"
#include "base/text.h"
#include "http/curl_error.h"
#include "http/url.h"

namespace erofs_oci::http {
namespace {

constexpr long kReceiveBufferBytes = 128 * 1024;

bool system_has_bundle() {
  static const char* const path = ::curl_version_info(CURLVERSION_NOW)->cainfo;
  return path != nullptr && ::access(path, R_OK) == 0;
}

}  // namespace

Transfer::Transfer(Loop& loop, const Request& request)
    : Suspension(loop, request.group), Ticket{origin_of(request.url), request.priority}, request_(request) {
  response_.url = request.url;
}

Transfer::~Transfer() = default;

void Transfer::enter() {
  loop_.enqueue(*this);
}
void Transfer::leave() {
  loop_.withdraw(*this);
}

template <typename T>
void Transfer::set(CURLoption option, T value) {
  const CURLcode result = ::curl_easy_setopt(handle_.get(), option, value);
  if (result != CURLE_OK) throw make_error(ErrorKind::system, "curl: {}", ::curl_easy_strerror(result));
}

CURL* Transfer::prepare() {
  handle_.reset(::curl_easy_init());
  if (!handle_) throw std::bad_alloc();
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, message_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  set(CURLOPT_USERAGENT, loop_.settings().user_agent.c_str());
#if LIBCURL_VERSION_NUM >= 0x075700
  // A resolver thread that waits for a dead DNS server is left behind instead of joined.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  static const ConnectionSettings defaults;
  set_connection(request_.connection != nullptr ? *request_.connection : defaults);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, request_.limits.connect.count())));
  set_request();
  return handle_.get();
}

void Transfer::set_connection(const ConnectionSettings& connection) {
  set(CURLOPT_SSL_VERIFYPEER, connection.insecure ? 0L : 1L);
  set(CURLOPT_SSL_VERIFYHOST, connection.insecure ? 0L : 2L);
  if (connection.ca_pem) {
    // Replaces the system's bundle file only: the system's folder of certificates, CURLOPT_CAPATH, stays in
    // force.
    curl_blob blob{const_cast<char*>(connection.ca_pem->data()), connection.ca_pem->size(), CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
  } else if (system_has_bundle()) {
    // With the folder out of the way curl parses the bundle once a day, not for each connection: 4 ms instead
    // of 83 ms on the transfer thread (measured, 220 KB bundle).
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  if (connection.proxy) set(CURLOPT_PROXY, connection.proxy->c_str());
}

void Transfer::set_request() {
  set(CURLOPT_URL, request_.url.c_str());
  if (request_.method == Method::post) {
    set(CURLOPT_POSTFIELDS, request_.form.reveal().c_str());
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.form.reveal().size()));
  }
  add_header("Accept-Encoding: identity");
  for (const Header& header : request_.headers) add_header(header.name + ": " + header.value);
  if (request_.range) add_header("Range: " + http_range(*request_.range));
  if (request_.authorization) add_header("Authorization: " + request_.authorization->reveal());
  set(CURLOPT_HTTPHEADER, header_lines_.get());
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, this);
}

void Transfer::add_header(const std::string& line) {
  if (line.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorKind::invalid, "line break in a header field");
  curl_slist* longer = ::curl_slist_append(header_lines_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)header_lines_.release();
  header_lines_.reset(longer);
}

// Not by CURLOPT_LOW_SPEED_TIME: it averages over the seconds before, and so sees a stall after a burst 5 s
// late.
void Transfer::start_watching() {
  last_byte_ = Clock::now();
  watch_ = loop_.arm(last_byte_ + request_.limits.stall, *this);
}

void Transfer::stop_watching() {
  if (watch_) loop_.disarm(*std::exchange(watch_, std::nullopt));
}

void Transfer::note_bytes(size_t count) {
  last_byte_ = Clock::now();
  bytes_since_watch_ += count;
}

void Transfer::expired() {
  watch_.reset();
  const auto needed =
      static_cast<uint64_t>(kStallBytesPerSecond * request_.limits.stall / std::chrono::seconds(1));
  if (std::exchange(bytes_since_watch_, 0) > needed) {
    watch_ = loop_.arm(last_byte_ + request_.limits.stall, *this);
    return;
  }
  leave();
  complete(std::make_exception_ptr(
      Error(ErrorKind::unavailable, ETIMEDOUT,
            fmt::format("{}: stalled for {} ms", host_of(request_.url), request_.limits.stall.count()))));
}

// Exceptions must not pass through curl: they are kept, and end the transfer by a short count.
size_t Transfer::on_header(char* data, size_t, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.note_bytes(size);
  try {
    transfer.take_header({data, size});
    return size;
  } catch (...) {
    transfer.failure_ = std::current_exception();
    return 0;
  }
}

size_t Transfer::on_body(char* data, size_t, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.note_bytes(size);
  try {
    transfer.enough_ = !transfer.take_body(as_bytes({data, size}));
    return transfer.enough_ ? 0 : size;
  } catch (...) {
    transfer.failure_ = std::current_exception();
    return 0;
  }
}

void Transfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderLimit) {
    throw make_error(ErrorKind::corrupt, "{}: more than {} of header fields", host_of(request_.url),
                     human_size(kHeaderLimit));
  }
  if (line.starts_with("HTTP/")) {  // the fields of an interim response (100, 103) are not the answer's
    response_.headers = {};
  } else {
    response_.headers.add_line(line);
  }
}

bool Transfer::take_body(Bytes piece) {
  if (!body_begun_) {
    body_begun_ = true;
    long status = 0;
    ::curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    if (response_.ok() && request_.sink != nullptr) request_.sink->begin(response_);
  }
  if (response_.ok() && request_.sink != nullptr) return request_.sink->write(piece);
  const uint64_t limit = response_.ok() ? request_.body_limit : kErrorBodyLimit;
  const uint64_t room = limit - response_.body.size();
  if (response_.ok() && piece.size() > room) {
    throw make_error(ErrorKind::corrupt, "{}: answer of more than {}", host_of(request_.url),
                     human_size(limit));
  }
  response_.body += as_text(piece.first(std::min<uint64_t>(room, piece.size())));
  return piece.size() <= room;
}

void Transfer::finish(CURLcode result) {
  long status = 0;
  ::curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  if (!failure_ && result != CURLE_OK && !enough_) failure_ = std::make_exception_ptr(error_of(result));
  complete(std::move(failure_));
}

Error Transfer::error_of(CURLcode result) const {
  long os_errno = 0;
  ::curl_easy_getinfo(handle_.get(), CURLINFO_OS_ERRNO, &os_errno);
  return curl_error(result, static_cast<int>(os_errno), host_of(request_.url), message_.data());
}

}  // namespace erofs_oci::http
