// SPDX-License-Identifier: Apache-2.0
#include "source/trace.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace erofs_oci {
namespace {

constexpr std::string_view kMagic = "EROFSTRC";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeader = 48;
constexpr size_t kEntry = 8;
constexpr size_t kChecksum = sizeof(Digest::value);

}  // namespace

Digest device_identity(const MappedDevice& device) {
  Sha256 hash;
  for (const auto& stream : device.streams()) hash.update(stream->id.value);
  return hash.finish();
}

Trace next_trace(const Trace& former, const std::vector<Access>& accesses, std::chrono::microseconds time) {
  Trace next{former.device, {}};
  std::set<SpanPlace> known;
  const auto add = [&](const Trace::Entry& entry) {
    if (next.entries.size() < Trace::kMaxSpans && known.insert(entry.place).second)
      next.entries.push_back(entry);
  };
  for (const Access& access : accesses) {
    const bool is_readers = access.kind < AccessKind::read_ahead;
    if (is_readers && access.begin <= time) add({access.place, 0});
  }
  for (const Trace::Entry& entry : former.entries) {
    if (entry.age + 1 < Trace::kMaxAge) add({entry.place, static_cast<uint8_t>(entry.age + 1)});
  }
  return next;
}

std::string encode_trace(const Trace& trace) {
  std::string file(kHeader + trace.entries.size() * kEntry, '\0');
  std::ranges::copy(kMagic, file.begin());
  store_le(&file[8], kVersion);
  store_le(&file[12], static_cast<uint32_t>(trace.entries.size()));
  std::memcpy(&file[16], trace.device.value.data(), sizeof trace.device.value);
  char* at = file.data() + kHeader;
  for (const Trace::Entry& entry : trace.entries) {
    store_le(at, static_cast<uint16_t>(entry.place.stream));
    store_le(at + 2, entry.age);
    store_le(at + 4, entry.place.span);
    at += kEntry;
  }
  const Digest checksum = sha256(as_bytes(file));
  return file.append(as_text(checksum.value));
}

Trace decode_trace(std::string_view file) {
  if (file.size() < kHeader + kChecksum || !file.starts_with(kMagic))
    throw Error(ErrorKind::corrupt, "is no trace");
  const auto version = load_le<uint32_t>(&file[8]);
  if (version != kVersion) throw make_error(ErrorKind::unsupported, "is a trace of version {}", version);
  const size_t count = load_le<uint32_t>(&file[12]);
  if (count > Trace::kMaxSpans || file.size() != kHeader + count * kEntry + kChecksum)
    throw Error(ErrorKind::corrupt, "is not as long as it says");
  const std::string_view covered = file.substr(0, file.size() - kChecksum);
  if (as_text(sha256(as_bytes(covered)).value) != file.substr(covered.size()))
    throw Error(ErrorKind::corrupt, "differs from its checksum");
  Trace trace;
  std::memcpy(trace.device.value.data(), &file[16], sizeof trace.device.value);
  for (size_t i = 0; i < count; ++i) {
    const char* const at = file.data() + kHeader + i * kEntry;
    trace.entries.push_back({{load_le<uint16_t>(at), load_le<uint32_t>(at + 4)}, load_le<uint8_t>(at + 2)});
  }
  return trace;
}

std::vector<SpanPlace> spans_of(const Trace& trace, const MappedDevice& device) {
  std::vector<SpanPlace> places;
  const auto& streams = device.streams();
  for (const auto& [place, age] : trace.entries) {
    if (place.stream < streams.size() && place.span < streams[place.stream]->spans->span_count())
      places.push_back(place);
  }
  return places;
}

}  // namespace erofs_oci
