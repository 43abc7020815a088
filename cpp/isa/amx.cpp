// Products of float32 rows by the tiles of AMX: 16 x 16 sums of 64 products of bytes in the time of 16 of 512 bits.
//
// A packed panel of 48 rows becomes, in its place, s of its rows (48 floats), then, for each block of 64 entries, its
// digits (slices.hpp) twice: as rows, tiles of 16 rows x 64 entries (kDigits, 3, 16, 64) bytes, and as columns, the
// same tiles turned, four entries of a row beside each other (kDigits, 3, 16, 16, 4).
#include <immintrin.h>

#include "isa/isa.hpp"
#include "nc1fast/inner.hpp"
#include "nc1fast/slices.hpp"
#include "system.hpp"

namespace nc1fast::isa {
namespace {

using slices::kDigits, slices::kOrders;
using V = Vec<float, Avx512>;
using Integers = Vec<std::int32_t, Avx512>;

constexpr int kRows = 48, kSide = 16, kStrips = kRows / kSide, kBlock = 64;
constexpr std::ptrdiff_t kTile = kSide * kBlock, kDigit = kStrips * kTile;   // bytes
constexpr std::ptrdiff_t kOperand = kDigits * kDigit, kStep = 2 * kOperand;  // of a block of entries
static_assert(kRows == kPanel<float, Avx512>);
// Of rows whose digits, three bytes for a number, take half of L2: cores with these tiles have 2 MiB.
constexpr std::size_t kTileBytes = std::size_t(1280) << 10;

constexpr int blocks_of(int depth) { return (depth + kBlock - 1) / kBlock; }

static_assert(slices::kChunk % kBlock == 0);

// Whether rows of so many entries have their bounds.
constexpr bool fits(int depth) { return depth >= slices::kLeast; }

std::size_t row(int depth) {
  return fits(depth) ? std::size_t(1 + blocks_of(depth) * kStep / (4 * kRows)) : std::size_t(depth);
}

template <class Byte, class Panel>
Byte* as_rows(Panel* panel) {
  return reinterpret_cast<Byte*>(panel + kRows);
}
template <class Byte, class Panel>
Byte* as_columns(Panel* panel) {
  return as_rows<Byte>(panel) + kOperand;
}

// Eight tiles of 16 rows of 64 bytes, while one lives.
class Configured {
 public:
  Configured() {
    alignas(64) std::uint8_t config[64] = {1};
    for (int t = 0; t < 8; ++t) {
      config[16 + 2 * t] = kBlock;
      config[48 + t] = kSide;
    }
    _tile_loadconfig(config);
    __asm__ volatile("" ::: "memory");  // what tiles load is in memory by now: gcc does not tell its intrinsics
  }
  ~Configured() { _tile_release(); }
  Configured(const Configured&) = delete;
  Configured& operator=(const Configured&) = delete;
};

// What is to reach L2 while a block of entries is multiplied: lines from `next` on, of that block.
struct Ahead {
  const std::int8_t* next;
  int lines;
  void fetch(std::ptrdiff_t block) const {
    for (int line = 0; line < lines; ++line) __builtin_prefetch(next + block * kStep + line * kBlock, 0, 2);
  }
};

// C_n of 16 rows with 16 columns: tiles 0 to 3. Digits of the rows stay in tiles 4 to 6, those of the columns pass by.
void multiply(const std::int8_t* rows, const std::int8_t* columns, int n_blocks, Ahead ahead, std::int32_t* out) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int b = 0; b < n_blocks; ++b, rows += kStep, columns += kStep) {
    _tile_loadd(4, rows, kBlock);
    _tile_loadd(7, columns, kBlock);
    _tile_dpbssd(0, 4, 7);
    ahead.fetch(b);
    _tile_loadd(5, rows + kDigit, kBlock);
    _tile_dpbssd(1, 5, 7);
    _tile_loadd(6, rows + 2 * kDigit, kBlock);
    _tile_dpbssd(2, 6, 7);
    _tile_loadd(7, columns + kDigit, kBlock);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(3, 6, 7);
    _tile_dpbssd(2, 5, 7);
    _tile_loadd(7, columns + 2 * kDigit, kBlock);
    _tile_dpbssd(3, 5, 7);
    _tile_dpbssd(2, 4, 7);
  }
  constexpr int order = kSide * kSide;
  _tile_stored(0, out, kBlock);
  _tile_stored(1, out + order, kBlock);
  _tile_stored(2, out + 2 * order, kBlock);
  _tile_stored(3, out + 3 * order, kBlock);
}

using Orders = const std::int32_t (&)[kOrders][kSide][kSide];

// Row i of 16 x 16 products over one chunk, over their scales.
[[gnu::always_inline]] inline V sum_of_orders(Orders orders, int i) {
  V order[kOrders];
#pragma GCC unroll 4
  for (int n = 0; n < kOrders; ++n) order[n] = __builtin_convertvector(load<Integers>(orders[n][i]), V);
  return slices::sum_of_orders(order);
}

void add_orders(Orders orders, bool first, float (&sums)[kSide][kSide]) {
  for (int i = 0; i < kSide; ++i) {
    const V sum = sum_of_orders(orders, i);
    store(sums[i], first ? sum : V(load<V>(sums[i]) + sum));
  }
}

template <bool Signed>
void chords(const float* a, const float* b, int depth, const float* half_a, const float* half_b, Soon<float> soon,
            float* out) {
  if (!fits(depth)) return Inner<float, Avx512>::chords<Signed>(a, b, depth, half_a, half_b, soon, out);
  const int n_blocks = blocks_of(depth), n_chunks = slices::chunks_of(depth);
  const std::int8_t *rows = as_rows<const std::int8_t>(a), *columns = as_columns<const std::int8_t>(b);
  // Of each of kStrips x kStrips products, so that all of them fetch the digits of a block.
  const int lines = soon.panel == b ? 0 : (kSide + soon.parts - 1) / soon.parts;
  const std::int8_t* const next =
      as_rows<const std::int8_t>(soon.panel) + (soon.as_rows ? 0 : kOperand) + soon.part * lines * kBlock;
  alignas(64) std::int32_t orders[kOrders][kSide][kSide];
  alignas(64) float sums[kSide][kSide];
  const Configured configured;
  for (int r = 0; r < kRows; r += kSide)
    for (int c = 0; c < kRows; c += kSide) {
      for (int chunk = n_chunks - 1; chunk >= 0; --chunk) {
        const int first = chunk * (slices::kChunk / kBlock);
        const int last = chunk + 1 < n_chunks ? first + slices::kChunk / kBlock : n_blocks;
        multiply(rows + first * kStep + r * kBlock, columns + first * kStep + c * kBlock, last - first,
                 {next + first * kStep + (r * kStrips + c) * kBlock, lines}, orders[0][0]);
        if (chunk > 0) add_orders(orders, chunk + 1 == n_chunks, sums);
      }
      const V s = load<V>(b + c), half = load<V>(half_b + c);
#pragma GCC unroll 4
      for (int i = 0; i < kSide; ++i) {
        V sum = sum_of_orders(orders, i);
        if (n_chunks > 1) sum += load<V>(sums[i]);
        const V product = sum * (a[r + i] * s);
        store(out + (r + i) * kRows + c, chord<Signed>(product, V(half_a[r + i] + half)));
      }
    }
}

// Digits of 16 rows over 64 entries, and their own products, added to `orders`, which floats hold exactly.
void slice(const float (&entries)[kBlock][kRows], int first, V s, V inverse, std::int8_t* rows, std::int8_t* columns,
           V (&orders)[kOrders]) {
  for (int k = 0; k < kBlock; k += 4) {
    Integers packed[kDigits] = {};
#pragma GCC unroll 4
    for (int byte = 0; byte < 4; ++byte) {
      V a[kDigits];
      slices::digits(load<V>(&entries[k + byte][first]), s, inverse, a);
      slices::add_square(a, orders);
#pragma GCC unroll 3
      for (int l = 0; l < kDigits; ++l) packed[l] |= (__builtin_convertvector(a[l], Integers) & 255) << (8 * byte);
    }
#pragma GCC unroll 3
    for (int l = 0; l < kDigits; ++l)
      store(reinterpret_cast<std::int32_t*>(columns + l * kDigit + k * kSide), packed[l]);
  }
  for (int l = 0; l < kDigits; ++l) {
    V square[kSide];
    for (int r = 0; r < kSide; ++r) __builtin_memcpy(&square[r], columns + l * kDigit + r * kBlock, kBlock);
    transpose(square);
    for (int r = 0; r < kSide; ++r) __builtin_memcpy(rows + l * kDigit + r * kBlock, &square[r], kBlock);
  }
}

// A panel of floats becomes digits, from its last block of entries on: none is overwritten before it is read.
void slice(float* panel, int depth, float* half) {
  const int n_blocks = blocks_of(depth);
  V s[kStrips], inverse[kStrips], squares[kStrips] = {};
  Integers sums[kStrips][kOrders] = {};
  for (int strip = 0; strip < kStrips; ++strip) {
    V most{};
    for (int k = 0; k < depth; ++k) most = larger(most, math::abs(load<V>(panel + k * kRows + strip * kSide)));
    s[strip] = slices::scale(most);
    inverse[strip] = s[strip] > 0.f ? 1.f / s[strip] : V{};
  }
  for (int block = n_blocks - 1; block >= 0; --block) {
    float entries[kBlock][kRows] = {};
    const int n = depth - block * kBlock < kBlock ? depth - block * kBlock : kBlock;
    __builtin_memcpy(entries, panel + block * kBlock * kRows, std::size_t(n) * sizeof entries[0]);
    for (int strip = 0; strip < kStrips; ++strip) {
      V orders[kOrders] = {};
      slice(entries, strip * kSide, s[strip], inverse[strip],
            as_rows<std::int8_t>(panel) + block * kStep + strip * kTile,
            as_columns<std::int8_t>(panel) + block * kStep + strip * kTile, orders);
      for (int n = 0; n < kOrders; ++n) sums[strip][n] += __builtin_convertvector(orders[n], Integers);
      if (block * kBlock % slices::kChunk != 0 || (block > 0 && slices::chunks_of(depth) == 1)) continue;
      for (int n = 0; n < kOrders; ++n) orders[n] = __builtin_convertvector(sums[strip][n], V);
      squares[strip] += slices::sum_of_orders(orders);
      for (int n = 0; n < kOrders; ++n) sums[strip][n] = Integers{};
    }
  }
  for (int strip = 0; strip < kStrips; ++strip) {
    store(panel + strip * kSide, s[strip]);
    store(half + strip * kSide, V(0.5f * (squares[strip] * (s[strip] * s[strip]))));
  }
}

void finish(float* panels, int n_panels, int depth, float* half) {
  if (!fits(depth)) return Inner<float, Avx512>::half_norms(panels, n_panels, depth, half);
  for (int p = 0; p < n_panels; ++p) slice(panels + p * std::ptrdiff_t(row(depth)) * kRows, depth, half + p * kRows);
}

// Whether the tiles of this machine sum as integers do.
bool computes() {
  constexpr int depth = 150, n_blocks = blocks_of(depth);
  alignas(64) static float panel[kRows + n_blocks * kStep / 4];
  std::uint32_t state = 1;
  for (int k = 0; k < depth * kRows; ++k) {
    state = state * 1664525u + 1013904223u;
    panel[k] = float(std::int32_t(state)) * 0x1p-31f;
  }
  float half[kRows];
  slice(panel, depth, half);
  alignas(64) std::int32_t orders[kOrders][kSide][kSide];
  {
    const Configured configured;
    multiply(as_rows<const std::int8_t>(panel), as_columns<const std::int8_t>(panel) + kTile, n_blocks, {},
             orders[0][0]);
  }
  const std::int8_t *row = as_rows<const std::int8_t>(panel), *column = row + kTile;
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < kSide; ++j)
      for (int n = 0; n < kOrders; ++n) {
        std::int32_t sum = 0;
        for (int block = 0; block < n_blocks; ++block)
          for (int l = n < kDigits ? 0 : n - kDigits + 1; l <= n && l < kDigits; ++l)
            for (int k = 0; k < kBlock; ++k)
              sum += row[block * kStep + l * kDigit + i * kBlock + k] *
                     column[block * kStep + (n - l) * kDigit + j * kBlock + k];
        if (sum != orders[n][i][j]) return false;
      }
  return true;
}

}  // namespace

const InstructionSet* amx() {
  static const bool works = system::permits_tiles() && computes();
  static const InstructionSet set = [] {
    InstructionSet with_tiles = avx512;
    with_tiles.name = "amx";
    with_tiles.f32.products = {&row, &finish, {&chords<false>, &chords<true>}, kTileBytes};
    return with_tiles;
  }();
  return works ? &set : nullptr;
}

}  // namespace nc1fast::isa
