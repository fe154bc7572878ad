// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "source/mapped_device.h"
#include "source/span_place.h"

namespace erofs_oci {

/// How much of a device's data is in the stores of its streams. Immutable, thread-safe.
class DeviceCoverage {
 public:
  struct Bytes {
    uint64_t kept = 0;
    uint64_t total = 0;
  };

  /// Goes through the whole map of the device.
  explicit DeviceCoverage(std::shared_ptr<const MappedDevice> device);

  /// Of the spans that the device's map leads to: others are never read. Zeros where no stream has a store.
  Bytes now() const;
  /// These spans, in the order of the streams.
  std::vector<SpanPlace> spans() const;

 private:
  const std::shared_ptr<const MappedDevice> device_;
  std::vector<std::vector<bool>> wanted_;  // by stream and span
};

}  // namespace erofs_oci
