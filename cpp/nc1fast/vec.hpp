// The only file that knows SIMD: lane types per instruction set, and the few operations that vary with it.
//
// A lane type V is a GCC vector of T, or T itself (scalar code, a CUDA thread). Arithmetic, comparison and
// `mask ? a : b` are the language's own, so everything else in this folder is written once for all of them.
// No std templates here: weak copies compiled for AVX-512 must not reach a machine without it.
#pragma once

#include "nc1fast/math.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace nc1fast {

// Panel width is kVectors lanes; `rows` x kVectors accumulators, operands included, just fit the register file.
inline constexpr int kVectors = 3;
struct Baseline {
  static constexpr int bytes = 16, rows = 3;
};
struct Neon {
  static constexpr int bytes = 16, rows = 6;
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
[[gnu::always_inline]] inline void store(Lane<V>* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// a[0], b[0], a[1], b[1], ... as far as one vector goes, from the first half of each or from the second.
template <class V>
[[gnu::always_inline]] inline V zip_first(V a, V b) {
  if constexpr (sizeof(V) / sizeof(Lane<V>) == 2)
    return __builtin_shufflevector(a, b, 0, 2);
  else if constexpr (sizeof(V) / sizeof(Lane<V>) == 4)
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else if constexpr (sizeof(V) / sizeof(Lane<V>) == 8)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  else
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
template <class V>
[[gnu::always_inline]] inline V zip_second(V a, V b) {
  if constexpr (sizeof(V) / sizeof(Lane<V>) == 2)
    return __builtin_shufflevector(a, b, 1, 3);
  else if constexpr (sizeof(V) / sizeof(Lane<V>) == 4)
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  else if constexpr (sizeof(V) / sizeof(Lane<V>) == 8)
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  else
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// x[r][c] becomes x[c][r]. Each round turns the bits of the number (r, c) by one place; half of them turn all.
template <class V, int N>
[[gnu::always_inline]] inline void transpose(V (&x)[N]) {
  static_assert(sizeof(V) / sizeof(Lane<V>) == N, "a square");
#pragma GCC unroll 4
  for (int n = N; n > 1; n /= 2) {
    V y[N];
#pragma GCC unroll 8
    for (int k = 0; k < N / 2; ++k) {
      y[2 * k] = zip_first(x[k], x[k + N / 2]);
      y[2 * k + 1] = zip_second(x[k], x[k + N / 2]);
    }
#pragma GCC unroll 16
    for (int k = 0; k < N; ++k) x[k] = y[k];
  }
}

namespace math {

template <class V>
using Bits = Mask<V>;  // integer lanes of the same width
template <class V>
inline constexpr Lane<Bits<V>> kSignBit = Lane<Bits<V>>(1ull << (8 * sizeof(Lane<V>) - 1));

// AVX-512 has rsqrt14 for both types, AVX2 rsqrt for float, NEON 8 bits of both.
#if defined(__aarch64__)
template <class V>
inline constexpr bool kHasEstimate = sizeof(V) == 16;
#else
template <class V>
inline constexpr bool kHasEstimate = sizeof(V) == 64 || (sizeof(V) == 32 && sizeof(Lane<V>) == 4);
#endif

// Integers of 64 bits are compared lane by lane without an instruction that does.
#if defined(__x86_64__) && !defined(__SSE4_2__)
inline constexpr bool kCompares64 = false;
#else
inline constexpr bool kCompares64 = true;
#endif

template <class V>
  requires(sizeof(V) > 8)
struct Ops<V> {
  [[gnu::always_inline]] static V abs(V v) { return V(Bits<V>(v) & ~kSignBit<V>); }
  // As one operation of three operands, where there is such a one.
  [[gnu::always_inline]] static V copysign(V magnitude, V sign) {
    return V(Bits<V>(magnitude) ^ ((Bits<V>(magnitude) ^ Bits<V>(sign)) & kSignBit<V>));
  }
  [[gnu::always_inline]] static Mask<V> negative(V v) {
    if constexpr (sizeof(Lane<V>) == 8 && !kCompares64) return copysign(V{} + 1, v) < 0;
    return Bits<V>(v) < 0;
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

  // 1/sqrt(w) of a few good bits, where the machine has such an instruction.
  static constexpr bool estimates = kHasEstimate<V>;

  // The estimate y, finite at w = 0, where s stays 0, and a step of order one (float) or three (double) in
  // e = 1 - w y^2.
  [[gnu::always_inline]] static V sqrt(V w) {
    using T = Lane<V>;
    if constexpr (estimates) {
      const V y = estimate(w), s = w * y, e = T(1) - s * y;
      if constexpr (sizeof(T) == 8) return s + s * third_order(e);
      return s + T(0.5) * y * (w - s * s);
    } else {
      return exact_sqrt(w);
    }
  }
  [[gnu::always_inline]] static V rsqrt(V w) {
    using T = Lane<V>;
    if constexpr (estimates) {
      const V y = estimate(w);
      if constexpr (sizeof(T) == 8) return y + y * third_order(T(1) - w * y * y);
      return y + y * (T(0.5) - T(0.5) * w * y * y);
    } else {
      return T(1) / exact_sqrt(larger(splat<V>(kSmallest<T>), w));
    }
  }

  // The step factored: 2 s (1 + e/2) = s (3 - s y).
  [[gnu::always_inline]] static V twice_sqrt(V w) {
    using T = Lane<V>;
    if constexpr (estimates) {
      const V y = estimate(w), s = w * y;
      if constexpr (sizeof(T) == 4) return s * (T(3) - s * y);
      const V e = T(1) - s * y;
      return s * (T(2) + e * (T(1) + e * (T(0.75) + T(0.625) * e)));
    } else {
      return T(2) * exact_sqrt(w);
    }
  }

  [[gnu::always_inline]] static V rsqrt_above(V w) {
    if constexpr (estimates) return kAboveEstimate<Lane<V>> * estimate(w);
    return kAboveEstimate<Lane<V>> * rsqrt(w);
  }

 private:
  // (1 - e)^(-1/2) - 1, to e^4.
  [[gnu::always_inline]] static V third_order(V e) {
    using T = Lane<V>;
    return e * (T(0.5) + e * (T(0.375) + T(0.3125) * e));
  }
  // Neither guard of 0 takes a place of the multiplications that an addition would not: `w | 1` is w or the number next
  // to it, of which an estimate knows nothing; rsqrt of AVX2 takes subnormal numbers for 0.
  [[gnu::always_inline]] static V estimate(V w) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64) {
      if constexpr (sizeof(Lane<V>) == 4)
        return V(_mm512_rsqrt14_ps(__m512(Bits<V>(w) | 1)));
      else
        return V(_mm512_rsqrt14_pd(__m512d(Bits<V>(w) | 1)));
    }
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(Lane<V>) == 4)
      return V(_mm256_rsqrt_ps(_mm256_max_ps(__m256(w), _mm256_set1_ps(kSmallest<float>))));
#endif
#if defined(__aarch64__)
    const V positive = V(Bits<V>(w) | 1);
    if constexpr (sizeof(Lane<V>) == 4) {
      const float32x4_t y = vrsqrteq_f32(float32x4_t(positive));
      return V(y * vrsqrtsq_f32(float32x4_t(positive) * y, y));
    } else {
      const float64x2_t y = vrsqrteq_f64(float64x2_t(positive));
      return V(y * vrsqrtsq_f64(float64x2_t(positive) * y, y));
    }
#endif
    return w;
  }
  [[gnu::always_inline]] static V exact_sqrt(V w) {
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(Lane<V>) == 8) return V(_mm256_sqrt_pd(__m256d(w)));
#endif
    V s;
    for (int lane = 0; lane < int(sizeof(V) / sizeof(Lane<V>)); ++lane) {
      if constexpr (sizeof(Lane<V>) == 4)
        s[lane] = __builtin_sqrtf(w[lane]);
      else
        s[lane] = __builtin_sqrt(w[lane]);
    }
    return s;
  }
};

}  // namespace math
}  // namespace nc1fast
