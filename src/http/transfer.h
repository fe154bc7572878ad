// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/admission.h"
#include "http/loop.h"
#include "http/request.h"

namespace erofs_oci::http {

/// One exchange, from its place in the queue to its result: a Request in curl's terms. Transfer thread only.
class Transfer final : public Suspension, private Admission::Ticket, private Timer {
 public:
  /// `request` must outlive the transfer.
  Transfer(Loop& loop, const Request& request);
  ~Transfer() override;

  /// The outcome, after co_await returned.
  Response take_response() { return std::move(response_); }

  // For the loop.
  static Transfer& from_ticket(Ticket& ticket) { return static_cast<Transfer&>(ticket); }
  Ticket& ticket() { return *this; }
  /// A handle ready for curl_multi_add_handle.
  CURL* prepare();
  bool active() const { return handle_ != nullptr; }
  CURL* handle() const { return handle_.get(); }
  /// From here on until stop_watching(), a stall ends the transfer.
  void start_watching();
  void stop_watching();
  void finish(CURLcode result);
  void fail(std::exception_ptr failure) { complete(std::move(failure)); }

 private:
  using Clock = std::chrono::steady_clock;

  void enter() override;
  void leave() override;
  void expired() override;

  template <typename T>
  void set(CURLoption option, T value);
  void set_connection(const ConnectionSettings& connection);
  void set_request();
  void add_header(const std::string& line);

  static size_t on_header(char* data, size_t one, size_t size, void* self);
  static size_t on_body(char* data, size_t one, size_t size, void* self);
  void note_bytes(size_t count);
  void take_header(std::string_view line);
  bool take_body(Bytes piece);
  Error error_of(CURLcode result) const;

  struct EasyCleanup {
    void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
  };
  struct ListFree {
    void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
  };

  const Request& request_;
  std::unique_ptr<curl_slist, ListFree> header_lines_;
  std::unique_ptr<CURL, EasyCleanup> handle_;
  std::array<char, CURL_ERROR_SIZE> message_{};
  Response response_;
  std::optional<Timers::iterator> watch_;
  uint64_t bytes_since_watch_ = 0;
  Clock::time_point last_byte_;
  uint64_t header_bytes_ = 0;
  bool body_begun_ = false;
  bool enough_ = false;         // the rest of the body is not wanted
  std::exception_ptr failure_;  // thrown inside a callback of curl
};

}  // namespace erofs_oci::http
