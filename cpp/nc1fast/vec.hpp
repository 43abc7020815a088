// The only file that knows SIMD: lane types per instruction set, and the few operations that vary with it.
//
// A lane type V is a GCC vector of T, or T itself (scalar code, a CUDA thread). Arithmetic, comparison and
// `mask ? a : b` are the language's own, so everything else in this folder is written once for all of them.
// No std templates here: weak copies compiled for AVX-512 must not reach a machine without it.
#pragma once

#include "nc1fast/math.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace nc1fast {

// Panel width is kVectors lanes; `rows` x kVectors accumulators, operands included, just fit the register file.
inline constexpr int kVectors = 3;
struct Baseline {
  static constexpr int bytes = 16, rows = 4;
};
struct Avx2 {
  static constexpr int bytes = 32, rows = 4;
};
struct Avx512 {
  static constexpr int bytes = 64, rows = 8;
};

template <class T, class Isa>
struct VecOf {
  typedef T type __attribute__((vector_size(Isa::bytes)));
};
template <class T, class Isa>
using Vec = typename VecOf<T, Isa>::type;
template <class T, class Isa>
inline constexpr int kLanes = Isa::bytes / int(sizeof(T));
template <class T, class Isa>
inline constexpr int kPanel = kVectors * kLanes<T, Isa>;

template <class V>
[[gnu::always_inline]] inline V load(const Lane<V>* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
[[gnu::always_inline]] inline void store(Lane<V>* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

namespace math {

template <class V>
using Bits = decltype(V{} < V{});  // integer lanes of the same width
template <class V>
inline constexpr Lane<Bits<V>> kSignBit = Lane<Bits<V>>(1ull << (8 * sizeof(Lane<V>) - 1));

template <class V>
  requires(sizeof(V) > 8)
struct Ops<V> {
  [[gnu::always_inline]] static V abs(V v) {
    return V(Bits<V>(v) & ~kSignBit<V>);
  }
  [[gnu::always_inline]] static V copysign(V magnitude, V sign) {
    return V((Bits<V>(magnitude) & ~kSignBit<V>) | (Bits<V>(sign) & kSignBit<V>));
  }
  [[gnu::always_inline]] static V round(V v) {
    // |v| < 2^22 (float), 2^51 (double): adding and taking away 1.5 * 2^(mantissa bits) rounds to nearest.
    constexpr Lane<V> shift = sizeof(Lane<V>) == 4 ? Lane<V>(12582912.0) : Lane<V>(6755399441055744.0);
    return (v + shift) - shift;
  }
  // 2^n for integral n.
  [[gnu::always_inline]] static V exp2_int(V n) {
    constexpr int mantissa = sizeof(Lane<V>) == 4 ? 23 : 52;
    constexpr int bias = sizeof(Lane<V>) == 4 ? 127 : 1023;
    return V((__builtin_convertvector(n, Bits<V>) + bias) << mantissa);
  }

  // sqrt and 1/sqrt of w > 0 to about 1 ulp: one estimate refined by Newton steps where the machine has one.
  [[gnu::always_inline]] static Root<V> root(V w) {
    using T = Lane<V>;
    V r;
  #if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(T) == 8) {
      r = V(_mm512_rsqrt14_pd(__m512d(w)));
      const V y = T(0.5) * w;
      r = r * (T(1.5) - y * r * r);
      r = r + r * (T(0.5) - y * r * r);
      const V s = w * r;
      return {s + T(0.5) * r * (w - s * s), r};
    } else if constexpr (sizeof(V) == 64) {
      r = V(_mm512_rsqrt14_ps(__m512(w)));
      r = r + r * (T(0.5) - T(0.5) * w * r * r);
      return {w * r, r};
    } else
  #endif
  #if defined(__AVX2__)
        if constexpr (sizeof(V) == 32 && sizeof(T) == 8) {
      const V s = V(_mm256_sqrt_pd(__m256d(w)));
      return {s, T(1) / s};
    } else if constexpr (sizeof(V) == 32) {
      r = V(_mm256_rsqrt_ps(__m256(w)));
      r = r + r * (T(0.5) - T(0.5) * w * r * r);
      return {w * r, r};
    } else
  #endif
    {
      V s;
      for (int lane = 0; lane < int(sizeof(V) / sizeof(T)); ++lane) {
        if constexpr (sizeof(T) == 4)
          s[lane] = __builtin_sqrtf(w[lane]);
        else
          s[lane] = __builtin_sqrt(w[lane]);
      }
      return {s, T(1) / s};
    }
  }
};

}  // namespace math
}  // namespace nc1fast
