// The whole border between Python and C++. Arrays arrive checked, contiguous and of the right type (_backend.py);
// here they become views, the GIL is released, and what comes back becomes arrays that own their memory.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "engine.hpp"
#include "isa/isa.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace nc1fast {
namespace {

using Dense = py::array_t<double, py::array::c_style>;

Matrix as_matrix(const py::array& x) {
  const bool single = py::isinstance<py::array_t<float>>(x);
  if (x.ndim() != 2 || !(single || py::isinstance<py::array_t<double>>(x)) || x.strides(1) != x.itemsize())
    throw py::type_error("a matrix of float32 or float64 with contiguous rows is expected");
  return {x.data(), single, x.shape(0), x.shape(1), x.strides(0) / x.itemsize()};
}

ChainSpec as_chain(const py::dict& d) {
  ChainSpec chain;
  chain.activation = d["activation"].cast<std::string>();
  chain.parameter = d["parameter"].cast<double>();
  chain.weights = d["weights"].cast<std::vector<double>>();
  chain.biases = d["biases"].cast<std::vector<double>>();
  chain.tangent = d["tangent"].cast<bool>();
  chain.theta_scale = d["theta_scale"].cast<double>();
  chain.theta_offset = d["theta_offset"].cast<double>();
  chain.coefficients = d["coefficients"].cast<std::vector<std::array<double, 3>>>();
  for (const auto& [level, tangent, alpha, beta] :
       d["outputs"].cast<std::vector<std::tuple<int, bool, double, double>>>())
    chain.outputs.push_back({level, tangent ? Quantity::tangent : Quantity::covariance, alpha, beta});
  const auto n = std::size_t(chain.n_duals());
  if (n >= kMaxLevels || chain.weights.size() < std::max<std::size_t>(n, 1) ||
      chain.biases.size() != chain.weights.size() || (chain.tangent && chain.coefficients.size() < n))
    throw std::invalid_argument("a chain needs its layers, at most " + std::to_string(kMaxLevels - 1));
  return chain;
}

// Signals are looked at and `progress` is called, with the GIL, from the calling thread.
Poll make_poll(const py::object& progress) {
  return [progress](std::int64_t done, std::int64_t total) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress.is_none()) progress(done, total);
    return true;
  };
}

template <class T>
py::array_t<T> owned(std::vector<T>&& values, std::vector<py::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  return py::array_t<T>(std::move(shape), kept->data(),
                        py::capsule(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); }));
}

// A 128-bit integer a as (a >> 60, a & (2^60 - 1)).
py::array_t<std::int64_t> halves(const std::vector<Int128>& values, py::ssize_t n) {
  std::vector<std::int64_t> out;
  out.reserve(2 * values.size());
  for (const Int128 v : values) {
    out.push_back(std::int64_t(v >> 60));
    out.push_back(std::int64_t(v & ((Int128(1) << 60) - 1)));
  }
  return owned(std::move(out), {values.empty() ? 0 : n, values.empty() ? 0 : n, 2});
}

py::list py_class_sums(const py::array& x, const py::array_t<std::int64_t, py::array::c_style>& order,
                       const std::vector<std::int64_t>& sizes, const std::vector<py::dict>& chains, bool single_within,
                       bool single_between, bool row_sums, int n_threads, int part, int parts, int tile_panels,
                       const py::object& progress) {
  const Matrix matrix = as_matrix(x);
  std::vector<ChainSpec> specs;
  std::size_t n_kernels = 0;
  for (const py::dict& chain : chains) {
    specs.push_back(as_chain(chain));
    n_kernels += specs.back().outputs.size();
  }
  std::int64_t n = 0;
  for (const std::int64_t size : sizes) n += size;
  if (n != order.size() || n > matrix.n || sizes.empty() || specs.empty() || parts < 1 || part < 0 || part >= parts)
    throw std::invalid_argument("order, sizes, chains and parts do not fit");
  const py::ssize_t c = py::ssize_t(sizes.size());
  std::vector<py::array_t<std::int64_t>> rows;
  std::vector<std::int64_t*> row_pointers(n_kernels, nullptr);
  for (std::size_t k = 0; row_sums && k < n_kernels; ++k) {
    rows.emplace_back(std::vector<py::ssize_t>{c, n});
    std::fill_n(rows.back().mutable_data(), c * n, std::int64_t(0));
    row_pointers[k] = rows.back().mutable_data();
  }
  Options options{single_within, single_between, row_sums, n_threads, part, parts, tile_panels, make_poll(progress)};
  std::vector<KernelSums> sums;
  {
    const py::gil_scoped_release release;
    class_sums(matrix, order.data(), sizes, specs, options, sums, row_pointers);
  }
  py::list out;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    KernelSums& s = sums[k];
    const auto vector = [](std::vector<double>& v) {
      const py::ssize_t size = py::ssize_t(v.size());
      return owned(std::move(v), {size});
    };
    const auto square = [c](std::vector<int>& v) {
      const py::ssize_t size = v.empty() ? 0 : c;
      return owned(std::move(v), {size, size});
    };
    py::dict d;
    d["block"] = halves(s.block, c);
    d["exponent"] = square(s.exponent);
    d["sensitivity"] = halves(s.sensitivity, c);
    d["sensitivity_exponent"] = square(s.sensitivity_exponent);
    d["traces"] = vector(s.traces);
    d["slopes"] = vector(s.slopes);
    d["slope_squares"] = vector(s.slope_squares);
    d["sensitivity_diagonal"] = vector(s.sensitivity_diagonal);
    d["spread_slopes"] = vector(s.spread_slopes);
    if (row_sums) {
      d["k"] = vector(s.k);
      d["rows"] = rows[k];
      d["row_scale"] = vector(s.row_scale);
      d["column_scale"] = vector(s.column_scale);
      d["row_scale_within"] = vector(s.row_scale_within);
    }
    out.append(d);
  }
  return out;
}

template <class T>
py::array_t<T> py_gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads,
                       const py::object& progress) {
  py::array_t<T> out({x.n, z.data ? z.n : x.n});
  const Poll poll = make_poll(progress);
  T* data = out.mutable_data();
  {
    const py::gil_scoped_release release;
    gram<T>(x, z, chain, n_threads, poll, data);
  }
  return out;
}

template <class... Act>
std::vector<std::string> names(List<Act...>) {
  return {Act::name...};
}

}  // namespace
}  // namespace nc1fast

PYBIND11_MODULE(_core, m) {
  using namespace nc1fast;
  m.doc() = "Compiled core of nc1fast: the streaming pass, Gram matrices and diagonals.";
  m.def("class_sums", &py_class_sums, "x"_a, "order"_a, "sizes"_a, "chains"_a, "single_within"_a, "single_between"_a,
        "row_sums"_a, "n_threads"_a, "part"_a, "parts"_a, "tile_panels"_a, "progress"_a,
        "Integer class sums of every kernel of the chains, with the diagonals and bounds that scale them.");
  m.def(
      "gram",
      [](const py::array& x, const std::optional<py::array>& z, const py::dict& chain, bool single, int n_threads,
         const py::object& progress) -> py::array {
        const Matrix xm = as_matrix(x), zm = z ? as_matrix(*z) : Matrix{};
        if (z && zm.d != xm.d) throw std::invalid_argument("x and z have different numbers of features");
        const ChainSpec spec = as_chain(chain);
        if (single) return py_gram<float>(xm, zm, spec, n_threads, progress);
        return py_gram<double>(xm, zm, spec, n_threads, progress);
      },
      "x"_a, "z"_a, "chain"_a, "single"_a, "n_threads"_a, "progress"_a, "Gram matrix of the one kernel of a chain.");
  m.def(
      "product",
      [](const py::array& x, const py::dict& chain, double scale, const Dense& inverse, const Dense& factor,
         int n_threads) {
        const Matrix xm = as_matrix(x);
        if (xm.single || inverse.ndim() != 2 || inverse.shape(0) != xm.n || inverse.shape(1) != xm.n ||
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
  m.def(
      "diagonal",
      [](const py::array& x, const py::dict& chain) {
        const Matrix xm = as_matrix(x);
        py::array_t<double> out(xm.n);
        diagonal(xm, as_chain(chain), out.mutable_data());
        return out;
      },
      "x"_a, "chain"_a, "k(x_i, x_i) of the one kernel of a chain.");
  m.def("activations", [] { return names(Activations{}); }, "Names of the dual activations.");
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
