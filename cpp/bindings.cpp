// The module _core: everything on the processor.
#include <stdexcept>

#include "border.hpp"
#include "cpu.hpp"
#include "isa/isa.hpp"

namespace {

using namespace nc1fast;

struct OnCpu {
  template <class R, class... Args>
  auto operator()(R (*f)(const Backend&, Args...)) const {
    return [f](Args... args) { return f(cpu(), std::forward<Args>(args)...); };
  }
};

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
        Dense out({xm.n, xm.d});
        const Poll poll = make_poll(py::none());
        const double *a = inverse.data(), *t = factor.data();
        double* data = out.mutable_data();
        {
          const py::gil_scoped_release release;
          product(xm, spec, scale, a, t, int(factor.shape(1)), n_threads, poll, data);
        }
        return out;
      },
      "x"_a, "chain"_a, "scale"_a, "inverse"_a.noconvert(), "factor"_a, "n_threads"_a,
      "(k o A) X for A = scale inverse - factor factor^T (upper triangle of inverse) and the one kernel of a chain.");
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
