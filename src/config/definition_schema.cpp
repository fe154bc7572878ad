// SPDX-License-Identifier: Apache-2.0
#include "config/definition_schema.h"

#include <array>

#include "config/codecs.h"
#include "config/image_source.h"
#include "config/mount_options.h"
#include "config/rules.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kDay = 24 * 3600;
constexpr uint64_t kMaxReadAhead = 128ull << 20;
constexpr uint64_t kMaxRate = 1ull << 40;

struct IndexNames {
  using Enum = IndexPolicy;
  static constexpr std::array<std::string_view, 3> kNames{"build", "require", "registry"};
};
struct TransportNames {
  using Enum = TransportChoice;
  static constexpr std::array<std::string_view, 3> kNames{"auto", "nbd", "fuse"};
};
struct BootNames {
  using Enum = BootPolicy;
  static constexpr std::array<std::string_view, 3> kNames{"off", "nofail", "required"};
};
struct UnavailableNames {
  using Enum = Unavailable;
  static constexpr std::array<std::string_view, 2> kNames{"fail", "wait"};
};
struct PrefetchNames {
  using Enum = PrefetchMode;
  static constexpr std::array<std::string_view, 3> kNames{"none", "trace", "all"};
};

using PathCodec = TextCodec<path_rule, std::filesystem::path>;
using MountpointCodec = TextCodec<mountpoint_rule, std::filesystem::path>;

template <typename Codec, auto... Path>
Setting<Definition> key(std::string_view name, std::string_view default_text, std::string_view doc) {
  return setting<Definition, Codec, Path...>(name, default_text, doc);
}

std::vector<Setting<Definition>> make_settings() {
  using D = Definition;
  return {
      key<TextCodec<image_rule>, &D::image>(
          "image", "required", "reference in a registry, or oci:, oci-archive:, tar: or file: and a path"),
      key<MountpointCodec, &D::mountpoint>("mountpoint", "required", "where the image is mounted"),
      key<TextCodec<platform_rule>, &D::platform>("platform", "this host's",
                                                  "which image of a multi-platform index"),
      key<LayerCodec, &D::layer>("layer", "all, merged", "one layer instead of the whole image"),
      key<PathCodec, &D::tarindex>("tarindex", "none", "EROFS metadata made for the layer's tar"),
      key<PathCodec, &D::zinfo>("zinfo", "none", "checkpoints made for the layer's gzip stream"),
      key<ChoiceCodec<IndexNames>, &D::index>("index", "build", "what to do where no index is stored"),
      key<MountOptionsCodec, &D::options>("options", "nodev, nosuid", "mount options"),
      key<ChoiceCodec<TransportNames>, &D::transport>("transport", "auto", "how reads reach the daemon"),
      key<ChoiceCodec<BootNames>, &D::boot>("boot", "off", "whether the image is mounted at boot"),
      key<BooleanCodec, &D::automount>("automount", "false", "mount at the first access"),
      key<DurationCodec<1, kDay>, &D::start_timeout>("start_timeout", "90s",
                                                     "limit for resolving and opening"),
      key<PathCodec, &D::registry, &RegistrySettings::hosts_dir>(
          "registry.hosts_dir", "none", "containerd's certs.d: mirrors and their settings"),
      key<BooleanCodec, &D::registry, &RegistrySettings::insecure>("registry.insecure", "false",
                                                                   "plain HTTP, or any certificate"),
      key<PathCodec, &D::registry, &RegistrySettings::ca>("registry.ca", "none",
                                                          "certificates to trust beside the system's"),
      key<TextCodec<credential_rule>, &D::registry, &RegistrySettings::credential>(
          "registry.credential", "none", "name of a credential, or a path"),
      key<TextCodec<proxy_rule>, &D::registry, &RegistrySettings::proxy>(
          "registry.proxy", "the environment's", "proxy for the registry"),
      key<ChoiceCodec<UnavailableNames>, &D::io, &IoSettings::on_unavailable>(
          "io.on_unavailable", "fail", "what a read does while the registry is away"),
      key<DurationCodec<1, kDay>, &D::io, &IoSettings::deadline>("io.deadline", "60s",
                                                                 "how long a read waits before it fails"),
      key<SizeCodec<0, kMaxReadAhead>, &D::io, &IoSettings::read_ahead>(
          "io.read_ahead", "by transport", "the kernel's read-ahead for the device"),
      key<BooleanCodec, &D::cache, &CacheSettings::enabled>("cache.enabled", "true",
                                                            "keep what was read on disk"),
      key<BooleanCodec, &D::cache, &CacheSettings::pin>("cache.pin", "false",
                                                        "never evict this image's data"),
      key<ChoiceCodec<PrefetchNames>, &D::prefetch, &PrefetchSettings::mode>(
          "prefetch.mode", "none", "what to fetch before it is read"),
      key<SizeCodec<1024, kMaxRate>, &D::prefetch, &PrefetchSettings::rate>("prefetch.rate", "unlimited",
                                                                            "bytes a second for prefetch"),
      key<TextCodec<root_hash_rule>, &D::verity_root_hash>("verity.root_hash", "none",
                                                           "dm-verity root hash that the image must have"),
  };
}

void check_required(const Document& document) {
  for (const Setting<Definition>& setting : definition_settings()) {
    if (setting.default_text != "required" || document.has(setting.key)) continue;
    const std::string_view example =
        setting.key == "image" ? "registry.example.com/team/tools:1.4" : "/srv/tools";
    document.refuse(setting.key, fmt::format("'{0}' is missing: add {0} = \"{1}\"", setting.key, example));
  }
}

/// The five kinds of source: tarindex and zinfo (gzip), tarindex (plain tar), zinfo (a gzip-compressed EROFS
/// image) and neither describe one blob, which a registry's image or a layout names by `layer`; file: and
/// tar: are that blob.
void check_source(const Definition& definition, const Document& document) {
  if (parse_image_source(definition.image).single_blob()) {
    for (const std::string_view key : {"layer", "platform"}) {
      if (document.has(key)) {
        document.refuse(key, fmt::format("'{}' has no meaning for a file: or tar: image: remove it", key));
      }
    }
    return;
  }
  for (const std::string_view key : {"tarindex", "zinfo"}) {
    if (document.has(key) && !definition.layer) {
      document.refuse(
          key,
          fmt::format("'{}' describes one layer: add layer = 0, or the number or digest of that layer", key));
    }
  }
}

void check_index(const Definition& definition, const Document& document) {
  if (definition.index != IndexPolicy::registry) return;
  if (parse_image_source(definition.image).kind != ImageKind::registry) {
    document.refuse("index",
                    "'index' = \"registry\" needs an image in a registry: use \"build\" or \"require\"");
  }
  if (!definition.verity_root_hash) {
    document.refuse("index",
                    "'index' = \"registry\" takes an index that others may have pushed: add its root_hash in "
                    "section [verity], or use \"build\"");
  }
}

void check_cache(const Definition& definition, const Document& document) {
  if (definition.cache.enabled) return;
  if (definition.cache.pin) {
    document.refuse("cache.pin", "'cache.pin' needs the cache: remove it, or 'enabled' = false");
  }
  if (definition.prefetch.mode != PrefetchMode::none) {
    document.refuse(
        "prefetch.mode",
        "'prefetch.mode' needs the cache: use \"none\", or remove 'enabled' = false in section [cache]");
  }
}

}  // namespace

std::span<const Setting<Definition>> definition_settings() {
  static const std::vector<Setting<Definition>> settings = make_settings();
  return settings;
}

void check_definition(const Definition& definition, const Document& document) {
  check_required(document);
  check_source(definition, document);
  check_index(definition, document);
  check_cache(definition, document);
}

}  // namespace erofs_oci
