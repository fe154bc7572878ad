// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_record.h"

#include "base/error.h"
#include "base/file.h"
#include "config/definition_changes.h"
#include "control/message_fields.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr uint32_t kVersion = 1;
/// A definition and an authority's certificates, which Open bounds already.
constexpr uint64_t kMaxRecord = 8 * kMiB;

constexpr std::string_view kSource = kPolicyParts[0];
constexpr std::string_view kCredentials = kPolicyParts[1];
constexpr std::string_view kImage = "image";
constexpr std::string_view kTarindex = "tarindex";
constexpr std::string_view kZinfo = "zinfo";

std::string layout_part(size_t number) {
  return fmt::format("layout-{}", number);
}

/// The JSON of the part `source`.
struct Record {
  uint32_t version = kVersion;
  Definition definition;
  TransportKind transport = TransportKind::nbd;
  OpenReply opened;
  std::optional<std::string> ca;
  std::vector<std::string> layout;  ///< names of the files in parts layout-0, layout-1, …
};

void keep(StoredMount& parts, std::string_view part, const UniqueFd& fd) {
  if (fd) parts.emplace(part, duplicate(fd.get()));
}

UniqueFd copy_of(const StoredMount& parts, std::string_view part) {
  const auto found = parts.find(part);
  return found == parts.end() ? UniqueFd() : duplicate(found->second.get());
}

}  // namespace

template <>
struct Fields<Record> {
  static void visit(auto& io, auto& m) {
    io("version", m.version);
    io("definition", m.definition);
    io("transport", m.transport);
    io("size_bytes", m.opened.size_bytes);
    io("block_size", m.opened.block_size);
    io("image_digest", m.opened.image_digest);
    io("index_identity", m.opened.index_identity);
    io("ca", m.ca);
    io("layout", m.layout);
  }
};

SourceRecord::SourceRecord(const OpenInput& input) : definition_(input.definition), ca_pem_(input.ca_pem) {
  keep(files_, kImage, input.image);
  keep(files_, kTarindex, input.tarindex);
  keep(files_, kZinfo, input.zinfo);
  for (const auto& [name, file] : input.layout) {
    keep(files_, layout_part(layout_.size()), file);
    layout_.push_back(name);
  }
  if (input.credentials) files_.emplace(kCredentials, registry::to_memory_file(*input.credentials));
}

void SourceRecord::set_policy(const Definition& definition, const std::optional<registry::Credentials>& credentials) {
  definition_ = with_policy_of(definition_, definition);
  if (const auto old = files_.find(kCredentials); old != files_.end()) files_.erase(old);
  if (credentials) files_.emplace(kCredentials, registry::to_memory_file(*credentials));
}

StoredMount SourceRecord::to_stored(TransportKind kind) const {
  StoredMount parts;
  for (const auto& [part, file] : files_) keep(parts, part, file);
  const Record record{kVersion, definition_, kind, opened_, ca_pem_, layout_};
  parts.emplace(kSource, memory_file("erofs-oci-source", encode(record).dump()));
  return parts;
}

StoredSource take_source(const StoredMount& stored) {
  const auto source = stored.find(kSource);
  if (source == stored.end()) throw Error(ErrorKind::not_found, "what it was opened from was not kept");
  ::lseek(source->second.get(), 0, SEEK_SET);
  const json object =
      json::parse(read_text(source->second.get(), kMaxRecord, "the stored source"), nullptr, false);
  if (object.is_discarded()) throw Error(ErrorKind::corrupt, "the stored source is not JSON");
  Record record;
  FieldReader reader(object);
  Fields<Record>::visit(reader, record);
  if (record.version != kVersion) {
    throw make_error(ErrorKind::unsupported, "the stored source has version {}, this program knows {}",
                     record.version, kVersion);
  }
  StoredSource found;
  found.kind = record.transport;
  found.opened = record.opened;
  found.input.definition = record.definition;
  found.input.pinned = record.opened.image_digest;
  found.input.ca_pem = record.ca;
  found.input.image = copy_of(stored, kImage);
  found.input.tarindex = copy_of(stored, kTarindex);
  found.input.zinfo = copy_of(stored, kZinfo);
  for (size_t i = 0; i < record.layout.size(); ++i) {
    if (UniqueFd file = copy_of(stored, layout_part(i)))
      found.input.layout.emplace(record.layout[i], std::move(file));
  }
  if (const UniqueFd credentials = copy_of(stored, kCredentials)) {
    found.input.credentials = registry::read_memory_file(credentials);
  }
  return found;
}

void check_same_source(const OpenReply& before, const OpenReply& now) {
  if (now.size_bytes != before.size_bytes || now.block_size != before.block_size) {
    throw make_error(ErrorKind::corrupt, "its source has {} bytes now, and had {} when it was mounted",
                     now.size_bytes, before.size_bytes);
  }
  // A tar file has no digest to be pinned by; of another index the kernel would read wrong places.
  if (now.index_identity != before.index_identity) {
    throw Error(ErrorKind::corrupt,
                "its source or its index is not what it was when it was mounted; mount it anew");
  }
}

}  // namespace erofs_oci
