// Elementary functions for one lane type V, in the forms the dual activations need. Shared with CUDA.
//
// Everything is written in m = 1 - |rho|, the variable in which these functions are smooth once a root is taken
// out and in which nearly equal and nearly opposite rows keep their digits. Polynomials are interpolants at
// Chebyshev nodes (ci/coefficients.py); the error beside each is relative to the function, before rounding.
#pragma once

#if defined(__CUDACC__)
#define NC1FAST_HD __host__ __device__ __attribute__((always_inline))
#else
#define NC1FAST_HD [[gnu::always_inline]]
#endif

namespace nc1fast {

template <class V>
struct LaneOf {
  using type = decltype(+V{}[0]);
};
template <>
struct LaneOf<float> {
  using type = float;
};
template <>
struct LaneOf<double> {
  using type = double;
};
template <class V>
using Lane = typename LaneOf<V>::type;

template <class V>
NC1FAST_HD inline V splat(Lane<V> x) {
  return x - V{};  // folds to a broadcast
}
template <class V>
NC1FAST_HD inline V load(const Lane<V>* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
// b where a number is no number: what is bounded stands second, so that NaN stays NaN.
template <class V>
NC1FAST_HD inline V larger(V a, V b) {
  return a > b ? a : b;
}
template <class V>
NC1FAST_HD inline V smaller(V a, V b) {
  return a < b ? a : b;
}

namespace math {

inline constexpr double pi = 3.141592653589793238462643383279503;

// The smallest normal number.
template <class T>
inline constexpr T kSmallest = T(sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022);

// The operations that vary with the lane type: number.hpp has them for one number on the host, vec.hpp for vectors.
template <class V>
struct Ops;
template <class V>
NC1FAST_HD inline V abs(V v) {
  return Ops<V>::abs(v);
}
template <class V>
NC1FAST_HD inline V copysign(V magnitude, V sign) {
  return Ops<V>::copysign(magnitude, sign);
}
// Whether a number has the sign -, which -0 has too.
template <class V>
using Mask = decltype(V{} < V{});
template <class V>
NC1FAST_HD inline Mask<V> negative(V v) {
  return Ops<V>::negative(v);
}
// sqrt(w) and 1/sqrt(w) of w >= 0, each to about 1 ulp where w is a normal number. sqrt(0) is 0; rsqrt(0) is large but
// finite, so that 0 * rsqrt(0) is 0.
template <class V>
NC1FAST_HD inline V sqrt(V w) {
  return Ops<V>::sqrt(w);
}
template <class V>
NC1FAST_HD inline V rsqrt(V w) {
  return Ops<V>::rsqrt(w);
}
// 2 sqrt(w), to about 2 ulp: an operation less, where a factor 2 is free.
template <class V>
NC1FAST_HD inline V twice_sqrt(V w) {
  return Ops<V>::twice_sqrt(w);
}
// A bound on 1/sqrt(w) of a normal number w, from the estimate that these start from: at most 0.1 % more.
template <class V>
NC1FAST_HD inline V rsqrt_above(V w) {
  return Ops<V>::rsqrt_above(w);
}
// Estimates err by 1.5 2^-12 at most.
template <class T>
inline constexpr T kAboveEstimate = T(1.0005);

// (acos(1-m)/sqrt(m(2-m)) - 1)/m on [0, 1], in m - 1/2.     1.0e-16 | 3.8e-8
template <class T>
struct ArcTable {
  double c[20] = {0.418399152312290362,    0.217602260500558685,     0.122661015415354036,    0.0720723199292092376,
                  0.0434274873273444208,   0.0266124468234733055,    0.0165061775018107115,   0.0103309931914866348,
                  0.00651173210919226819,  0.0041276154716252196,    0.00262869394069650612,  0.0016803981071280703,
                  0.00107568005461828942,  0.000691769634841330924,  0.000457265486332673873, 0.000295470990054134535,
                  0.000152807012905198166, 0.0000989333686887326818, 0.000136567051246708076, 0.0000888964830361841407};
};
template <>
struct ArcTable<float> {
  float c[9] = {0.4183991523f, 0.2176015408f,  0.1226605563f,  0.07211041095f, 0.04345178368f,
                0.0260752573f, 0.01616357903f, 0.01305966624f, 0.008251405879f};
};
// [sqrt(m(2-m)) - (1-m) acos(1-m)]/(2 pi m^1.5) on [0, 1].     4.8e-17 | 1.7e-8
template <class T>
struct GapTable {
  double c[17] = {0.150052719359517683,     0.00750263596797339855,   0.00120578078080521401, 0.000279115912461049727,
                  0.0000777085873778876629, 0.0000242070365145982059, 8.15362659104627381e-6, 2.79851957400534449e-6,
                  1.42017361296892058e-6,   -5.85582445217170288e-7,  2.23580549961434909e-6, -3.13021027416402719e-6,
                  3.61498629994124619e-6,   -2.85972302979942313e-6,  1.56139861827995408e-6, -5.16016010513515884e-7,
                  8.24688093352401941e-8};
};
template <>
struct GapTable<float> {
  float c[7] = {0.1500527211f,    0.007502467681f,  0.001208418483f, 0.0002639242079f,
                0.0001181346624f, -2.804315748e-5f, 3.7317277e-5f};
};
// acos(1-m)/(pi sqrt m) on [0, 1].     2.0e-17 | 1.8e-8
template <class T>
struct TurnTable {
  double c[19] = {
      0.45015815807855304,      0.0375131798398756388,     0.00844046546442507138,   0.00251204327145293063,
      0.000854793042593238859,  0.000314710981173657577,   0.000122135514827882038,  0.0000485447951533726247,
      0.0000231954586754304428, -2.28731149601997976e-6,   0.0000346041998982255536, -0.0000652532699490785538,
      0.000110803272585980775,  -0.000136876259595142124,  0.00012754304139369471,   -0.0000855764818734166626,
      0.000039550537703703571,  -0.0000112612801384024759, 1.52710474018285798e-6};
};
template <>
struct TurnTable<float> {
  float c[8] = {0.450158153f,    0.03751382808f,  0.008427089512f,   0.002615466698f,
                0.000470735702f, 0.001062651139f, -0.0006336413341f, 0.0003857081116f};
};
// (asin(sqrt z)/sqrt z - 1)/z on [0, 1/4].     5.8e-17 | 1.8e-8
template <class T>
struct AsinTable {
  double c[12] = {0.166666666666666486,   0.0750000000002076436, 0.0446428571034236434,  0.0303819473670984811,
                  0.0223720476317445104,  0.0173552599557863217, 0.0139296529023266332,  0.0118754943826369232,
                  0.00780294947735331714, 0.0160355143491488231, -0.0107490503396978076, 0.0281692180608814129};
};
template <>
struct AsinTable<float> {
  float c[5] = {0.1666667241f, 0.07498855073f, 0.04500138007f, 0.02655454221f, 0.03808502356f};
};
// (expm1(r) - r)/r^2 on |r| <= log(2)/2.     4.8e-19 | 2.3e-8
template <class T>
struct ExpTable {
  double c[11] = {0.5,
                  0.16666666666666671,
                  0.0416666666666666698,
                  0.00833333333332614088,
                  0.00138888888888837524,
                  0.00019841269874800492,
                  0.0000248015873255333638,
                  2.75572554257464343e-6,
                  2.75572736613486362e-7,
                  2.51052063739570111e-8,
                  2.09146793765839351e-9};
};
template <>
struct ExpTable<float> {
  float c[5] = {0.5f, 0.1666657703f, 0.04166655466f, 0.008363173075f, 0.001392617612f};
};
// (sin(x)/x - 1)/x^2 on [0, pi/8], in x^2.     4e-18 | 4.9e-11
template <class T>
struct SinTable {
  double c[5] = {-0.166666666666666639, 0.00833333333332447998, -0.000198412697953382379, 2.75572358128708578e-6,
                 -2.49902695501270937e-8};
};
template <>
struct SinTable<float> {
  float c[3] = {-0.1666666664f, 0.008333296544f, -0.00019777625f};
};

// sum_k c[k] x^k: a short sum by Horner's chain, a long one as even and odd halves in x^2, which take half the time to
// the end.
template <class V, class T, int N>
NC1FAST_HD inline V poly(V x, const T (&c)[N]) {
  if constexpr (N <= 9) {
    V sum = splat<V>(c[N - 1]);
#pragma GCC unroll 16
    for (int k = N - 2; k >= 0; --k) sum = sum * x + c[k];
    return sum;
  }
  const V y = x * x;
  V even = splat<V>(c[(N - 1) & ~1]), odd = splat<V>(c[(N - 2) | 1]);
#pragma GCC unroll 16
  for (int k = ((N - 1) & ~1) - 2; k >= 0; k -= 2) even = even * y + c[k];
#pragma GCC unroll 16
  for (int k = ((N - 2) | 1) - 2; k >= 1; k -= 2) odd = odd * y + c[k];
  return odd * x + even;
}

// The angle theta in [0, pi/2] with cos theta = 1 - m:
//   gap = sin theta - theta cos theta = O(m^1.5), without cancellation, from the same polynomial and root.
template <class V>
struct Arc {
  V theta, gap, sin;
};
template <class V>
NC1FAST_HD inline Arc<V> arc(V m) {
  using T = Lane<V>;
  const V s = sqrt(m * (T(2) - m));  // exactly 0 at m = 0
  const V a = poly(m - T(0.5), ArcTable<T>{}.c);
  const V sm = s * m;
  return {sm * a + s, sm * (T(1) - (T(1) - m) * a), s};
}

// (sin theta - theta cos theta)/pi of the same angle, without the angle; root = 2 sqrt(m).
template <class V>
NC1FAST_HD inline V gap(V m, V root) {
  return m * root * poly(m, GapTable<Lane<V>>{}.c);
}
template <class V>
NC1FAST_HD inline V gap(V m) {
  return gap(m, twice_sqrt(m));
}

// asin of n, given m = 1 - |n| with all its digits. Relative accuracy at both ends.
template <class V>
NC1FAST_HD inline V asin(V n, V m) {
  using T = Lane<V>;
  const V x = abs(n);
  const auto near_one = m < T(0.5);
  const V z = near_one ? T(0.5) * m : x * x;
  const V b = near_one ? sqrt(m + m) : x;
  const V a = b * z * poly(z, AsinTable<T>{}.c) + b;
  return copysign(near_one ? T(0.5 * pi) - a : a, n);
}

// exp(x) - 1 as scale * p + (scale - 1); exp(x) = scale * p + scale. x is clipped to the range of normal numbers; below
// it exp is 0.
template <class V>
struct Exp {
  V scale, p;
  NC1FAST_HD V exp() const { return scale * p + scale; }
  NC1FAST_HD V expm1() const { return scale * p + (scale - Lane<V>(1)); }
};
template <class V>
NC1FAST_HD inline Exp<V> exp(V x) {
  using T = Lane<V>;
  constexpr T bound = sizeof(T) == 4 ? T(87) : T(708);
  constexpr T log2_high = sizeof(T) == 4 ? T(0.693359375) : T(6.93147180369123816490e-01);
  constexpr T log2_low = sizeof(T) == 4 ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
  const auto vanishes = x < -bound;
  x = smaller(splat<V>(bound), larger(splat<V>(-bound), x));
  const V n = Ops<V>::round(x * T(1.4426950408889634074));
  const V r = (x - n * log2_high) - n * log2_low;
  return {vanishes ? splat<V>(0) : Ops<V>::exp2_int(n), r * r * poly(r, ExpTable<T>{}.c) + r};
}

// sin x for |x| <= pi/8.
template <class V>
NC1FAST_HD inline V sin_small(V x) {
  const V y = x * x;
  return x * y * poly(y, SinTable<Lane<V>>{}.c) + x;
}

}  // namespace math
}  // namespace nc1fast
