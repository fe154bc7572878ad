// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/image.h"
#include "daemon/local_blob.h"
#include "daemon/open_input.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// A local file that is a whole image of one layer: a tar archive, or an EROFS image. It has no manifest. Its
/// index is kept under a digest of what tells one state of the file from another: device, inode, size, time
/// of the last change. Where these lie, the spans' digests give an error, never other bytes.
class FileImage : public Image {
 public:
  /// Takes a duplicate of `input.image` and looks at the file's start. Throws Error.
  FileImage(const OpenInput& input, WorkerPool& workers);

  std::string name() const override { return name_; }
  std::optional<Digest> digest() const override { return std::nullopt; }
  std::string media_type() const override { return ""; }
  Digest index_key() const override { return key_; }
  std::string platform() const override { return ""; }
  /// One, whose media type says what the file holds.
  const std::vector<registry::Descriptor>& layers() const override { return layers_; }
  std::optional<Digest> layer_digest(size_t) const override { return std::nullopt; }
  LayerBlob open_layer(size_t number, Preflight preflight) override;
  std::string config() override { return ""; }
  void give_up(const Error& reason) override { given_up_->set(reason); }

 private:
  const std::string name_;
  const std::shared_ptr<GivenUp> given_up_ = std::make_shared<GivenUp>();
  std::shared_ptr<RangeReader> file_;
  Digest key_;
  std::vector<registry::Descriptor> layers_;
};

}  // namespace erofs_oci
