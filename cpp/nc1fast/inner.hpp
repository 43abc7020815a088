// Inner products of two panels, kept in registers over a block of k and in an L1 scratch between blocks.
//
// What is stored is the chord (pairs.hpp). half = |u|^2/2 comes from the same chain of multiply-adds as the products,
// so that equal and opposite rows give exactly 0.
#pragma once

#include "nc1fast/pairs.hpp"
#include "nc1fast/pass.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

template <class T, class Isa>
struct Inner {
  using V = Vec<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>, kM = Isa::rows;
  static_assert(kN % kM == 0, "strips fill a panel");
  // Rows of the column panel that stay in L1 beside the scratch and the strip of the row panel.
  static constexpr int kBlock = 16384 / (kN * int(sizeof(T)));
  // Rows of the row panel come from L2, a strip of each at a time: asked for this many steps before their turn.
  static constexpr int kAhead = 32;

  // acc (kM, kN) += strip of a (kM rows from a) times panel b, k of them: one chain of multiply-adds per entry.
  // fetch() at every step.
  template <class Fetch>
  [[gnu::always_inline]] static void multiply(V (&acc)[kM][kVectors], const T* a, const T* b, int k,
                                              const Fetch& fetch) {
#pragma GCC unroll 2
    for (int kk = 0; kk < k; ++kk, a += kN, b += kN) {
      __builtin_prefetch(a + kAhead * kN);
      fetch();
      V column[kVectors];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) column[v] = load<V>(b + v * kL);
#pragma GCC unroll 8
      for (int r = 0; r < kM; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) acc[r][v] += a[r] * column[v];
    }
  }

  // out (kM, kN) (+)= strip of a times panel b; the last block turns it into chords. soon: numbers that are to reach
  // L2, `step` of them in every step.
  template <bool Signed>
  [[gnu::always_inline]] static void strip(const T* a, const T* b, int k, bool first, bool last, const T* half_a,
                                           const T* half_b, const T*& soon, int step, T* out) {
    V acc[kM][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kM; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) acc[r][v] = first ? V{} : load<V>(out + r * kN + v * kL);
    multiply(acc, a, b, k, [&] {
      __builtin_prefetch(soon, 0, 2);
      soon += step;
    });
#pragma GCC unroll 8
    for (int r = 0; r < kM; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v)
        store(out + r * kN + v * kL,
              last ? chord<Signed>(acc[r][v], V(half_a[r] + load<V>(half_b + v * kL))) : acc[r][v]);
  }

  // Chords of every row of panel a with every row of panel b: out (kN, kN).
  template <bool Signed>
  static void chords(const T* a, const T* b, int depth, const T* half_a, const T* half_b, Soon<T> soon, T* out) {
    const int step = (kM + soon.parts - 1) / soon.parts;  // kN/kM strips of `depth` steps each
    const T* ahead = soon.panel + std::ptrdiff_t(depth) * kN / soon.parts * soon.part;
    for (std::ptrdiff_t k = 0; k < depth; k += kBlock) {
      const int length = depth - k < kBlock ? int(depth - k) : kBlock;
      for (int r = 0; r < kN; r += kM)
        strip<Signed>(a + k * kN + r, b + k * kN, length, k == 0, k + length == depth, half_a + r, half_b, ahead, step,
                      out + r * kN);
    }
  }

  static std::size_t row(int depth) { return std::size_t(depth); }

  // |u|^2/2 of every packed row.
  static void half_norms(T* panels, int n_panels, int depth, T* out) {
    for (int p = 0; p < n_panels; ++p)
      for (int v = 0; v < kVectors; ++v) {
        V acc{};
        const T* u = panels + std::size_t(p) * depth * kN + v * kL;
        for (int k = 0; k < depth; ++k) {
          const V x = load<V>(u + std::size_t(k) * kN);
          acc += x * x;
        }
        store(out + p * kN + v * kL, T(0.5) * acc);
      }
  }

  // Small chords again, by differences: t = sum (u_i -+ u_j)^2/2 keeps its digits where 1 - |<u_i, u_j>| has few.
  static void refine(const T* a, const T* b, int depth, T* chords) {
    for (int r = 0; r < kN; ++r)
      for (int c = 0; c < kN; ++c) {
        const T chord = chords[r * kN + c];
        if (!(__builtin_fabs(double(chord)) < 1e-6)) continue;
        const T sign = __builtin_signbit(chord) ? T(-1) : T(1);
        T t = 0;
        for (std::ptrdiff_t k = 0; k < depth; ++k) {
          const T d = a[k * kN + r] - sign * b[k * kN + c];
          t += d * d;
        }
        chords[r * kN + c] = sign * (T(0.5) * t);
      }
  }
};

}  // namespace nc1fast
