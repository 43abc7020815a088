// The module _core: everything on the processor.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "border.hpp"
#include "cholesky.hpp"
#include "cpu.hpp"
#include "isa/isa.hpp"

namespace {

using namespace nc1fast;
namespace py = pybind11;

struct OnCpu {
  template <class R, class... Args>
  auto operator()(R (*f)(const Backend&, Args...)) const {
    return [f](Args... args) { return f(Cpu(), std::forward<Args>(args)...); };
  }
};

// a (n, k) b (k, m), of any strides.
template <class T>
py::array_t<T> matmul(const py::array& a, const py::array& b, int n_threads) {
  const auto step = [](const py::array& x, int axis) { return x.strides(axis) / py::ssize_t(sizeof(T)); };
  const Cpu cpu;
  py::array_t<T> out({a.shape(0), b.shape(1)});
  const MatrixProduct<T> of{out.shape(0),
                            out.shape(1),
                            a.shape(1),
                            static_cast<const T*>(a.data()),
                            step(a, 0),
                            step(a, 1),
                            static_cast<const T*>(b.data()),
                            step(b, 0),
                            step(b, 1),
                            out.mutable_data(),
                            out.shape(1),
                            1};
  const Poll poll = border::make_poll(py::none());
  {
    const py::gil_scoped_release release;
    cpu.matmul(of, n_threads, poll);
  }
  return out;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  using namespace nc1fast::border;
  m.doc() = "Compiled core of nc1fast: the streaming pass, Gram matrices and diagonals.";
  define_common(m);
  define(m, OnCpu{});
  m.def(
      "product",
      [](const py::array& x, const py::dict& chain, double scale, const Dense& inverse, const Dense& factor,
         int n_threads) {
        const Matrix xm = as_matrix(x);
        if (xm.element != Element::f64 || inverse.ndim() != 2 || inverse.shape(0) != xm.n || inverse.shape(1) != xm.n ||
            factor.ndim() != 2 || factor.shape(0) != xm.n)
          throw std::invalid_argument("x (n, d), inverse (n, n) and factor (n, p), all float64, are expected");
        const ChainSpec spec = as_chain(chain);
        const Cpu cpu;
        Dense out({xm.n, xm.d});
        const Poll poll = make_poll(py::none());
        const double *a = inverse.data(), *t = factor.data();
        double* data = out.mutable_data();
        {
          const py::gil_scoped_release release;
          cpu.product(xm, spec, scale, a, t, int(factor.shape(1)), n_threads, poll, data);
        }
        return out;
      },
      "x"_a, "chain"_a, "scale"_a, "inverse"_a.noconvert(), "factor"_a, "n_threads"_a,
      "(k o A) X for A = scale inverse - factor factor^T (upper triangle of inverse) and the one kernel of a chain.");
  m.def(
      "matmul",
      [](const py::array& a, const py::array& b, int n_threads) -> py::array {
        const auto both = [&](auto type) {
          using Array = py::array_t<decltype(type)>;
          return py::isinstance<Array>(a) && py::isinstance<Array>(b);
        };
        const auto whole = [](const py::array& x) {
          return x.strides(0) % x.itemsize() == 0 && x.strides(1) % x.itemsize() == 0;
        };
        if (a.ndim() != 2 || b.ndim() != 2 || a.shape(1) != b.shape(0) || !whole(a) || !whole(b))
          throw std::invalid_argument("matrices (n, k) and (k, m) are expected");
        if (both(float())) return matmul<float>(a, b, n_threads);
        if (both(double())) return matmul<double>(a, b, n_threads);
        throw py::type_error("two matrices of float32 or of float64 are expected");
      },
      "a"_a, "b"_a, "n_threads"_a, "A B, whose bits depend on no thread.");
  m.def(
      "cholesky",
      [](const Dense& a) {
        if (a.ndim() != 2 || a.shape(0) != a.shape(1)) throw std::invalid_argument("a square matrix is expected");
        const py::ssize_t n = a.shape(0);
        Dense out({n, n});
        double* l = out.mutable_data();
        std::fill_n(l, n * n, 0.0);
        bool definite = false;
        {
          const py::gil_scoped_release release;
          std::vector<double> rest(std::size_t(n * n));
          definite = nc1fast::cholesky(a.data(), n, l, rest.data());
        }
        if (!definite) throw std::invalid_argument("the matrix is not positive definite");
        return out;
      },
      "a"_a.noconvert(), "Lower triangular L with L L^T = A, each entry rounded once.");
  m.def("isa", [] { return std::string(isa::selected().name); }, "The instruction set in use.");
  m.def(
      "isas",
      [] {
        std::vector<std::string> sets;
        for (const InstructionSet* set : isa::available()) sets.emplace_back(set->name);
        return sets;
      },
      "The instruction sets that this machine runs, the best one last.");
}
