// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "control/messages.h"
#include "daemon/open_input.h"
#include "daemon/stored_descriptors.h"

namespace erofs_oci {

/// The parts of a record that a reload changes.
constexpr std::array<std::string_view, 2> kPolicyParts{"source", "credentials"};

/// All that a mount's source is opened from again in the daemon's next life, without client, registry, or the
/// files that the definition names: descriptors for the service manager to keep. Move-only.
class SourceRecord {
 public:
  /// Takes copies of what `input` has. Secrets are in a memory file of their own, and nowhere else.
  explicit SourceRecord(const OpenInput& input);

  /// What the source turned out to be, which it must be again.
  void set_opened(const OpenReply& opened) { opened_ = opened; }

  /// Takes over a reload.
  void set_policy(const Definition& definition, const std::optional<registry::Credentials>& credentials);

  /// The parts to keep, for `kind` of transport.
  StoredMount to_stored(TransportKind kind) const;

 private:
  Definition definition_;
  OpenReply opened_;
  std::optional<std::string> ca_pem_;
  std::vector<std::string> layout_;
  StoredMount files_;
};

/// What to_stored() of a former life told.
struct StoredSource {
  OpenInput input;  ///< pinned to what was opened
  OpenReply opened;
  TransportKind kind = TransportKind::nbd;
};

/// Takes the parts of a source out of `stored`; Error corrupt or unsupported where that is none.
StoredSource take_source(const StoredMount& stored);

/// Whether the same was opened; Error corrupt says what differs.
void check_same_source(const OpenReply& before, const OpenReply& now);

}  // namespace erofs_oci
