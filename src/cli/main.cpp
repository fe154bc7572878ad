// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/index_command.h"
#include "cli/mount_helper.h"
#include "cli/notify.h"

using namespace erofs_oci;

namespace {

/// Which image a SOURCE is, and how to reach it.
void add_source_options(CLI::App& command, SourceOptions& options) {
  command.add_option("--platform", options.platform, "os/arch[/variant]; default: this host's");
  command.add_flag("--insecure", options.insecure, "Plain HTTP, or HTTPS with any certificate");
  command.add_option("--ca", options.ca, "PEM file of further authorities");
  command.add_option("--credential", options.credential, "File with the registry's credentials");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Mounts container images straight from their registry. See erofs-oci(1).", "erofs-oci");
  app.set_version_flag("--version", EROFS_OCI_VERSION);
  app.require_subcommand(1);
  std::string name;
  std::string socket;
  bool flag = false;
  int code = 0;

  auto* mount = app.add_subcommand("mount", "Mount what /etc/erofs-oci/NAME.toml declares");
  mount->add_option("NAME", name)->required();
  mount->callback([&] { code = mount_command(name); });
  bool all = false;
  auto* umount = app.add_subcommand("umount", "Unmount NAME");
  umount->add_option("NAME", name);
  umount->add_flag("--all", all, "All mounts");
  umount->add_flag("--force", flag, "Also what is in use: reads fail from then on");
  umount->callback([&] {
    if (all == !name.empty()) throw CLI::ValidationError("umount", "either NAME or --all is required");
    code = umount_command(name, flag);
  });
  auto* reload = app.add_subcommand("reload", "Apply changed policy and credentials to mounted NAME");
  reload->add_option("NAME", name)->required();
  reload->callback([&] { code = reload_command(name); });
  auto* status = app.add_subcommand("status", "Show mounts and how they fare");
  status->add_option("NAME", name);
  status->add_flag("--json", flag, "For programs");
  status->callback([&] { code = status_command(name, flag); });
  auto* monitor = app.add_subcommand("monitor", "Show what happens to mounts, as it happens");
  monitor->add_option("NAME", name);
  monitor->add_flag("--json", flag, "For programs: an object a line");
  monitor->callback([&] { code = monitor_command(name, flag); });
  auto* check = app.add_subcommand("check", "Check a definition");
  check->add_option("NAME|FILE", name)->required();
  check->add_flag("--online", flag, "Ask the registry, and open the image as a mount would");
  check->callback([&] { code = check_command(name, flag); });
  InspectOptions inspected;
  auto* inspect = app.add_subcommand("inspect", "Show what an image is made of");
  inspect->add_option("SOURCE", inspected.source, "Image, or NAME or FILE.toml of a definition")->required();
  add_source_options(*inspect, inspected.image);
  inspect->add_flag("--json", inspected.json, "For programs");
  inspect->callback([&] { code = inspect_command(inspected); });
  auto* run = app.add_subcommand("run", "Mount FILE.toml without the service, until SIGTERM or SIGINT");
  run->add_option("FILE", name)->required();
  run->callback([&] { code = run_command(name); });
  auto* exported = app.add_subcommand("export", "Serve an image by the NBD protocol on a Unix socket");
  exported->add_option("NAME|FILE", name)->required();
  exported->add_option("--socket", socket, "Path of the socket")->required();
  exported->callback([&] { code = export_command(name, socket); });
  IndexOptions indexing;
  auto* index = app.add_subcommand("index", "Build the index of an image, or the tarindex of a layer");
  index->add_option("SOURCE", indexing.source, "An image, oci:DIR[:TAG], oci-archive:FILE, an archive, or NAME|FILE.toml")
      ->required();
  index->add_option("-o,--output", indexing.output, "The file to write; without it, the store for mounts");
  index->add_option("--format", indexing.format, "image, or tarindex: of one layer, as mkfs.erofs makes it")
      ->check(CLI::IsMember({"image", "tarindex"}));
  index->add_option("--zinfo", indexing.zinfo, "The checkpoints of a tarindex; default: beside the output");
  index->add_option("--span", indexing.span, "Bytes between checkpoints; default: 1MiB, of a tarindex 4MiB");
  index->add_option("--whiteouts", indexing.whiteouts, "In a tarindex: keep them as files, or as overlay has them")
      ->check(CLI::IsMember({"keep", "overlay"}));
  index->add_option("--layer", indexing.image.layer, "Only this layer: a number from 0, or a digest");
  add_source_options(*index, indexing.image);
  index->callback([&] { code = index_command(indexing); });
  auto* cache = app.add_subcommand("cache", "What the daemon keeps on disk");
  cache->require_subcommand(1);
  auto* gc = cache->add_subcommand("gc", "Remove what no definition names and no mount needs");
  gc->add_flag("-n,--dry-run", flag, "Only tell what would be removed");
  gc->callback([&] { code = cache_gc_command(flag); });
  auto* cache_ls = cache->add_subcommand("ls", "Show the layers whose data is kept on disk");
  cache_ls->add_flag("--json", flag, "For programs");
  cache_ls->callback([&] { code = cache_ls_command(flag); });
  cache->add_subcommand("verify", "Compare all data on disk with its checksums")->callback([&] {
    code = cache_verify_command();
  });
  auto* cache_rm = cache->add_subcommand("rm", "Remove the data of a layer from disk");
  cache_rm->add_option("LAYER", name, "Its digest, or how that begins");
  cache_rm->add_flag("--all", flag, "Of all layers");
  cache_rm->callback([&] {
    if (flag == !name.empty()) throw CLI::ValidationError("cache rm", "either LAYER or --all is required");
    code = cache_rm_command(name);
  });
  std::string rate;
  auto* prefetch = app.add_subcommand("prefetch", "Fetch all of a mount to disk");
  prefetch->add_option("NAME", name)->required();
  prefetch->add_option("--rate", rate, "The most bytes a second; default: the definition's")
      ->check([](const std::string& text) {
        return parse_size(text).value_or(0) != 0 ? "" : "must be a size, such as 10MiB";
      });
  prefetch->callback([&] { code = prefetch_command(name, rate); });
  auto* plot = app.add_subcommand("plot", "Draw what was read of a mount and when, as SVG");
  plot->add_option("NAME", name)->required();
  plot->callback([&] { code = plot_command(name); });
  auto* reattach = app.add_subcommand("reattach", "Hand mounts to a new daemon");
  reattach->add_option("NAME", name);
  reattach->callback([&] { code = reattach_command(name); });

  try {
    const std::string program = std::filesystem::path(argv[0]).filename();
    if (program.ends_with("mount.erofs-oci")) return run_mount_helper(program, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    const std::string message = std::string("erofs-oci: ") + error.what();
    // Twice: the journal cannot always tell which unit the last line of a process came from.
    log(LogLevel::error, message);
    notify_status(message);
    return 1;
  }
  return code;
}
