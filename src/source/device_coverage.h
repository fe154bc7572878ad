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

  explicit DeviceCoverage(std::shared_ptr<const MappedDevice> device) : device_(std::move(device)) {}

  /// Of the spans that the device's map leads to: others are never read. Zeros where no stream has a store.
  Bytes now() const;
  /// These spans, in the order of the streams.
  std::vector<SpanPlace> spans() const;

 private:
  const std::shared_ptr<const MappedDevice> device_;
};

}  // namespace erofs_oci
