// What a pass on a device will launch, known before it does: which tiles, in which order, how many at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "layout.hpp"
#include "work.hpp"

namespace nc1fast::device {

inline constexpr std::size_t kStripeBytes = std::size_t(24) << 20;  // of row panels: half of the L2 cache of an H100

// Bytes of a panel of rows of `depth` numbers.
template <class T>
constexpr std::size_t panel_bytes(int depth) {
  return std::size_t((depth + kStep - 1) / kStep * kStep) * kWidth * sizeof(T);
}

// Row panels that stay in the L2 cache while the columns pass by, a multiple of those of a tile.
inline int panels_of_stripe(std::size_t panel) {
  return std::max(1, int(kStripeBytes / panel) / kTilePanels) * kTilePanels;
}

// The tiles of a layout, stripe by stripe; within one, tiles of the same columns after each other.
inline std::vector<Tile> tiles_in_order(const Layout& layout, std::size_t panel) {
  std::vector<Tile> tiles;
  for (std::int64_t k = 0; k < layout.n_tiles(); ++k) tiles.push_back(layout.tile(k));
  const int stripe = panels_of_stripe(panel);
  const auto place = [&](const Tile& t) { return std::tuple(t.p_begin / stripe, t.q_begin, t.p_begin); };
  std::sort(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) { return place(a) < place(b); });
  return tiles;
}

// Tiles of one launch, about a twentieth of a second of a fast device: after each the caller may stop.
inline std::int64_t tiles_at_a_time(int depth, std::size_t n_outputs) {
  const double per_pair = double(depth) + 64.0 * double(n_outputs);
  const double pairs = double(kTileUnits) * kWidth * kWidth;
  return std::clamp(std::int64_t(5e11 / (pairs * per_pair)), std::int64_t(1), std::int64_t(1) << 20);
}

// Counts of one pass over the chains of one launch. units: blocks that have a unit to do. bytes: of packed rows, from
// memory, if the rows of a stripe are read once and each panel of columns once for it.
struct Plan {
  std::int64_t launches = 0, blocks = 0, units = 0, bytes = 0;

  Plan(const Layout& layout, bool within, int depth, std::size_t panel, std::size_t n_outputs) {
    const std::vector<Tile> tiles = tiles_in_order(layout, panel);
    const auto n = std::int64_t(tiles.size()), at_a_time = tiles_at_a_time(depth, n_outputs);
    launches = (n + at_a_time - 1) / at_a_time;
    blocks = n * kTileUnits;
    const int stripe = panels_of_stripe(panel);
    std::vector<int> read(layout.first_segment.size(), -1);  // the last stripe for which a panel was read
    for (const Tile& t : tiles) {
      const int now = t.p_begin / stripe;
      const auto fetch = [&](int begin, int end) {
        for (int p = begin; p < end; ++p)
          if (read[std::size_t(p)] != now) {
            read[std::size_t(p)] = now;
            bytes += std::int64_t(panel);
          }
      };
      fetch(t.p_begin, t.p_end);
      fetch(t.q_begin, t.q_end);
      for (int p = t.p_begin; p < t.p_end; ++p)
        for (int q = std::max(p, t.q_begin); q < t.q_end; ++q)
          units +=
              within ? layout.last_class(p) >= layout.first_class(q) : layout.first_class(p) != layout.last_class(q);
    }
  }
};

}  // namespace nc1fast::device
