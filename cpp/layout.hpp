// The rows of a rectangle as tiles count them: panels, one span after the other, and the tiles that have work.
#pragma once

#include <algorithm>
#include <vector>

#include "chains.hpp"
#include "engine.hpp"

namespace nc1fast {

inline constexpr int kTileRows = 384;  // of a side of a tile at most

// How large tiles are: `panels` on each side or, where that is 0, rows of so many bytes that stay in a cache beside
// which kTileRows columns pass by.
struct TileSize {
  int panels = 0;
  std::size_t bytes = 0;
};

class Layout {
 public:
  Rectangle rectangle;
  std::vector<Segment> segments;
  std::vector<int> first_segment;  // (n_panels + 1,)

  Layout() = default;
  // within: the tiles within classes, else those between them. width, depth: rows of a panel, length of one.
  // Tiles have size.panels on each side, fewer where the options say so; 0: as the options or size.bytes have it.
  Layout(const Rectangle& rectangle_, const std::vector<std::int64_t>& begins, bool within, int width, int depth,
         TileSize size, const Options& options)
      : rectangle(rectangle_), width_(width) {
    const bool single = within ? options.single_within : options.single_between;
    add_panels(rectangle.rows, begins);
    n_row_panels_ = int(first_segment.size());
    if (!rectangle.square()) add_panels(rectangle.columns, begins);
    first_segment.push_back(int(segments.size()));
    add_blocks(within, std::size_t(depth) * std::size_t(width_) * (single ? sizeof(float) : sizeof(double)), size,
               options);
  }

  // Sorted row at the start of panel p.
  std::int64_t row(int p) const {
    return p < n_row_panels_ ? rectangle.rows.begin + std::int64_t(p) * width_
                             : rectangle.columns.begin + std::int64_t(p - n_row_panels_) * width_;
  }
  int first_class(int p) const { return segments[std::size_t(first_segment[std::size_t(p)])].cls; }
  int last_class(int p) const { return segments[std::size_t(first_segment[std::size_t(p) + 1]) - 1].cls; }

  std::int64_t n_tiles() const { return first_tile_.back(); }
  // Tile k of them, block of rows by block of rows.
  Tile tile(std::int64_t k) const {
    const auto next = std::upper_bound(first_tile_.begin(), first_tile_.end(), k);
    const int b = int(next - first_tile_.begin()) - 1;
    const int c = first_column_block_[std::size_t(b)] + int(k - first_tile_[std::size_t(b)]);
    Tile t{b * high_, std::min(n_row_panels_, (b + 1) * high_), column_begin_ + c * wide_, column_end(c), 0, 0, 0};
    t.row_class = first_class(t.p_begin);
    t.column_class = first_class(t.q_begin);
    t.n_column_classes = last_class(t.q_end - 1) - t.column_class + 1;
    return t;
  }

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

  // The blocks of panels that tiles are made of, and which of the columns each block of rows meets: with classes in
  // order these are all from one block to another.
  void add_blocks(bool within, std::size_t panel_bytes, TileSize size, const Options& options) {
    const bool square = rectangle.square();
    const int n = int(first_segment.size()) - 1, n_columns = square ? n : n - n_row_panels_;
    high_ = wide_ = size.panels == 0 || options.tile_panels == 0 ? std::max(size.panels, options.tile_panels)
                                                                 : std::min(size.panels, options.tile_panels);
    if (high_ == 0) {
      const std::int64_t pairs = square ? std::int64_t(n) * n : 2 * std::int64_t(n_row_panels_) * n_columns;
      wide_ = kTileRows / width_;
      high_ = std::clamp(int(size.bytes / panel_bytes), 1, wide_);
      while (wide_ > 1 && pairs / (std::int64_t(high_) * wide_) < 16 * options.n_threads)
        (wide_ > high_ ? wide_ : high_) /= 2;
    }
    high_ = std::min(high_, std::max(n, 1));
    wide_ = std::min(wide_, std::max(n, 1));
    column_begin_ = square ? 0 : n_row_panels_;
    const int n_blocks = (n_columns + wide_ - 1) / wide_;
    int begin = 0, end = within ? 0 : n_blocks;
    for (int b = 0; b * high_ < n_row_panels_; ++b) {
      const int first = first_class(b * high_), last = last_class(std::min(n_row_panels_, (b + 1) * high_) - 1);
      if (square) begin = std::max(begin, b * high_ / wide_);
      // Within classes: to the last block that begins with a class of the rows. Between: from the first that has
      // another.
      if (within)
        while (end < n_blocks && first_class(column_begin_ + end * wide_) <= last) ++end;
      else
        while (begin < end && last_class(column_end(begin) - 1) == first) ++begin;
      first_column_block_.push_back(begin);
      first_tile_.push_back(first_tile_.back() + (end - begin));
    }
  }
  int column_end(int block) const {
    const int n = int(first_segment.size()) - 1;
    return std::min(n, column_begin_ + (block + 1) * wide_);
  }

  int width_ = 1, n_row_panels_ = 0;
  int high_ = 1, wide_ = 1;                  // panels of a block of rows, and of columns
  int column_begin_ = 0;                     // the first panel of the columns
  std::vector<int> first_column_block_;      // of every block of rows
  std::vector<std::int64_t> first_tile_{0};  // and its tiles: [first_tile_[b], first_tile_[b + 1])
};

}  // namespace nc1fast
