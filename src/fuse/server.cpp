// SPDX-License-Identifier: Apache-2.0
#include "fuse/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <cassert>
#include <climits>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "fuse/protocol.h"

namespace erofs_oci::fuse {
namespace {

UniqueFd make_wake_fd() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw errno_error("eventfd");
  return fd;
}

void set_non_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw errno_error("the fuse connection");
}

uint64_t size_of(const Payload& payload) {
  uint64_t size = 0;
  for (const Slice& slice : payload) size += slice.bytes.size();
  return size;
}

/// `payload` in one piece, for one that has more than writev(2) takes.
Payload joined(const Payload& payload) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(size_of(payload));
  for (const Slice& slice : payload) bytes->insert(bytes->end(), slice.bytes.begin(), slice.bytes.end());
  return {{*bytes, bytes}};
}

}  // namespace

/// What the receiver and the completions of reads share. Its mutex is never held across I/O.
class Server::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(UniqueFd connection, std::shared_ptr<BlockDevice> device, RequestTable table, GivenUp given_up)
      : connection_(std::move(connection)),
        wake_(make_wake_fd()),
        device_(std::move(device)),
        given_up_(std::move(given_up)),
        size_bytes_(device_->size_bytes()),
        table_(std::move(table)) {
    set_non_blocking(connection_.get());
  }

  End run(const LoopPulse& pulse);
  void stop();
  int connection_fd() const { return connection_.get(); }
  int table_fd() const { return table_.fd(); }

 private:
  void take_over();
  void wait_for_request() const;
  void handle(const Request& request);
  void handle_init(const Request& request);
  void handle_open(const Request& request);
  void handle_read(const Request& request);
  std::optional<RequestTable::Slot> wait_for_slot(const PendingRead& read) EXCLUDES(mutex_);
  void start_read(RequestTable::Slot slot, const PendingRead& read);
  void start_suspect() EXCLUDES(mutex_);
  void read_device(RequestTable::Slot slot, const PendingRead& read);
  void note_waiting(RequestTable::Slot slot, uint64_t unique) EXCLUDES(mutex_);
  void finish_read(RequestTable::Slot slot, uint64_t unique, uint64_t length, ReadResult result)
      EXCLUDES(mutex_);
  void settle(RequestTable::Slot slot) REQUIRES(mutex_);

  void reply_error(uint64_t unique, int errno_value) const;
  template <typename T>
  void reply_value(uint64_t unique, const T& value) const {
    reply(unique, {{std::as_bytes(std::span(&value, 1)), nullptr}});
  }
  void reply(uint64_t unique, const Payload& payload) const;
  int write_reply(uint64_t unique, int errno_value, const Payload& payload) const;

  bool stopping() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return stopping_;
  }

  const UniqueFd connection_;
  const UniqueFd wake_;
  const std::shared_ptr<BlockDevice> device_;
  const GivenUp given_up_;
  const uint64_t size_bytes_;
  RequestTable table_;
  const LoopPulse* pulse_ = nullptr;  // of the thread in run()

  Mutex mutex_;
  CondVar changed_;  // stopping_, writing_, a free slot
  bool stopping_ GUARDED_BY(mutex_) = false;
  unsigned writing_ GUARDED_BY(mutex_) = 0;  // replies to reads that are being written
  Suspects suspects_ GUARDED_BY(mutex_){wake_.get()};
};

Server::End Server::Session::run(const LoopPulse& pulse) {
  pulse_ = &pulse;
  take_over();
  while (!stopping()) {
    pulse.work();
    start_suspect();
    const MutableBytes buffer = table_.receive_buffer();
    assert(buffer.size() >= FUSE_MIN_READ_BUFFER);
    const ssize_t count = ::read(connection_.get(), buffer.data(), buffer.size());
    if (count > 0) {
      if (const auto request = parse_request(table_.unhandled())) handle(*request);
    } else if (count == 0 || errno == ENODEV || errno == ECONNABORTED) {  // 0: from a socket, in tests
      return End::unmounted;
    } else if (errno == EAGAIN) {
      pulse.rest();
      wait_for_request();
    } else if (errno != EINTR &&
               errno != ENOENT) {  // ENOENT: the request was given up while it was being received
      throw errno_error("receiving requests from fuse");
    }
  }
  return End::stopped;
}

void Server::Session::stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  [[maybe_unused]] const int failed = ::eventfd_write(wake_.get(), 1);
  changed_.notify_all();
  while (writing_ > 0) changed_.wait(mutex_);
}

void Server::Session::take_over() {
  std::set<uint64_t> known;
  for (const auto& [slot, read] : table_.take_over()) {
    known.insert(read.id);
    start_read(slot, read);
  }
  // Killed after it had noted a read and before it had marked it handled, the predecessor left it in both
  // places.
  const auto request = parse_request(table_.unhandled());
  if (request && !known.contains(request->header.unique))
    handle(*request);
  else
    table_.mark_handled();
}

void Server::Session::wait_for_request() const {
  pollfd fds[] = {{connection_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  if (::poll(fds, std::size(fds), -1) < 0 && errno != EINTR)
    throw errno_error("waiting for requests from fuse");
  eventfd_t count;
  if (fds[1].revents != 0) ::eventfd_read(wake_.get(), &count);
}

void Server::Session::handle(const Request& request) {
  const uint64_t unique = request.header.unique;
  switch (request.header.opcode) {
    case FUSE_READ:
      return handle_read(request);
    case FUSE_INIT:
      handle_init(request);
      break;
    case FUSE_OPEN:
      handle_open(request);
      break;
    case FUSE_GETATTR:
      reply_value(unique, attr_reply(size_bytes_));
      break;
    case FUSE_STATFS:
      reply_value(unique, statfs_reply(size_bytes_));
      break;
    case FUSE_RELEASE:
    case FUSE_DESTROY:
      reply(unique, {});
      break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
      break;  // they have no reply
    default:
      reply_error(unique, refusal(request.header.opcode));
  }
  table_.mark_handled();
}

void Server::Session::handle_init(const Request& request) {
  const auto answer = init_reply(body_as<fuse_init_in>(request));
  if (answer) return reply_value(request.header.unique, *answer);
  reply_error(request.header.unique, EPROTO);
}

void Server::Session::handle_open(const Request& request) {
  const bool for_reading = (body_as<fuse_open_in>(request).flags & O_ACCMODE) == O_RDONLY;
  if (for_reading) return reply_value(request.header.unique, open_reply());
  reply_error(request.header.unique, EROFS);
}

void Server::Session::handle_read(const Request& request) {
  const auto in = body_as<fuse_read_in>(request);
  const PendingRead read{.id = request.header.unique, .range = {in.offset, in.size}};
  const auto slot = wait_for_slot(read);
  if (!slot) return;  // stopping: the successor finds it in the receive buffer
  table_.mark_handled();
  start_read(*slot, read);
}

std::optional<RequestTable::Slot> Server::Session::wait_for_slot(const PendingRead& read) {
  MutexLock lock(mutex_);
  for (;;) {
    if (stopping_) return std::nullopt;
    if (const auto slot = table_.add(read)) return slot;
    pulse_->rest();  // for as long as a source may be away
    changed_.wait(mutex_);
    pulse_->work();
  }
}

void Server::Session::start_read(RequestTable::Slot slot, const PendingRead& read) {
  if (read.range.intersect({0, size_bytes_}).empty()) return finish_read(slot, read.id, 0, {});
  switch (blame(read)) {
    case Blame::none:
      return read_device(slot, read);
    case Blame::guilty:
      given_up_(read.range);
      return finish_read(slot, read.id, 0, {EIO, {}});
    case Blame::suspect:
      MutexLock lock(mutex_);
      return suspects_.add({slot, read});
  }
}

void Server::Session::start_suspect() {
  std::optional<RequestTable::Entry> suspect;
  {
    MutexLock lock(mutex_);
    suspect = suspects_.next();
  }
  if (suspect) read_device(suspect->first, suspect->second);
}

void Server::Session::read_device(RequestTable::Slot slot, const PendingRead& read) {
  const ByteRange range = read.range.intersect({0, size_bytes_});
  table_.mark_started(slot);
  device_->read_or_wait(
      range, read.arrived,
      [self = shared_from_this(), slot, id = read.id, range](ReadResult result) {
        self->finish_read(slot, id, range.length, std::move(result));
      },
      [self = shared_from_this(), slot, id = read.id] { self->note_waiting(slot, id); });
}

void Server::Session::note_waiting(RequestTable::Slot slot, uint64_t unique) {
  MutexLock lock(mutex_);
  if (!stopping_ && table_.mark_waiting(slot, unique)) settle(slot);
}

/// The next suspect may start.
void Server::Session::settle(RequestTable::Slot slot) {
  if (suspects_.settled(slot)) ::eventfd_write(wake_.get(), 1);
}

void Server::Session::finish_read(RequestTable::Slot slot, uint64_t unique, uint64_t length,
                                  ReadResult result) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;  // the successor answers it
    ++writing_;
  }
  // The kernel would take a short answer for the end of the file and show zeros.
  if (result.errno_value == 0 && size_of(result.payload) != length) result.errno_value = EIO;
  if (result.errno_value == 0)
    reply(unique, result.payload);
  else
    reply_error(unique, result.errno_value);
  table_.remove(slot);
  MutexLock lock(mutex_);
  --writing_;
  settle(slot);
  changed_.notify_all();
}

void Server::Session::reply_error(uint64_t unique, int errno_value) const {
  write_reply(unique, errno_value, {});
}

void Server::Session::reply(uint64_t unique, const Payload& payload) const {
  const int failure = write_reply(unique, 0, payload);
  // ENOENT: the kernel gave the request up, or the predecessor answered it. ENODEV, EPERM: there is no mount
  // any more.
  if (failure == 0 || failure == ENOENT || failure == ENODEV || failure == EPERM) return;
  reply_error(unique, EIO);
}

/// Writes one whole reply, which the kernel takes or refuses as a whole; gives the errno.
int Server::Session::write_reply(uint64_t unique, int errno_value, const Payload& payload) const {
  if (payload.size() >= IOV_MAX) return write_reply(unique, errno_value, joined(payload));
  fuse_out_header header{};
  header.len = static_cast<uint32_t>(sizeof header + size_of(payload));
  header.error = -errno_value;
  header.unique = unique;
  std::vector<iovec> pieces{{&header, sizeof header}};
  for (const Slice& slice : payload) {
    pieces.push_back({const_cast<std::byte*>(slice.bytes.data()), slice.bytes.size()});
  }
  const ssize_t count = ::writev(connection_.get(), pieces.data(), static_cast<int>(pieces.size()));
  return count < 0 ? errno : 0;
}

Server::Server(UniqueFd connection, std::shared_ptr<BlockDevice> device, RequestTable table, GivenUp given_up)
    : session_(std::make_shared<Session>(std::move(connection), std::move(device), std::move(table),
                                         std::move(given_up))) {}

Server::~Server() {
  session_->stop();
}

Server::End Server::run(const LoopPulse& pulse) {
  return session_->run(pulse);
}
void Server::stop() {
  session_->stop();
}
int Server::connection_fd() const {
  return session_->connection_fd();
}
int Server::table_fd() const {
  return session_->table_fd();
}

}  // namespace erofs_oci::fuse
