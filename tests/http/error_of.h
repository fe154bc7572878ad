// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci::test {

/// What `body` throws; a test in which nothing is thrown has failed.
template <typename Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::system, "nothing was thrown");
}

}  // namespace erofs_oci::test
