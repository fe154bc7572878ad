// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace erofs_oci {

/// The eight words between two blocks (FIPS 180-4, 5.3.3).
using Sha256State = uint32_t[8];

/// Whether this processor has instructions for SHA-256; else the functions below must not be called.
bool has_sha256_instructions();

/// Takes `blocks` blocks of 64 bytes into a state.
void sha256_compress(Sha256State& state, const std::byte* data, size_t blocks);

/// The same for two at once, in 1.2 times what one takes: each instruction waits for the one before it,
/// and the other's fit in between.
void sha256_compress_two(Sha256State& first, const std::byte* first_data, Sha256State& second,
                         const std::byte* second_data, size_t blocks);

}  // namespace erofs_oci
