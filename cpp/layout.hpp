// The rows of a rectangle as tiles count them: panels, one span after the other, and the tiles that have work.
#pragma once

#include <algorithm>
#include <vector>

#include "chains.hpp"
#include "engine.hpp"

namespace nc1fast {

inline constexpr std::size_t kTileBytes = std::size_t(512) << 10;  // packed rows of a tile: half of a small L2
inline constexpr int kTileRows = 384;

class Layout {
 public:
  Rectangle rectangle;
  std::vector<Segment> segments;
  std::vector<int> first_segment;  // (n_panels + 1,)
  std::vector<Tile> tiles;

  Layout() = default;
  // within: the tiles within classes, else those between them. width, depth: rows of a panel, length of one. most:
  // panels of the sides of a tile.
  Layout(const Rectangle& rectangle_, const std::vector<std::int64_t>& begins, bool within, int width, int depth,
         int most, const Options& options)
      : rectangle(rectangle_), width_(width) {
    const bool single = within ? options.single_within : options.single_between;
    add_panels(rectangle.rows, begins);
    n_row_panels_ = int(first_segment.size());
    if (!rectangle.square()) add_panels(rectangle.columns, begins);
    first_segment.push_back(int(segments.size()));
    add_tiles(within, std::size_t(depth) * std::size_t(width_) * (single ? sizeof(float) : sizeof(double)), most,
              options);
  }

  // Sorted row at the start of panel p.
  std::int64_t row(int p) const {
    return p < n_row_panels_ ? rectangle.rows.begin + std::int64_t(p) * width_
                             : rectangle.columns.begin + std::int64_t(p - n_row_panels_) * width_;
  }
  int first_class(int p) const { return segments[std::size_t(first_segment[std::size_t(p)])].cls; }
  int last_class(int p) const { return segments[std::size_t(first_segment[std::size_t(p) + 1]) - 1].cls; }

 private:
  void add_panels(Span span, const std::vector<std::int64_t>& begins) {
    auto c = std::upper_bound(begins.begin(), begins.end(), span.begin) - begins.begin() - 1;
    for (std::int64_t begin = span.begin; begin < span.end; begin += width_) {
      first_segment.push_back(int(segments.size()));
      const std::int64_t end = std::min(span.end, begin + width_);
      for (std::int64_t r = begin; r < end;) {
        const std::int64_t stop = std::min(end, begins[std::size_t(c) + 1]);
        segments.push_back({int(r - begin), int(stop - begin), int(c)});
        if (stop == begins[std::size_t(c) + 1]) ++c;
        r = stop;
      }
    }
  }

  void add_tiles(bool within, std::size_t panel_bytes, int most, const Options& options) {
    const bool square = rectangle.square();
    const int n = int(first_segment.size()) - 1, n_rows = n_row_panels_;
    int size = options.tile_panels;
    if (size <= 0) {
      const std::int64_t pairs = square ? std::int64_t(n) * n : 2 * std::int64_t(n_rows) * (n - n_rows);
      size = std::clamp(int(kTileBytes / panel_bytes), 1, kTileRows / width_);
      while (size > 1 && pairs / (std::int64_t(size) * size) < 16 * options.n_threads) size /= 2;
    }
    size = std::min({size, most, std::max(n, 1)});
    for (int p = 0; p < n_rows; p += size)
      for (int q = square ? p : n_rows; q < n; q += size) {
        Tile t{p, std::min(n_rows, p + size), q, std::min(n, q + size), first_class(p), first_class(q), 0};
        t.n_column_classes = last_class(t.q_end - 1) - t.column_class + 1;
        const bool any = within ? last_class(t.p_end - 1) >= t.column_class : t.row_class != last_class(t.q_end - 1);
        if (any) tiles.push_back(t);
      }
  }

  int width_ = 1, n_row_panels_ = 0;
};

}  // namespace nc1fast
