// SPDX-License-Identifier: Apache-2.0
// How fast indexes are built and opened, against zlib's plain inflate of the same file in the same run.
//
//     bench_index LAYER.tar.gz MANY-ENTRIES.tar HALF.tar OTHER-HALF.tar [ROUNDS]
//
// One processor's work is counted in processor time, which others on the machine do not change; what two do
// together takes the clock, and a quiet machine.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "index/builder.h"

namespace erofs_oci {
namespace {

using Seconds = std::chrono::duration<double>;

/// A local file, read by the thread that asks.
class File : public RangeReader {
 public:
  explicit File(const std::string& path) : path_(path), fd_(open_file(path, O_RDONLY)) {}
  uint64_t size_bytes() const override { return static_cast<uint64_t>(stat_fd(fd_.get(), path_).st_size); }
  std::string name() const override { return path_; }
  void read(ByteRange range, MutableBytes out, Priority, RangeDone done) override {
    pread_exactly(fd_.get(), range.offset, out, path_);
    done(std::nullopt);
  }

 private:
  const std::string path_;
  const UniqueFd fd_;
};

/// The processors that this process may use: the first one only, or all it was started with.
class Processors {
 public:
  Processors() { ::sched_getaffinity(0, sizeof all_, &all_); }
  ~Processors() { ::sched_setaffinity(0, sizeof all_, &all_); }
  int count() const { return CPU_COUNT(&all_); }
  void use_one() const {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &all_)) CPU_SET(cpu, &one);
    }
    ::sched_setaffinity(0, sizeof one, &one);
  }
  void use_all() const { ::sched_setaffinity(0, sizeof all_, &all_); }

 private:
  cpu_set_t all_;
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - begin).count();
}

/// Of this process's threads together: what one processor would need, whatever else the machine does.
double cpu_seconds_of(const std::function<void()>& work) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  const double begin = now();
  work();
  return now() - begin;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// The size that the file inflates to.
uint64_t inflate_with_zlib(const std::string& path) {
  const File file(path);
  std::vector<std::byte> in(kMiB);
  std::vector<std::byte> out(256 * kKiB);
  z_stream stream{};
  if (::inflateInit2(&stream, 15 + 32) != Z_OK) throw std::bad_alloc();
  uint64_t total = 0;
  for (uint64_t offset = 0; offset < file.size_bytes(); offset += in.size()) {
    in.resize(std::min<uint64_t>(in.size(), file.size_bytes() - offset));
    const_cast<File&>(file).read({offset, in.size()}, in, Priority::foreground, [](const auto&) {});
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    while (stream.avail_in > 0) {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      const int status = ::inflate(&stream, Z_NO_FLUSH);
      total += out.size() - stream.avail_out;
      if (status == Z_STREAM_END) break;
      if (status != Z_OK) throw Error(ErrorKind::corrupt, "zlib cannot inflate it");
    }
  }
  ::inflateEnd(&stream);
  return total;
}

/// What this process had in memory at its peak (proc(5)).
uint64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * kKiB;
  }
  return 0;
}

struct Scratch {
  std::string path = "/tmp/bench-index." + random_hex_128();
  UniqueFd fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  ~Scratch() { ::unlink(path.c_str()); }
};

BuildReport build(const std::vector<std::string>& layers, unsigned threads, const Scratch& out) {
  ImageInput image;
  for (const std::string& path : layers)
    image.layers.push_back({std::make_shared<File>(path), std::nullopt, std::nullopt});
  if (::ftruncate(out.fd.get(), 0) != 0) throw errno_error("{}", out.path);
  return build_image_index(image, {.threads = threads, .scratch = "/tmp", .progress = {}}, out.fd.get(),
                           out.path);
}

void bench_layer(const std::string& layer, size_t rounds) {
  const Processors processors;
  const Scratch out;
  std::vector<double> zlib;
  std::vector<double> one;
  std::vector<double> alone;
  std::vector<double> two;
  uint64_t size = 0;
  for (size_t round = 0; round < rounds; ++round) {
    processors.use_one();
    zlib.push_back(cpu_seconds_of([&] { size = inflate_with_zlib(layer); }));
    one.push_back(cpu_seconds_of([&] {
      if (build({layer}, 1, out).layers[0].stream_size != size)
        throw Error(ErrorKind::corrupt, "sizes differ");
    }));
    alone.push_back(seconds_of([&] { build({layer}, 1, out); }));
    processors.use_all();
    two.push_back(seconds_of([&] { build({layer, layer}, 2, out); }));
  }
  const auto rate = [&](double seconds) { return static_cast<double>(size) / seconds / 1e6; };
  fmt::print("layer of {} ({} as gzip), medians of {} rounds\n", human_size(size),
             human_size(File(layer).size_bytes()), rounds);
  fmt::print("  zlib, one processor        {:>6.0f} MB/s\n", rate(median(zlib)));
  fmt::print("  index, one processor       {:>6.0f} MB/s  {:.2f} of zlib\n", rate(median(one)),
             median(zlib) / median(one));
  if (processors.count() > 1) {
    fmt::print("  two layers, two processors {:>6.0f} MB/s  {:.2f} times one layer on one, by the clock\n",
               2 * rate(median(two)), 2 * median(alone) / median(two));
  }
  build({layer}, 1, out);
  const auto index = static_cast<double>(stat_fd(out.fd.get(), out.path).st_size);
  fmt::print("  index                      {:>6.2f} % of the layer\n",
             100 * index / static_cast<double>(size));
}

/// In a process of its own, which has nothing else in memory.
void print_peak(const char* what, const std::vector<std::string>& layers) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    const Scratch out;
    build(layers, static_cast<unsigned>(layers.size()), out);
    fmt::print("  {:<26} {:>10}\n", what, human_size(peak_bytes()));
    std::fflush(stdout);
    ::unlink(out.path.c_str());
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
    throw Error(ErrorKind::system, "a build in a process of its own failed");
}

void bench_entries(const std::string& archive, const std::vector<std::string>& halves, size_t rounds) {
  fmt::print("image of many entries\n");
  print_peak("memory to build", {archive});
  print_peak("memory, two layers at once", halves);
  const Scratch out;
  const BuildReport report = build({archive}, 1, out);
  std::vector<double> opening;
  for (size_t round = 0; round < 4 * rounds; ++round)
    opening.push_back(cpu_seconds_of([&] { ImageIndex(open_file(out.path, O_RDONLY), out.path); }));
  fmt::print("  entries                    {:>10}\n", report.inodes);
  fmt::print("  opening, verified          {:>7.1f} ms\n", 1000 * median(opening));
}

}  // namespace
}  // namespace erofs_oci

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: bench_index LAYER.tar.gz MANY-ENTRIES.tar HALF.tar OTHER-HALF.tar [ROUNDS]\n");
    return 2;
  }
  try {
    const size_t rounds = argc > 5 ? std::stoul(argv[5]) : 5;
    erofs_oci::bench_entries(argv[2], {argv[3], argv[4]}, rounds);  // first: a child shares what is in memory
    erofs_oci::bench_layer(argv[1], rounds);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_index: {}\n", error.what());
    return 1;
  }
}
