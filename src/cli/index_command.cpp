// SPDX-License-Identifier: Apache-2.0
#include "cli/index_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command_daemon.h"
#include "cli/daemon_client.h"
#include "cli/progress.h"
#include "cli/termination.h"
#include "config/image_source.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

/// A file that appears under its name whole, or not at all.
class NewFile {
 public:
  explicit NewFile(const fs::path& path)
      : path_(fs::weakly_canonical(fs::absolute(path))), temporary_(path_.native() + "." + random_hex_128()) {
    if (fs::exists(path_) && !fs::is_regular_file(path_))
      throw make_error(ErrorKind::invalid, "{}: is no regular file; name another to write to", path.native());
    fd_ = with_context(path.native(), [&] { return open_file(temporary_, O_RDWR | O_CREAT | O_EXCL, 0644); });
  }
  ~NewFile() {
    if (fd_) ::unlink(temporary_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const UniqueFd& fd() const { return fd_; }
  /// One that nothing was written to vanishes, and this is false.
  bool publish() {
    if (stat_fd(fd_.get(), temporary_.native()).st_size == 0) return false;
    if (::fsync(fd_.get()) != 0) throw errno_error("{}", temporary_.native());
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw errno_error("{}", path_.native());
    fd_.reset();
    return true;
  }

 private:
  const fs::path path_;
  const fs::path temporary_;
  UniqueFd fd_;
};

IndexRequest request_of(const IndexOptions& options) {
  IndexRequest request;
  request.definition = definition_of_source(options.source, options.image);
  request.format = options.format == "tarindex" ? IndexFormat::tarindex : IndexFormat::image;
  request.overlay_whiteouts = options.whiteouts == "overlay";
  if (!options.span.empty()) {
    const auto size = parse_size(options.span);
    if (!size || *size < kMinSpanSize || *size > kMaxSpanSize) {
      throw make_error(ErrorKind::invalid, "--span {}: must be a size from {} to {}, such as 1MiB",
                       options.span, human_size(kMinSpanSize), human_size(kMaxSpanSize));
    }
    request.span_size = *size;
  }
  return request;
}

bool is_same_file(const fs::path& one, const fs::path& other) {
  std::error_code error;
  const auto canonical = [&](const fs::path& path) { return fs::weakly_canonical(fs::absolute(path), error); };
  return canonical(one) == canonical(other) || fs::equivalent(one, other, error);
}

fs::path zinfo_path(const IndexOptions& options) {
  return options.zinfo.empty() ? fs::path(options.output).replace_extension(".zinfo")
                               : fs::path(options.zinfo);
}

/// What is written replaces what is there: so it must not be what is read, nor the other file that is
/// written.
void check_files(const IndexOptions& options, const Definition& definition) {
  const bool is_tarindex = options.format == "tarindex";
  if (!is_tarindex && !(options.zinfo.empty() && options.whiteouts.empty()))
    throw Error(ErrorKind::invalid, "--zinfo and --whiteouts are for --format=tarindex; leave them out");
  if (options.output.empty()) return;
  const ImageSource source = parse_image_source(definition.image);
  for (const fs::path& file : is_tarindex ? std::vector<fs::path>{options.output, zinfo_path(options)}
                                          : std::vector<fs::path>{options.output}) {
    if (source.kind != ImageKind::registry && is_same_file(file, source.location))
      throw make_error(ErrorKind::invalid, "{}: is what is to be indexed; name another file to write to",
                       file.native());
  }
  if (is_tarindex && is_same_file(options.output, zinfo_path(options))) {
    throw make_error(ErrorKind::invalid, "{}: tarindex and zinfo are two files; name the other by --zinfo",
                     options.output);
  }
}

void check_output(const IndexOptions& options, const PrivateDaemonOptions& daemon) {
  if (!options.output.empty()) return;
  if (options.format == "tarindex")
    throw Error(ErrorKind::invalid, "a tarindex goes to a file; name it with -o");
  if (daemon.state_dir.empty()) {
    throw Error(
        ErrorKind::not_found,
        "there is no store to put the index in (/var/lib/erofs-oci, of user erofs-oci, as the package makes "
        "it); name a file with -o");
  }
}

/// A file of that name would pass for the new tarindex's.
void tell_no_zinfo(const IndexOptions& options) {
  const fs::path path = zinfo_path(options);
  const bool stale = fs::exists(path);
  if (options.zinfo.empty() && !stale) return;
  logf(LogLevel::warning, "{}: is not compressed by gzip, so there is no zinfo of it{}", options.source,
       stale ? fmt::format("; {} is of something else", path.native()) : "");
}

void print_report(const IndexOptions& options, const IndexReply& reply) {
  if (reply.image_digest) fmt::print("image     {}\n", to_string(*reply.image_digest));
  fmt::print("entries   {}\n", reply.inodes);
  uint64_t stream = 0;
  for (const IndexedLayerReport& layer : reply.layers) {
    stream += layer.stream_bytes;
    const bool whole = layer.format == "tar+zstd" && layer.entry_points == 1;
    fmt::print("layer     {:.19}… {:<8} {:>10} of {:>10}, {}\n", to_string(layer.digest), layer.format,
               human_size(layer.size_bytes), human_size(layer.stream_bytes),
               whole ? std::string("one frame: whole fetch") : fmt::format("{} spans", layer.spans));
  }
  const double share =
      stream == 0 ? 0 : 100.0 * static_cast<double>(reply.index_bytes) / static_cast<double>(stream);
  fmt::print("index     {}, {:.2f} % of the data; {} of it metadata\n", human_size(reply.index_bytes), share,
             human_size(reply.metadata_bytes));
  if (reply.existed) fmt::print("it was in the store already\n");
  for (const std::string& note : reply.notes) logf(LogLevel::warning, "{}: {}", options.source, note);
}

}  // namespace

int index_command(const IndexOptions& options) {
  const PrivateDaemonOptions daemon_options = command_daemon();
  check_output(options, daemon_options);
  const IndexRequest request = request_of(options);
  check_files(options, request.definition);
  const Termination termination;
  std::optional<NewFile> output;
  std::optional<NewFile> zinfo;
  if (!options.output.empty()) {
    output.emplace(options.output);
    if (request.format == IndexFormat::tarindex) zinfo.emplace(zinfo_path(options));
  }
  PrivateDaemon daemon(daemon_options);
  IndexReply reply;
  {
    ProgressDisplay display(options.source);
    reply = with_context(options.source, [&] {
      const UniqueFd none;
      return DaemonClient(daemon.socket(), &termination)
          .index(request, output ? output->fd() : none, zinfo ? zinfo->fd() : none,
                 [&](const OpenProgress& progress) { display.show(progress); });
    });
  }
  if (output) output->publish();
  if (zinfo && !zinfo->publish()) tell_no_zinfo(options);
  print_report(options, reply);
  return 0;
}

}  // namespace erofs_oci
