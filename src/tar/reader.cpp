// SPDX-License-Identifier: Apache-2.0
#include "tar/reader.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tar/describe.h"
#include "tar/gather.h"
#include "tar/header.h"

namespace erofs_oci {
namespace {

bool is_zero(Bytes block) {
  return std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; });
}

/// A GNU long name: text that ends at NUL.
std::string long_text(Bytes data) {
  const std::string_view text = as_text(data);
  return std::string(text.substr(0, text.find('\0')));
}

uint64_t padding_of(uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

}  // namespace

/// What TarReader is made of: a stage says what the next bytes are.
class TarReader::Walk {
 public:
  explicit Walk(Visit visit) : visit_(std::move(visit)) { await_header(); }

  void feed(Bytes bytes);
  uint64_t skippable() const;
  void skip(uint64_t count);
  void finish() const;
  uint64_t end_of_members() const { return end_of_members_; }

 private:
  enum class Stage {
    header,
    extra_header,      ///< data of a PAX header or GNU long name
    sparse_extension,  ///< block behind the header of an old GNU sparse file
    sparse_map,        ///< block of data that holds the map of a PAX 1.0 sparse file
    data,
    padding,
    end,
  };

  Bytes gather(Bytes bytes);
  void dispatch(Bytes whole);

  void await(Stage stage, size_t size);
  void await_header() { await(Stage::header, kTarBlock); }
  /// stored_ bytes come that nobody looks at.
  void begin_data() { stage_ = Stage::data; }
  void begin_padding();
  void end_data();

  void on_header(Bytes block);
  void on_zero_block();
  void begin_extra_header();
  void on_extra_header(Bytes data);
  void apply_global(Bytes records);
  TarOverrides take_overrides();
  bool overridden() const { return pax_ || !long_name_.empty() || !long_link_.empty(); }

  void begin_unvisited();
  void begin_member(Bytes block);
  void begin_content(Bytes block, PaxSparse sparse);
  void begin_old_sparse(Bytes block);
  void await_sparse_extension(bool there_is_one);
  void begin_pax_sparse(PaxSparse sparse);
  void await_sparse_map();
  void on_sparse_map(Bytes block);
  void place_sparse(SparseMap map);

  std::string place() const;
  std::string what_is_cut() const;

  Visit visit_;
  Stage stage_ = Stage::header;
  Gather gather_;
  uint64_t position_ = 0;
  bool zero_block_ = false;
  uint64_t end_of_members_ = 0;

  TarHeader header_;  // the latest one, and where it stands
  uint64_t header_offset_ = 0;
  uint64_t stored_ = 0;   // its bytes of data that are still to come
  uint64_t padding_ = 0;  // the bytes behind them

  PaxFields global_;
  std::optional<PaxFields> pax_;  // for the next member, global_ included
  std::string long_name_;
  std::string long_link_;

  std::optional<TarMember> member_;  // under way
  SparseMap sparse_;
  SparseMapReader sparse_reader_;
};

void TarReader::Walk::feed(Bytes bytes) {
  while (!bytes.empty()) {
    const auto passed = static_cast<size_t>(std::min<uint64_t>(bytes.size(), skippable()));
    skip(passed);
    bytes = passed > 0 ? bytes.subspan(passed) : gather(bytes);
  }
}

uint64_t TarReader::Walk::skippable() const {
  switch (stage_) {
    case Stage::data:
      return stored_;
    case Stage::padding:
      return padding_;
    case Stage::end:
      return UINT64_MAX;
    default:
      return 0;
  }
}

void TarReader::Walk::skip(uint64_t count) {
  assert(count <= skippable());
  if (count == 0 || stage_ == Stage::end) return;
  uint64_t& left = stage_ == Stage::data ? stored_ : padding_;
  position_ += count;
  left -= count;
  if (left == 0) stage_ == Stage::data ? end_data() : await_header();
}

Bytes TarReader::Walk::gather(Bytes bytes) {
  const size_t before = bytes.size();
  const auto whole = gather_.take(bytes);
  position_ += before - bytes.size();
  if (!whole) return bytes;
  try {
    dispatch(*whole);
  } catch (const Error& error) {
    throw error.within(place());
  }
  // Not inside the try: what the visitor throws says itself what it is about.
  if (stage_ == Stage::data && stored_ == 0) end_data();
  return bytes;
}

void TarReader::Walk::dispatch(Bytes whole) {
  switch (stage_) {
    case Stage::header:
      return on_header(whole);
    case Stage::extra_header:
      return on_extra_header(whole);
    case Stage::sparse_extension:
      return await_sparse_extension(old_gnu_sparse::read_extension(whole, sparse_));
    case Stage::sparse_map:
      return on_sparse_map(whole);
    case Stage::data:
    case Stage::padding:
    case Stage::end:
      assert(false);
  }
}

void TarReader::Walk::await(Stage stage, size_t size) {
  stage_ = stage;
  gather_.want(size);
}

void TarReader::Walk::begin_padding() {
  stage_ = Stage::padding;
  if (padding_ == 0) await_header();
}

void TarReader::Walk::end_data() {
  if (member_) end_of_members_ = position_ + padding_;
  begin_padding();
  if (member_) visit_(*std::exchange(member_, std::nullopt));
}

void TarReader::Walk::on_header(Bytes block) {
  header_offset_ = position_ - kTarBlock;
  if (is_zero(block)) return on_zero_block();
  if (zero_block_) {
    throw Error(ErrorKind::corrupt,
                "something follows a single block of zeros, where an archive ends with two");
  }
  auto header = parse_tar_header(block);
  if (!header) {
    throw Error(
        ErrorKind::corrupt,
        "no member's header stands where one must: its checksum or size is wrong; is it a tar archive?");
  }
  header_ = std::move(*header);
  stored_ = header_.size;
  padding_ = padding_of(stored_);
  switch (header_.type) {
    case 'x':
    case 'X':  // Solaris
    case 'g':
    case 'L':
    case 'K':
      return begin_extra_header();
    case 'V':  // a volume's label
      return begin_unvisited();
    case 'M':
      throw Error(ErrorKind::unsupported, "it goes on from another volume; make the archive in one volume");
    default:
      return begin_member(block);
  }
}

/// Go refuses a single block of zeros before a header; GNU tar and libarchive end there and would hide the
/// rest.
void TarReader::Walk::on_zero_block() {
  if (overridden())
    throw Error(ErrorKind::corrupt, "the archive ends behind an extended header without its member");
  if (std::exchange(zero_block_, true)) {
    stage_ = Stage::end;
  } else {
    await_header();
  }
}

void TarReader::Walk::begin_extra_header() {
  if (header_.size > kMaxHeaderData) {
    throw make_error(ErrorKind::unsupported, "extended header '{}' has {} bytes, at most {} are read",
                     printable(header_.path), header_.size, kMaxHeaderData);
  }
  if (header_.size == 0) return on_extra_header({});
  await(Stage::extra_header, static_cast<size_t>(header_.size));
}

/// As in Go, a second header of the same kind replaces the first one as a whole.
void TarReader::Walk::on_extra_header(Bytes data) {
  switch (header_.type) {
    case 'L':
      long_name_ = long_text(data);
      break;
    case 'K':
      long_link_ = long_text(data);
      break;
    case 'g':
      apply_global(data);
      break;
    default:
      pax_ = global_;
      pax_->apply(as_text(data));
  }
  begin_padding();
}

/// Sparse maps belong to one member, so a global header has none.
void TarReader::Walk::apply_global(Bytes records) {
  global_.apply(as_text(records));
  global_.sparse = {};
  if (global_.text_size() > kMaxGlobalText) {
    throw make_error(
        ErrorKind::unsupported,
        "a global header gives all members {} bytes of names and attributes, at most {} are read",
        global_.text_size(), kMaxGlobalText);
  }
}

TarOverrides TarReader::Walk::take_overrides() {
  TarOverrides overrides;
  overrides.pax = pax_ ? std::move(*pax_) : global_;
  overrides.long_name = std::exchange(long_name_, {});
  overrides.long_link = std::exchange(long_link_, {});
  pax_.reset();
  return overrides;
}

/// A member that is no file, with its data and what was said of it.
void TarReader::Walk::begin_unvisited() {
  take_overrides();
  begin_data();
}

void TarReader::Walk::begin_member(Bytes block) {
  TarOverrides overrides = take_overrides();
  const uint64_t size = overrides.pax.size.value_or(header_.size);
  stored_ = is_header_only(header_.type) ? 0 : size;
  padding_ = padding_of(stored_);
  std::string path = take_path(header_, overrides);
  const TarType type = tar_type(header_, path);
  member_.emplace();
  member_->path = std::move(path);
  member_->type = type;
  member_->header_offset = header_offset_;
  describe(*member_, header_, overrides);
  begin_content(block, std::move(overrides.pax.sparse));
}

void TarReader::Walk::begin_content(Bytes block, PaxSparse sparse) {
  if (member_->type != TarType::regular) return begin_data();
  if (header_.type == 'S') return begin_old_sparse(block);
  if (sparse.is_there()) return begin_pax_sparse(std::move(sparse));
  member_->size = stored_;
  if (stored_ > 0) member_->data.push_back({0, position_, stored_});
  begin_data();
}

void TarReader::Walk::begin_old_sparse(Bytes block) {
  if (!header_.gnu) {
    throw Error(ErrorKind::unsupported, "it is a sparse file in star's format; store it with --format=pax");
  }
  member_->size = old_gnu_sparse::real_size(block);
  sparse_ = {};
  await_sparse_extension(old_gnu_sparse::read_header(block, sparse_));
}

void TarReader::Walk::await_sparse_extension(bool there_is_one) {
  if (there_is_one) return await(Stage::sparse_extension, kTarBlock);
  place_sparse(std::move(sparse_));
}

void TarReader::Walk::begin_pax_sparse(PaxSparse sparse) {
  sparse.check();
  member_->size = *sparse.real_size;
  if (!sparse.map_is_in_data()) return place_sparse(std::move(sparse.map));
  sparse_reader_ = {};
  await_sparse_map();
}

void TarReader::Walk::await_sparse_map() {
  if (stored_ < kTarBlock) throw Error(ErrorKind::corrupt, "its data end inside its map of sparse ranges");
  await(Stage::sparse_map, kTarBlock);
}

void TarReader::Walk::on_sparse_map(Bytes block) {
  stored_ -= kTarBlock;
  if (!sparse_reader_.feed(block)) return await_sparse_map();
  place_sparse(sparse_reader_.take());
}

void TarReader::Walk::place_sparse(SparseMap map) {
  member_->data = std::move(map).place(member_->size, stored_, position_);
  begin_data();
}

std::string TarReader::Walk::place() const {
  if (!member_) return fmt::format("archive at byte {}", header_offset_);
  return fmt::format("archive member '{}' at byte {}", printable(member_->path), header_offset_);
}

std::string TarReader::Walk::what_is_cut() const {
  switch (stage_) {
    case Stage::header:
      if (gather_.held() > 0) return "a header";
      return overridden() ? "the headers of a member" : "";
    case Stage::extra_header:
      return "an extended header";
    case Stage::sparse_extension:
    case Stage::sparse_map:
      return "a map of sparse ranges";
    case Stage::data:
      return fmt::format("data, {} bytes before their end", stored_);
    case Stage::padding:
      return overridden() ? "the headers of a member" : "";
    case Stage::end:
      return "";
  }
  return "";
}

void TarReader::Walk::finish() const {
  const std::string cut = what_is_cut();
  if (cut.empty()) return;
  const Error error =
      make_error(ErrorKind::corrupt, "the archive ends at byte {}, inside {}; was it cut?", position_, cut);
  throw member_ ? error.within(place()) : error;
}

TarReader::TarReader(Visit visit) : walk_(std::make_unique<Walk>(std::move(visit))) {}
TarReader::~TarReader() = default;

void TarReader::feed(Bytes bytes) {
  walk_->feed(bytes);
}
uint64_t TarReader::skippable() const {
  return walk_->skippable();
}
void TarReader::skip(uint64_t count) {
  walk_->skip(count);
}
void TarReader::finish() {
  walk_->finish();
}
uint64_t TarReader::end_of_members() const {
  return walk_->end_of_members();
}

}  // namespace erofs_oci
