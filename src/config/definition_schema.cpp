// SPDX-License-Identifier: Apache-2.0
#include "config/definition_schema.h"

#include <array>

#include "base/bytes.h"
#include "config/codecs.h"
#include "config/image_source.h"
#include "config/mount_options.h"
#include "config/rules.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kDay = 24 * 3600;
constexpr uint64_t kMaxReadAhead = 128 * kMiB;
constexpr uint64_t kMinRate = kKiB;
constexpr uint64_t kMaxRate = 1024 * kGiB;

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

using Image = TextCodec<image_rule>;
using Mountpoint = TextCodec<mountpoint_rule, std::filesystem::path>;
using Platform = TextCodec<platform_rule>;
using Path = TextCodec<path_rule, std::filesystem::path>;
using Credential = TextCodec<credential_rule>;
using Proxy = TextCodec<proxy_rule>;
using RootHash = TextCodec<root_hash_rule>;
using Flag = BooleanCodec;
using Time = DurationCodec<1, kDay>;

template <typename Codec, auto... Field>
Setting<Definition> key(std::string_view name, std::string_view default_text, std::string_view doc) {
  return setting<Definition, Codec, Field...>(name, default_text, doc);
}

// clang-format off
std::vector<Setting<Definition>> make_settings() {
  using D = Definition;
  using R = RegistrySettings;
  return {
      key<Image, &D::image>("image", "required",
          "Where the image comes from: a reference in a registry, or a prefix and a path"),
      key<Mountpoint, &D::mountpoint>("mountpoint", "required",
          "The directory at which the image is mounted"),
      key<Platform, &D::platform>("platform", "this host's",
          "Which image to take where the reference names several"),
      key<LayerCodec, &D::layer>("layer", "all, merged",
          "Mount one layer instead of the whole image"),
      key<Path, &D::tarindex>("tarindex", "none",
          "EROFS metadata that was made for the tar of the layer"),
      key<Path, &D::zinfo>("zinfo", "none",
          "Checkpoints that were made for the gzip stream of the layer"),
      key<ChoiceCodec<IndexNames>, &D::index>("index", "build",
          "What to do where no index of the image is at hand"),
      key<MountOptionsCodec, &D::options>("options", "nodev, nosuid",
          "Mount options"),
      key<ChoiceCodec<TransportNames>, &D::transport>("transport", "auto",
          "How the kernel's reads reach the daemon"),
      key<ChoiceCodec<BootNames>, &D::boot>("boot", "off",
          "Whether the image is mounted at boot"),
      key<Flag, &D::automount>("automount", "false",
          "Mount at the first access to the mount point"),
      key<Time, &D::start_timeout>("start_timeout", "90s",
          "The longest that resolving and opening the image may take"),

      key<Path, &D::registry, &R::hosts_dir>("registry.hosts_dir", "none",
          "Mirrors and their settings, as containerd keeps them"),
      key<Flag, &D::registry, &R::insecure>("registry.insecure", "false",
          "Allow plain HTTP, and HTTPS with any certificate"),
      key<Path, &D::registry, &R::ca>("registry.ca", "none",
          "Certificates to trust beside those of the system"),
      key<Credential, &D::registry, &R::credential>("registry.credential", "none",
          "Where the user name and password for the registry are found"),
      key<Proxy, &D::registry, &R::proxy>("registry.proxy", "the environment's",
          "The proxy through which the registry is reached"),

      key<ChoiceCodec<UnavailableNames>, &D::io, &IoSettings::on_unavailable>("io.on_unavailable", "fail",
          "What becomes of a read while the registry is away"),
      key<Time, &D::io, &IoSettings::deadline>("io.deadline", "60s",
          "How long a read waits for the registry without progress before it fails"),
      key<SizeCodec<0, kMaxReadAhead>, &D::io, &IoSettings::read_ahead>("io.read_ahead", "1MiB",
          "How far the kernel reads ahead on the device"),

      key<Flag, &D::cache, &CacheSettings::enabled>("cache.enabled", "true",
          "Keep on disk what was read"),
      key<Flag, &D::cache, &CacheSettings::pin>("cache.pin", "false",
          "Never evict the data of this image"),

      key<ChoiceCodec<PrefetchNames>, &D::prefetch, &PrefetchSettings::mode>("prefetch.mode", "none",
          "What to fetch before it is read"),
      key<SizeCodec<kMinRate, kMaxRate>, &D::prefetch, &PrefetchSettings::rate>("prefetch.rate", "unlimited",
          "The most bytes a second that are fetched ahead"),

      key<RootHash, &D::verity_root_hash>("verity.root_hash", "none",
          "The dm-verity root hash that the image must have"),
  };
}
// clang-format on

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
