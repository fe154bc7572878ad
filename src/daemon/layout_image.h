// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/image.h"
#include "daemon/layout_files.h"
#include "daemon/local_blob.h"
#include "daemon/open_input.h"

namespace erofs_oci {

/// An image of an OCI image layout (image-spec, image-layout.md), in a folder or a tar file.
class LayoutImage : public Image {
 public:
  /// Finds what `input` names: pinned, by its digest alone; else by the tag of index.json, and the platform.
  /// Manifest and configuration are verified, the layers' files have the right size. Throws Error, and
  /// FilesWanted as `files` does.
  static std::unique_ptr<LayoutImage> open(const OpenInput& input, std::unique_ptr<const LayoutFiles> files);

  std::string name() const override { return name_; }
  std::optional<Digest> digest() const override { return digest_; }
  std::string media_type() const override { return manifest_.media_type; }
  std::string platform() const override { return to_string(platform_); }
  const std::vector<registry::Descriptor>& layers() const override { return manifest_.layers; }
  LayerBlob open_layer(size_t number, Preflight preflight) override;
  std::string config() override { return config_; }
  void give_up(const Error& reason) override { given_up_->set(reason); }

 private:
  LayoutImage(const OpenInput& input, std::unique_ptr<const LayoutFiles> files);

  struct Document {
    std::string name;  ///< for messages
    std::string text;
  };

  Document read_pinned(const Digest& digest) const;
  Document find_manifest();
  void take_blobs(const OpenInput& input);
  Document read(const std::string& name, uint64_t limit) const;
  Document read(const registry::Descriptor& descriptor, uint64_t limit) const;

  const std::string name_;
  const registry::Platform platform_;
  const std::unique_ptr<const LayoutFiles> files_;
  const std::shared_ptr<GivenUp> given_up_ = std::make_shared<GivenUp>();
  Digest digest_;
  registry::Manifest manifest_;
  std::string config_;
  bool is_chosen_ = false;  // among several, by its platform
};

}  // namespace erofs_oci
