// The functions of nc1fast/math.hpp over arrays: what scalar_functions.py compiles, once for each lane type, and calls.
// -DISA=Baseline, Avx2, Avx512: vectors of that instruction set; -DISA=Number: one number on the host.
#include <cstddef>
#include <string_view>

#include "nc1fast/number.hpp"
#include "nc1fast/vec.hpp"

namespace {
using namespace nc1fast;

struct Number;
template <class T, class Isa>
struct LanesOf : VecOf<T, Isa> {};
template <class T>
struct LanesOf<T, Number> {
  using type = T;
};
template <class V, int N>
struct Values {
  V v[N];
};

// out (N, n) = f(x, y), N values of each pair of arguments. n is a multiple of the number of lanes.
template <class V, class F>
bool each(std::ptrdiff_t n, const Lane<V>* x, const Lane<V>* y, Lane<V>* out, const F& f) {
  for (std::ptrdiff_t i = 0; i < n; i += sizeof(V) / sizeof(Lane<V>)) {
    const auto values = f(load<V>(x + i), load<V>(y + i));
    for (std::size_t k = 0; k < sizeof values / sizeof(V); ++k)
      __builtin_memcpy(out + k * n + i, &values.v[k], sizeof(V));
  }
  return true;
}

// False where there is no function of this name.
template <class V>
bool evaluate(std::string_view name, std::ptrdiff_t n, const Lane<V>* x, const Lane<V>* y, Lane<V>* out) {
  const auto with = [&](const auto& f) { return each<V>(n, x, y, out, f); };
  if (name == "arc")
    return with([](V m, V) {
      const math::Arc<V> a = math::arc(m);
      return Values<V, 3>{{a.theta, a.gap, a.sin}};
    });
  if (name == "gap") return with([](V m, V) { return Values<V, 1>{{math::gap(m)}}; });
  if (name == "asin") return with([](V s, V m) { return Values<V, 1>{{math::asin(s, m)}}; });
  if (name == "exp") return with([](V v, V) { return Values<V, 1>{{math::exp(v).exp()}}; });
  if (name == "expm1") return with([](V v, V) { return Values<V, 1>{{math::exp(v).expm1()}}; });
  if (name == "sin_small") return with([](V v, V) { return Values<V, 1>{{math::sin_small(v)}}; });
  if (name == "sqrt") return with([](V w, V) { return Values<V, 1>{{math::sqrt(w)}}; });
  if (name == "rsqrt_above") return with([](V w, V) { return Values<V, 1>{{math::rsqrt_above(w)}}; });
  if (name == "rsqrt") return with([](V w, V) { return Values<V, 1>{{math::rsqrt(w)}}; });
  return false;
}
}  // namespace

extern "C" bool evaluate_float64(const char* name, std::ptrdiff_t n, const double* x, const double* y, double* out) {
  return evaluate<LanesOf<double, ISA>::type>(name, n, x, y, out);
}
extern "C" bool evaluate_float32(const char* name, std::ptrdiff_t n, const float* x, const float* y, float* out) {
  using V = LanesOf<float, ISA>::type;
  if constexpr (sizeof(V) > sizeof(float))
    return evaluate<V>(name, n, x, y, out);
  else
    return false;
}
