// SPDX-License-Identifier: Apache-2.0
#include "cli/access_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/text.h"

namespace erofs_oci {
namespace {

// In pixels.
constexpr double kMargin = 24;
constexpr double kLeft = 96;  // room for offsets
constexpr double kWidth = 1200;
constexpr double kTop = 104;
constexpr double kBandTitle = 22;
constexpr double kBandGap = 14;
constexpr double kMinBand = 72;
constexpr double kAllBands = 480;  // shared by the layers by their sizes
constexpr double kLegendRow = 22;

struct Style {
  AccessHow how;
  const char* color;
  double thickness;  // of a bar; of what took no time, the dot's
  const char* meaning;
};
// In the order of drawing: what readers waited for is on top.
constexpr std::array<Style, 6> kStyles{{
    {AccessHow::prefetch, "#b9a6d9", 3, "prefetched"},
    {AccessHow::read_ahead, "#e8b04a", 3, "read ahead"},
    {AccessHow::memory, "#3f9e5a", 5, "read, was in memory"},
    {AccessHow::disk, "#2f6fbf", 5, "read, was on disk"},
    {AccessHow::fetched, "#cf4633", 4, "read, was fetched: the bar is the wait"},
    {AccessHow::failed, "#111111", 5, "read in vain"},
}};

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

double seconds(uint64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

/// 1, 2 or 5 times a power of ten, so that about `count` fit into `range`.
double nice_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) return factor * power;
  }
  return 10 * power;
}

std::string time_label(double time, double step) {
  if (step >= 1) return fmt::format("{:.0f} s", time);
  if (step >= 0.1) return fmt::format("{:.1f} s", time);
  if (step >= 0.01) return fmt::format("{:.2f} s", time);
  return fmt::format("{:.0f} ms", time * 1000);
}

/// Draws into a string; what is not known before (the height) is asked of it at the end.
class Plot {
 public:
  explicit Plot(const AccessesReply& record) : record_(record) {
    uint64_t end = 0;
    for (const AccessReport& access : record.accesses) end = std::max(end, access.at_us + access.took_us);
    end_ = record.accesses.empty() ? 1 : std::max(seconds(end), 0.05);
    step_ = nice_step(end_, 12);
    end_ = std::ceil(end_ / step_ - 1e-9) * step_;
    lay_out();
  }

  std::string draw() {
    title();
    for (size_t i = 0; i < bands_.size(); ++i) frame(i);
    time_axis();
    for (size_t i = 0; i < bands_.size(); ++i) accesses(i);
    if (record_.accesses.empty()) note_emptiness();
    legend();
    return head() + body_ + "</svg>\n";
  }

 private:
  struct Band {
    double top = 0;
    double height = 0;
  };

  void lay_out() {
    uint64_t total = 0;
    for (const RecordedLayer& layer : record_.layers) total += layer.stream_bytes;
    double y = kTop;
    for (const RecordedLayer& layer : record_.layers) {
      const double share =
          total == 0 ? 0 : static_cast<double>(layer.stream_bytes) / static_cast<double>(total);
      bands_.push_back({y + kBandTitle, std::max(kMinBand, std::round(kAllBands * share))});
      y = bands_.back().top + bands_.back().height + kBandGap;
    }
    bottom_ = bands_.empty() ? kTop + kMinBand : bands_.back().top + bands_.back().height;
    height_ = bottom_ + 48 + kLegendRow * (kStyles.size() + (record_.left_out != 0 ? 1 : 0)) + kMargin;
  }

  std::string head() const {
    const double width = kLeft + kWidth + 3 * kMargin;
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\">\n"
        "<title>{2}: what was read when</title>\n"
        "<style type=\"text/css\"><![CDATA[\n"
        "text {{ font-family: sans-serif; font-size: 12px; fill: #333; }}\n"
        ".title {{ font-size: 20px; font-weight: bold; fill: #111; }}\n"
        ".layer {{ font-size: 13px; font-weight: bold; }}\n"
        ".faint {{ fill: #777; }}\n"
        ".right {{ text-anchor: end; }}\n"
        ".middle {{ text-anchor: middle; }}\n"
        ".band {{ fill: #f7f7f5; stroke: #c8c8c4; stroke-width: 1; }}\n"
        ".grid {{ stroke: #dcdcd8; stroke-width: 1; }}\n"
        "path {{ fill: none; stroke-linecap: round; }}\n"
        "]]></style>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        width, height_, escape(record_.name));
  }

  double x(double time) const { return kLeft + kMargin + time / end_ * kWidth; }
  double y(size_t layer, uint64_t offset) const {
    const uint64_t size = std::max<uint64_t>(record_.layers[layer].stream_bytes, 1);
    const double share = std::min(1.0, static_cast<double>(offset) / static_cast<double>(size));
    return bands_[layer].top + 3 + share * (bands_[layer].height - 6);
  }

  void text(double x, double y, std::string_view style, const std::string& words) {
    body_ +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, style, escape(words));
  }

  void title() {
    text(kMargin, 36, "title", record_.name + ": what was read when");
    std::string image = record_.image;
    if (record_.image_digest) image += "   " + to_string(*record_.image_digest);
    text(kMargin, 58, "", image);
    size_t reads = 0;
    size_t waits = 0;
    uint64_t waited = 0;
    for (const AccessReport& access : record_.accesses) {
      if (access.how == AccessHow::prefetch || access.how == AccessHow::read_ahead) continue;
      ++reads;
      if (access.how != AccessHow::fetched) continue;
      ++waits;
      waited += access.took_us;
    }
    text(kMargin, 78, "faint",
         fmt::format("{} of {} reads were fetched, and waited {:.2f} s together; the mount was opened {:.0f} "
                     "s ago, at 0 s",
                     waits, reads, seconds(waited), seconds(record_.age_us)));
  }

  void frame(size_t number) {
    const RecordedLayer& layer = record_.layers[number];
    const Band& band = bands_[number];
    text(kLeft + kMargin, band.top - 6, "layer", fmt::format("{}: {}", number, layer.name));
    body_ +=
        fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"band\"/>\n",
                    kLeft + kMargin, band.top, kWidth, band.height);
    text(kLeft + kMargin - 8, band.top + 11, "right faint", "0");
    text(kLeft + kMargin - 8, band.top + band.height - 2, "right faint", human_size(layer.stream_bytes));
  }

  void time_axis() {
    for (double time = 0; time <= end_ + step_ / 2; time += step_) {
      for (const Band& band : bands_) grid_line(x(time), band.top, band.top + band.height);
      grid_line(x(time), bottom_, bottom_ + 5);
      text(x(time), bottom_ + 20, "middle", time_label(time, step_));
    }
  }

  void grid_line(double x, double top, double bottom) {
    body_ +=
        fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>\n", x,
                    top, bottom);
  }

  /// One path for each kind: a record may have tens of thousands of accesses.
  void accesses(size_t layer) {
    for (const Style& style : kStyles) {
      std::string path;
      for (const AccessReport& access : record_.accesses) {
        if (access.layer != layer || access.how != style.how) continue;
        const bool is_hit = style.how == AccessHow::memory || style.how == AccessHow::disk;
        const double length = is_hit ? 0 : seconds(access.took_us) / end_ * kWidth;
        path +=
            fmt::format("M{:.1f},{:.1f}h{:.1f}", x(seconds(access.at_us)), y(layer, access.offset), length);
      }
      if (path.empty()) continue;
      body_ += fmt::format("<path stroke=\"{}\" stroke-width=\"{}\" d=\"{}\"><title>{}</title></path>\n",
                           style.color, style.thickness, path, style.meaning);
    }
  }

  void note_emptiness() {
    text(kLeft + kMargin + kWidth / 2, kTop + kBandTitle + kMinBand / 2 + 4, "middle faint",
         "nothing has been read since the mount was opened");
  }

  void legend() {
    double row = bottom_ + 48;
    for (const Style& style : kStyles) {
      const auto count = std::ranges::count(record_.accesses, style.how, &AccessReport::how);
      const bool is_hit = style.how == AccessHow::memory || style.how == AccessHow::disk;
      body_ += fmt::format("<path stroke=\"{}\" stroke-width=\"{}\" d=\"M{:.1f},{:.1f}h{}\"/>\n", style.color,
                           style.thickness, kLeft + kMargin + (is_hit ? 9 : 0), row - 4, is_hit ? 0 : 18);
      text(kLeft + kMargin + 30, row, "", style.meaning);
      text(kLeft + kMargin - 8, row, "right faint", fmt::format("{}", count));
      row += kLegendRow;
    }
    if (record_.left_out != 0) {
      text(kLeft + kMargin + 30, row, "faint", "more that are not drawn: the record is full");
      text(kLeft + kMargin - 8, row, "right faint", fmt::format("{}", record_.left_out));
    }
  }

  const AccessesReply& record_;
  double end_ = 1;   // seconds
  double step_ = 1;  // seconds
  std::vector<Band> bands_;
  double bottom_ = 0;
  double height_ = 0;
  std::string body_;
};

}  // namespace

std::string access_plot(const AccessesReply& record) {
  return Plot(record).draw();
}

}  // namespace erofs_oci
