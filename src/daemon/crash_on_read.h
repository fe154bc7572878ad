// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/text.h"
#include "source/block_device.h"

namespace erofs_oci {

/// For tests of what a read that crashes the daemon does: $EROFS_OCID_CRASH_ON_READ=NAME:OFFSET aborts the
/// process by a read of mount NAME that has this byte of the device. Without the variable, and for other
/// mounts, the device itself.
inline std::shared_ptr<BlockDevice> crash_on_read(const std::string& name,
                                                  std::shared_ptr<BlockDevice> device) {
  class Crashing : public BlockDevice {
   public:
    Crashing(std::shared_ptr<BlockDevice> device, uint64_t offset)
        : device_(std::move(device)), offset_(offset) {}
    uint64_t size_bytes() const override { return device_->size_bytes(); }
    uint32_t block_size() const override { return device_->block_size(); }
    void read(ByteRange range, ReadDone done) override {
      read_or_wait(range, std::chrono::steady_clock::now(), std::move(done), [] {});
    }
    void read_or_wait(ByteRange range, ReadArrival arrived, ReadDone done, ReadWaits waits) override {
      if (range.offset <= offset_ && offset_ < range.end()) std::abort();
      device_->read_or_wait(range, arrived, std::move(done), std::move(waits));
    }

   private:
    const std::shared_ptr<BlockDevice> device_;
    const uint64_t offset_;
  };

  const char* const wanted = std::getenv("EROFS_OCID_CRASH_ON_READ");
  const std::string prefix = name + ":";
  if (wanted == nullptr || !std::string_view(wanted).starts_with(prefix)) return device;
  const auto offset = parse_u64(wanted + prefix.size());
  if (!offset) return device;
  logf(LogLevel::warning, "{}: EROFS_OCID_CRASH_ON_READ is set: a read of byte {} will kill the daemon", name,
       *offset);
  return std::make_shared<Crashing>(std::move(device), *offset);
}

}  // namespace erofs_oci
