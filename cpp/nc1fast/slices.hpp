// Rows as slices of integers, and products of rows by products of integers.
//
// A row u with largest entry max is s (a0 + 2^-7 a1 + 2^-14 a2), s = max/127 rounded up: three digits that fit a byte,
// the nearest integers in turn. Those of -u are their negatives. The product of two rows is
//
//   s_i s_j ((C0 + 2^-7 C1) + 2^-14 (C2 + 2^-7 C3)),  C_n = sum over k of a_l b_{n-l}
//
// without C4 = sum a2 b2 <= 2^12 depth. The C_n are exact, so that equal and opposite rows are at |u|^2 and -|u|^2 to
// the bit; each bracket is one rounding, of the integer 128 C0 + C1 or 128 C2 + C3 where that is at hand. Rows of more
// than kWhole entries are multiplied in chunks, whose products add up from the last to the first. Against the products
// of the rows themselves: an entry is off by 2^-22 max, a product and both |u|^2/2 by 2^-20 sqrt(depth)
// (|u|^2 + |v|^2)/2, C4 by depth 2^-28 of it, and sums of the C_n by 12 roundings and one for each chunk. From 97
// entries on that is within `noise` (packing.hpp), which a chain of multiply-adds is held to.
#pragma once

#include "nc1fast/math.hpp"

namespace nc1fast::slices {

inline constexpr int kDigits = 3, kOrders = 4;  // digits of an entry; C0 to C3
inline constexpr int kLeast = 97;               // entries of a row, at least
inline constexpr int kWhole = 816;              // at most: 128 C2 + C3 <= 2613248 for each entry, below 2^31 in all
inline constexpr int kChunk = 768;              // entries that are multiplied together in rows of more

// Chunks of rows of so many entries, all but the last of kChunk.
NC1FAST_HD constexpr int chunks_of(int depth) { return depth <= kWhole ? 1 : (depth + kChunk - 1) / kChunk; }

// Of the largest entries of rows. Products of rows of less vanish in `least` (packing.hpp).
template <class V>
NC1FAST_HD inline V scale(V most) {
  return most > Lane<V>(0x1p-100) ? V(most * Lane<V>((1 + 0x1p-21) / 127)) : V{};
}

// x - a s, rounded once: vectors are compiled where there are multiply-adds.
template <class V>
NC1FAST_HD inline V remainder(V x, V a, V s) {
  return x - a * s;
}

// a0 in [-127, 127], a1 and a2 in [-64, 64]: the remainders are exact.
template <class V>
NC1FAST_HD inline void digits(V x, V s, V inverse, V (&a)[kDigits]) {
  using T = Lane<V>;
  a[0] = math::Ops<V>::round(V(x * inverse));
  const V middle = remainder<V>(x, a[0], s);
  a[1] = math::Ops<V>::round(V(middle * inverse * T(128)));
  const V low = remainder<V>(middle, a[1], V(s * T(0x1p-7)));
  a[2] = math::Ops<V>::round(V(low * inverse * T(16384)));
}

// C_n of a row with itself += those of one entry.
template <class V>
NC1FAST_HD inline void add_square(const V (&a)[kDigits], V (&orders)[kOrders]) {
  using T = Lane<V>;
  orders[0] += a[0] * a[0];
  orders[1] += T(2) * a[0] * a[1];
  orders[2] += a[1] * a[1] + T(2) * a[0] * a[2];
  orders[3] += T(2) * a[1] * a[2];
}

template <class V>
NC1FAST_HD inline V sum_of_orders(const V (&c)[kOrders]) {
  constexpr Lane<V> step = 0x1p-7;
  const V upper = c[0] + step * c[1], lower = c[2] + step * c[3];
  return upper + step * step * lower;
}

}  // namespace nc1fast::slices
