// The module _core: everything on the processor.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "border.hpp"
#include "cholesky.hpp"
#include "cpu.hpp"
#include "isa/isa.hpp"
#include "moments.hpp"
#include "recurrent.hpp"

namespace {

using namespace nc1fast;
namespace py = pybind11;
using border::Dense;

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

// One side of a product: factors of its rows (n, k), scales (n,) and integer sums (k, n), which may lie in wider
// arrays.
using OperandTuple =
    std::tuple<std::optional<py::array>, std::optional<Dense>, std::optional<py::array_t<std::int64_t>>>;
struct Operand {
  std::optional<py::array> factors;
  std::optional<Dense> scale;
  std::optional<py::array_t<std::int64_t>> sums;
};

template <class T>
const T* factors_of(const Operand& side, py::ssize_t n, py::ssize_t k) {
  if (!side.factors) return nullptr;
  const py::array& f = *side.factors;
  if (!py::isinstance<py::array_t<T, py::array::c_style>>(f) || f.ndim() != 2 || f.shape(0) != n || f.shape(1) != k)
    throw std::invalid_argument("factors (n, k) of the type of the product are expected");
  return static_cast<const T*>(f.data());
}

ProductSums sums_of(Operand& side, py::ssize_t n, py::ssize_t k) {
  if (!side.sums) return {};
  py::array_t<std::int64_t>& sums = *side.sums;
  if (sums.ndim() != 2 || sums.shape(0) != k || sums.shape(1) != n || sums.strides(1) != sums.itemsize() ||
      !side.scale || side.scale->size() != n)
    throw std::invalid_argument("sums (k, n) and scales (n,) are expected");
  return {sums.mutable_data(), sums.strides(0) / sums.itemsize(), side.scale->data()};
}

template <class T>
void multiply(const py::array& x, const std::optional<py::array>& z, const py::dict& kernel, Operand& rows,
              Operand& columns, const Dense& factor_scale, int tile_rows, int n_threads, const py::object& progress) {
  const Matrix xm = border::as_matrix(x), zm = z ? border::as_matrix(*z) : Matrix{};
  const py::ssize_t k = factor_scale.size(), n_columns = z ? zm.n : xm.n;
  KernelProduct<T> product;
  product.with = {int(k), factors_of<T>(columns, n_columns, k), factors_of<T>(z ? rows : columns, xm.n, k)};
  product.factor_scale = factor_scale.data();
  product.rows = sums_of(rows, xm.n, k);
  product.columns = sums_of(columns, n_columns, k);
  product.tile_rows = tile_rows;
  if ((z && zm.d != xm.d) || !product.with.of_columns || !product.rows.sums || tile_rows < 1 ||
      tile_rows % kRowStep != 0 || (z && !product.with.of_rows == !!product.columns.sums))
    throw std::invalid_argument("the sides of a product do not fit");
  const Kernels spec = border::as_kernel(kernel);
  const Cpu cpu;
  const Poll poll = border::make_poll(progress);
  const py::gil_scoped_release release;
  cpu.multiply(xm, zm, spec, product, n_threads, poll);
}

// Rows of all sequences (n, m); where each sequence begins and how long it is, (n_sequences,).
using Indices = py::array_t<std::int64_t, py::array::c_style>;
using SequencesTuple = std::tuple<Dense, Indices, Indices>;

Sequences as_sequences(const SequencesTuple& given, py::ssize_t m) {
  const auto& [steps, begins, lengths] = given;
  const Sequences x{steps.data(), begins.data(), lengths.data(), begins.size()};
  bool fits = steps.ndim() == 2 && steps.shape(1) == m && lengths.size() == x.n && m > 0;
  for (std::ptrdiff_t i = 0; fits && i < x.n; ++i)
    fits = x.begins[i] >= 0 && x.lengths[i] > 0 && x.begins[i] <= steps.shape(0) - x.lengths[i];
  if (!fits) throw std::invalid_argument("steps (n, m), begins and lengths of sequences do not fit");
  return x;
}

// (weight, input, bias, readout), and whether it is the NTK.
RecurrentKernel as_recurrent(const std::array<double, 4>& variances, bool tangent, const SequencesTuple& x) {
  const Dense& steps = std::get<0>(x);
  if (steps.ndim() != 2) throw std::invalid_argument("steps (n, m) are expected");
  return {variances[0], variances[1], variances[2], variances[3], tangent, int(steps.shape(1))};
}

template <class T>
py::tuple recurrent_block(const RecurrentKernel& kernel, const Sequences& x, const Sequences& z, bool errors,
                          int n_threads, const py::object& progress) {
  const InstructionSet& set = isa::selected();
  const py::ssize_t n_columns = z.steps ? z.n : x.n;
  py::array_t<T> values({py::ssize_t(x.n), n_columns});
  Dense off({errors ? py::ssize_t(x.n) : 0, n_columns});
  T* to = values.mutable_data();
  double* to_errors = errors ? off.mutable_data() : nullptr;
  const Poll poll = border::make_poll(progress);
  {
    const py::gil_scoped_release release;
    nc1fast::recurrent<T>(routines<T>(set), kernel, x, z, n_threads, poll, to, to_errors);
  }
  return py::make_tuple(values, off);
}

// Rows (n, d), whose numbers lie side by side.
template <class T, class S>
void add_rows(const py::array& rows, const py::array_t<std::int64_t, py::array::c_style>& classes,
              const std::array<py::array, 6>& sums, int n_threads) {
  const auto& [sizes, longest, squares, shift, high, low] = sums;
  const py::ssize_t n = rows.shape(0), d = rows.shape(1), n_classes = sizes.size();
  const auto is = [](const py::array& x, auto type, std::initializer_list<py::ssize_t> shape) {
    return py::isinstance<py::array_t<decltype(type), py::array::c_style>>(x) && x.writeable() &&
           x.ndim() == py::ssize_t(shape.size()) && std::equal(shape.begin(), shape.end(), x.shape());
  };
  if (!is(sizes, 0.0, {n_classes}) || !is(longest, 0.0, {1}) || !is(squares, 0.0, {2, n_classes}) ||
      !is(shift, S(), {n_classes, d}) || !is(high, 0.0, {n_classes, d}) || !is(low, 0.0, {n_classes, d}) ||
      classes.ndim() != 1 || classes.size() != n || (d > 1 && rows.strides(1) != rows.itemsize()) ||
      rows.strides(0) % rows.itemsize() != 0)
    throw std::invalid_argument("rows (n, d), classes (n,) and sums of classes do not fit");
  const auto numbers = [](const py::array& x) { return static_cast<double*>(const_cast<void*>(x.data())); };
  const MomentSums<S> to{n_classes,        d,
                         numbers(sizes),   numbers(longest),
                         numbers(squares), static_cast<S*>(const_cast<void*>(shift.data())),
                         numbers(high),    numbers(low)};
  const InstructionSet& set = isa::selected();
  const T* from = static_cast<const T*>(rows.data());
  const std::int64_t* of = classes.data();
  const std::ptrdiff_t stride = rows.strides(0) / rows.itemsize();
  const py::gil_scoped_release release;
  nc1fast::add_rows<T, S>(set, from, n, stride, of, n_threads, to);
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
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
      "multiply",
      [](const py::array& x, const std::optional<py::array>& z, const py::dict& kernel, bool single,
         const OperandTuple& rows, const OperandTuple& columns, const Dense& factor_scale, int tile_rows, int n_threads,
         const py::object& progress) {
        Operand of_rows = std::make_from_tuple<Operand>(rows), of_columns = std::make_from_tuple<Operand>(columns);
        const auto run = single ? &multiply<float> : &multiply<double>;
        run(x, z, kernel, of_rows, of_columns, factor_scale, tile_rows, n_threads, progress);
      },
      "x"_a, "z"_a, "kernel"_a, "single"_a, "rows"_a, "columns"_a, "factor_scale"_a, "tile_rows"_a, "n_threads"_a,
      "progress"_a,
      "Adds K V to the integer sums of the rows, and K^T W to those of the columns: (factors, scales, sums) of each.");
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
      "add_rows",
      [](const py::array& rows, const py::array_t<std::int64_t, py::array::c_style>& classes,
         const std::array<py::array, 6>& sums, int n_threads) {
        if (rows.ndim() != 2) throw std::invalid_argument("rows (n, d) are expected");
        const bool single = py::isinstance<py::array_t<float>>(rows);
        if (!single && !py::isinstance<py::array_t<double>>(rows))
          throw py::type_error("rows of float32 or of float64 are expected");
        if (!single) return add_rows<double, double>(rows, classes, sums, n_threads);
        if (py::isinstance<py::array_t<float>>(sums[3])) return add_rows<float, float>(rows, classes, sums, n_threads);
        return add_rows<float, double>(rows, classes, sums, n_threads);
      },
      "rows"_a, "classes"_a.noconvert(), "sums"_a, "n_threads"_a,
      "Adds rows to the moments of their classes: (sizes, longest, squares, shift, high, low).");
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
  m.def(
      "recurrent",
      [](const SequencesTuple& x, const std::optional<SequencesTuple>& z, const std::array<double, 4>& variances,
         bool tangent, bool single, bool errors, int n_threads, const py::object& progress) {
        const RecurrentKernel kernel = as_recurrent(variances, tangent, x);
        const Sequences xs = as_sequences(x, kernel.m), zs = z ? as_sequences(*z, kernel.m) : Sequences{};
        const auto run = single ? &recurrent_block<float> : &recurrent_block<double>;
        return run(kernel, xs, zs, errors, n_threads, progress);
      },
      "x"_a, "z"_a, "variances"_a, "tangent"_a, "single"_a, "errors"_a, "n_threads"_a, "progress"_a,
      "A block of the Gram matrix of a recurrent kernel, and bounds on its errors or (0, m) numbers.");
  m.def(
      "recurrent_diagonal",
      [](const SequencesTuple& x, const std::array<double, 4>& variances, bool tangent) {
        const RecurrentKernel kernel = as_recurrent(variances, tangent, x);
        const Sequences xs = as_sequences(x, kernel.m);
        Dense values(xs.n), errors(xs.n);
        nc1fast::recurrent_diagonal(kernel, xs, values.mutable_data(), errors.mutable_data());
        return py::make_tuple(values, errors);
      },
      "x"_a, "variances"_a, "tangent"_a, "Its diagonal, and bounds on the errors.");
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
