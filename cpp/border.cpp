#include "border.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "far_rows.hpp"
#include "layout.hpp"
#include "reader.hpp"

namespace nc1fast::border {

Matrix as_matrix(const py::array& x) {
  const bool single = py::isinstance<py::array_t<float>>(x);
  if (x.ndim() != 2 || !(single || py::isinstance<py::array_t<double>>(x)) || x.strides(1) != x.itemsize())
    throw py::type_error("a matrix of float32 or float64 with contiguous rows is expected");
  return {x.data(), -1, 0, single ? Element::f32 : Element::f64, x.shape(0), x.shape(1), x.strides(0)};
}

Matrix as_rows(const py::object& x) {
  if (py::isinstance<FarRows>(x)) return x.cast<const FarRows&>().matrix();
  if (!py::isinstance<py::array>(x)) throw py::type_error("an array is expected");
  return as_matrix(py::reinterpret_borrow<py::array>(x));
}

namespace {

// An array, rows that are far away, or (file descriptor, type, offset and stride in bytes, rows, features) of rows in a
// file; times a factor.
Matrix as_stored(const py::object& x, const std::optional<Dense>& factor) {
  Matrix matrix;
  if (py::isinstance<py::array>(x) || py::isinstance<FarRows>(x)) {
    matrix = as_rows(x);
  } else {
    const auto [file, type, offset, stride, n, d] =
        x.cast<std::tuple<int, std::string, std::int64_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t>>();
    constexpr std::pair<const char*, Element> types[] = {
        {"f8", Element::f64}, {"f4", Element::f32}, {"f2", Element::f16}, {"i1", Element::i8},
        {"u1", Element::u8},  {"i2", Element::i16}, {"u2", Element::u16}, {"i4", Element::i32},
        {"u4", Element::u32}, {"i8", Element::i64}, {"u8", Element::u64}};
    const auto* known =
        std::find_if(std::begin(types), std::end(types), [&](const auto& t) { return t.first == type; });
    if (known == std::end(types) || n < 1 || d < 1)
      throw std::invalid_argument("a file of " + type + " cannot be read");
    matrix = {nullptr, file, offset, known->second, n, d, stride};
  }
  if (factor) {
    if (matrix.far || factor->ndim() != 2 || factor->shape(0) != matrix.d)
      throw std::invalid_argument("factor does not fit");
    matrix.stored = matrix.d;
    matrix.d = factor->shape(1);
    matrix.factor = factor->data();
  }
  return matrix;
}

}  // namespace

// Signals are looked at and `progress` is called, with the GIL, from the calling thread. A poll may be copied without
// the GIL: copies share one reference, which goes with the last of them, the caller's.
Poll make_poll(const py::object& progress) {
  return [call = std::make_shared<const py::object>(progress)](std::int64_t done, std::int64_t total) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!call->is_none()) (*call)(done, total);
    return true;
  };
}

namespace {

template <class T>
py::array_t<T> owned(std::vector<T>&& values, std::vector<py::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  return py::array_t<T>(std::move(shape), kept->data(),
                        py::capsule(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); }));
}

// A 128-bit integer a, |a| < 2^123, as (a >> 60, a & (2^60 - 1)).
py::array_t<std::int64_t> halves(const std::vector<Int128>& values, py::ssize_t n) {
  std::vector<std::int64_t> out;
  out.reserve(2 * values.size());
  for (const Int128 v : values) {
    if (v >= Int128(1) << 123 || v < -(Int128(1) << 123)) throw std::overflow_error("a sum is beyond its bound");
    out.push_back(std::int64_t(v >> 60));
    out.push_back(std::int64_t(v & ((Int128(1) << 60) - 1)));
  }
  return owned(std::move(out), {values.empty() ? 0 : n, values.empty() ? 0 : n, 2});
}

py::array_t<double> vector(std::vector<double>&& values) {
  const py::ssize_t size = py::ssize_t(values.size());
  return owned(std::move(values), {size});
}

// Sums over the rows of each class, in the order of PER_CLASS in sums/rounding.py, and those that the core alone needs.
constexpr std::vector<double> KernelSurvey::* kPerClass[] = {
    &KernelSurvey::traces,    &KernelSurvey::roots,         &KernelSurvey::moves,         &KernelSurvey::spread_moves,
    &KernelSurvey::slopes,    &KernelSurvey::slope_squares, &KernelSurvey::spread_slopes, &KernelSurvey::displacements,
    &KernelSurvey::noises,    &KernelSurvey::shifts,        &KernelSurvey::floors,        &KernelSurvey::trace_noises,
    &KernelSurvey::references};

py::dict as_dict(Survey&& survey) {
  py::dict out;
  out["mean"] = vector(std::move(survey.means.mean));
  out["norm"] = vector(std::move(survey.means.norm));
  out["centred"] = std::vector<bool>(survey.means.centred.begin(), survey.means.centred.end());
  py::list kernels;
  for (KernelSurvey& kernel : survey.kernels) {
    py::dict d;
    Dense per_class({std::size(kPerClass), kernel.traces.size()});
    double* to = per_class.mutable_data();
    for (const auto values : kPerClass) to = std::copy((kernel.*values).begin(), (kernel.*values).end(), to);
    d["per_class"] = per_class;
    d["k"] = vector(std::move(kernel.k));
    d["row_scale_within"] = vector(std::move(kernel.row_scale_within));
    kernels.append(d);
  }
  out["kernels"] = kernels;
  return out;
}

Survey as_survey(const py::dict& d) {
  Survey survey;
  survey.means.mean = d["mean"].cast<std::vector<double>>();
  survey.means.norm = d["norm"].cast<std::vector<double>>();
  for (const bool centred : d["centred"].cast<std::vector<bool>>()) survey.means.centred.push_back(centred);
  for (const auto& kernel : d["kernels"].cast<py::list>()) {
    KernelSurvey& to = survey.kernels.emplace_back();
    const Dense per_class = kernel["per_class"].cast<Dense>();
    if (per_class.ndim() != 2 || per_class.shape(0) != std::ssize(kPerClass))
      throw std::invalid_argument("a survey does not fit");
    const double* from = per_class.data();
    for (const auto values : kPerClass) {
      (to.*values).assign(from, from + per_class.shape(1));
      from += per_class.shape(1);
    }
    const auto read = [&kernel](const char* name, std::vector<double>& values) {
      const Dense given = kernel[name].cast<Dense>();
      values.assign(given.data(), given.data() + given.size());
    };
    read("k", to.k);
    read("row_scale_within", to.row_scale_within);
  }
  return survey;
}

// What a pass is about, checked: offsets and sizes that do not fit would be read out of bounds.
struct Problem {
  Matrix x;
  std::vector<std::int64_t> sizes;
  Kernels kernels;
  Options options;

  Problem(const py::object& x_, const std::optional<Dense>& factor,
          const py::array_t<std::int32_t, py::array::c_style>& classes, std::vector<std::int64_t> sizes_,
          const py::dict& kernels_, Options options_)
      : x(as_stored(x_, factor)),
        sizes(std::move(sizes_)),
        kernels(as_kernels(kernels_)),
        options(std::move(options_)) {
    std::int64_t n = 0;
    for (const std::int64_t size : sizes) n += size;
    const std::int32_t n_classes = std::int32_t(sizes.size()), *c = classes.data();
    if (n != classes.size() || n != x.n || kernels.n_outputs() == 0 ||
        std::any_of(c, c + n, [&](std::int32_t cls) { return cls < 0 || cls >= n_classes; }))
      throw std::invalid_argument("classes, sizes and kernels do not fit");
  }
};

bool fits(const Survey& survey, const Problem& problem) {
  const std::size_t c = problem.sizes.size(), n = problem.options.row_sums ? std::size_t(problem.x.n) : 0;
  const Means& means = survey.means;
  bool fits = survey.kernels.size() == problem.kernels.size() && means.mean.size() == c * std::size_t(problem.x.d) &&
              means.norm.size() == c && means.centred.size() == c;
  for (const KernelSurvey& kernel : survey.kernels)
    fits &= kernel.traces.size() == c && kernel.k.size() == n && kernel.row_scale_within.size() == n;
  return fits;
}

py::dict py_survey(const py::object& x, const std::optional<Dense>& factor,
                   const py::array_t<std::int32_t, py::array::c_style>& classes, const std::vector<std::int64_t>& sizes,
                   const py::dict& kernels, bool single_within, bool single_between, bool row_sums, int n_threads) {
  const Problem problem(x, factor, classes, sizes, kernels,
                        {single_within, single_between, row_sums, n_threads, 0, make_poll(py::none())});
  Survey out;
  {
    const py::gil_scoped_release release;
    nc1fast::survey(problem.x, classes.data(), problem.sizes, problem.kernels, problem.options, out);
  }
  return as_dict(std::move(out));
}

std::vector<Rectangle> as_rectangles(const std::vector<std::array<std::int64_t, 4>>& bounds, std::int64_t n,
                                     std::int64_t step) {
  std::vector<Rectangle> rectangles;
  for (const auto& [a, b, c, d] : bounds) {
    const Rectangle& r = rectangles.emplace_back(Rectangle{{a, b}, {c, d}});
    const auto inside = [n, step](const Span& s) {
      return 0 <= s.begin && s.begin < s.end && s.end <= n && s.begin % step == 0 && (s.end % step == 0 || s.end == n);
    };
    if (!inside(r.rows) || !inside(r.columns) || (!r.square() && b > c))
      throw std::invalid_argument("rectangles do not fit");
  }
  return rectangles;
}

}  // namespace

py::tuple class_sums(const Backend& backend, const py::object& x, const std::optional<Dense>& factor,
                     const py::array_t<std::int64_t, py::array::c_style>& order,
                     const py::array_t<std::int32_t, py::array::c_style>& classes,
                     const std::vector<std::int64_t>& sizes, const py::dict& kernels, bool single_within,
                     bool single_between, bool row_sums, int n_threads, const std::optional<py::dict>& given,
                     const std::vector<std::array<std::int64_t, 4>>& rectangles, int tile_panels,
                     const py::object& progress) {
  const Problem problem(x, factor, classes, sizes, kernels,
                        {single_within, single_between, row_sums, n_threads, tile_panels, make_poll(progress)});
  const py::ssize_t c = py::ssize_t(sizes.size()), n = problem.x.n;
  const std::vector<Rectangle> parts = as_rectangles(rectangles, n, backend.row_step());
  Survey survey = given ? as_survey(*given) : Survey{};
  if (order.size() != n || std::any_of(order.data(), order.data() + n, [n](auto r) { return r < 0 || r >= n; }) ||
      (given && !fits(survey, problem)))
    throw std::invalid_argument("order and survey do not fit");
  const std::vector<KernelTraits> traits = traits_of(problem.kernels);
  std::vector<py::array_t<std::int64_t>> rows(traits.size());
  std::vector<std::int64_t*> row_pointers(traits.size(), nullptr);
  for (std::size_t k = 0; k < traits.size(); ++k) {
    if (!row_sums || !traits[k].summed) continue;
    rows[k] = py::array_t<std::int64_t>(std::vector<py::ssize_t>{c, n});
    std::fill_n(rows[k].mutable_data(), c * n, std::int64_t(0));
    row_pointers[k] = rows[k].mutable_data();
  }
  std::vector<KernelSums> sums;
  {
    const py::gil_scoped_release release;
    nc1fast::class_sums(backend, problem.x, order.data(), classes.data(), problem.sizes, problem.kernels,
                        problem.options, parts, survey, sums, row_pointers);
  }
  py::list out;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    KernelSums& s = sums[k];
    const auto square = [c](std::vector<int>& v) {
      const py::ssize_t size = v.empty() ? 0 : c;
      return owned(std::move(v), {size, size});
    };
    py::dict d;
    d["block"] = halves(s.block, c);
    d["exponent"] = square(s.exponent);
    d["sensitivity"] = halves(s.sensitivity, c);
    d["sensitivity_exponent"] = square(s.sensitivity_exponent);
    if (row_sums) {
      d["rows"] = rows[k];
      d["row_scale"] = vector(std::move(s.row_scale));
      d["column_scale"] = vector(std::move(s.column_scale));
    }
    out.append(d);
  }
  return py::make_tuple(as_dict(std::move(survey)), out);
}

namespace {

template <class T>
py::array_t<T> kept(const Backend& backend, const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads,
                    const py::object& progress) {
  py::array_t<T> out({x.n, z.data ? z.n : x.n});
  const Poll poll = make_poll(progress);
  T* data = out.mutable_data();
  {
    const py::gil_scoped_release release;
    backend.gram(x, z, kernels, n_threads, poll, data);
  }
  return out;
}

}  // namespace

py::array gram(const Backend& backend, const py::object& x, const std::optional<py::object>& z, const py::dict& kernel,
               bool single, int n_threads, const py::object& progress) {
  const Matrix xm = as_rows(x), zm = z ? as_rows(*z) : Matrix{};
  if (z && zm.d != xm.d) throw std::invalid_argument("x and z have different numbers of features");
  const Kernels spec = as_kernel(kernel);
  if (single) return kept<float>(backend, xm, zm, spec, n_threads, progress);
  return kept<double>(backend, xm, zm, spec, n_threads, progress);
}

std::pair<std::int64_t, std::int64_t> packed_bytes(const Backend& backend, std::int64_t d, const py::dict& kernels,
                                                   bool single_within, bool single_between, bool row_sums) {
  const RowBytes bytes =
      row_bytes(backend, d, as_kernels(kernels), {single_within, single_between, row_sums, 1, 0, {}});
  return {bytes.larger, bytes.both};
}

std::int64_t row_step(const Backend& backend) { return backend.row_step(); }

namespace {

// By name: whether phi jumps, or has a kink, at 0, and whether E[phi'(u) phi'(v)] is finite.
template <class... Act>
py::dict traits(List<Act...>) {
  py::dict all;
  const auto add = [&all](const char* name, bool jump, bool kink, bool differentiable) {
    py::dict d;
    d["jump"] = jump;
    d["kink"] = kink;
    d["differentiable"] = differentiable;
    all[name] = d;
  };
  ((Act::is_series ? void() : add(Act::name, Act::root_value, Act::root_derivative, Act::has_derivative)), ...);
  return all;
}

const char* name_of(Form form) {
  if (form == Form::rectifier_distance) return "rectifier";
  return form == Form::erf_distance ? "erf" : "plain";
}

}  // namespace

void define_common(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(std::move(error));
    } catch (const ReadError& read_error) {
      PyErr_SetString(PyExc_OSError, read_error.what());
    }
  });
  m.def("survey", &py_survey, "x"_a, "factor"_a, "classes"_a, "sizes"_a, "kernels"_a, "single_within"_a,
        "single_between"_a, "row_sums"_a, "n_threads"_a, "What every part of a pass needs to know about all rows.");
  m.def(
      "diagonal",
      [](const py::array& x, const py::dict& kernel) {
        const Matrix xm = as_matrix(x);
        py::array_t<double> out(xm.n);
        diagonal(xm, as_kernel(kernel), 1, out.mutable_data());
        return out;
      },
      "x"_a, "kernel"_a, "k(x_i, x_i) of a kernel.");
  m.def(
      "growth",
      [](const py::array& x, const py::dict& kernel) {
        const Matrix xm = as_matrix(x);
        py::array_t<double> out({py::ssize_t(4), py::ssize_t(xm.n)});
        diagonal(xm, as_kernel(kernel), 4, out.mutable_data());
        return out;
      },
      "x"_a, "kernel"_a, "The same with its error, slope and noise: what bounds on errors of k(x_i, x_j) follow from.");
  m.def(
      "duals",
      [](const std::string& activation, double parameter, const Dense& a, const Dense& b, const Dense& c,
         const Dense& s) {
        const py::ssize_t n = a.size();
        if (b.size() != n || c.size() != n || s.size() != n)
          throw std::invalid_argument("a, b, c and s must have one length");
        py::array_t<double> out({py::ssize_t(2), n});
        double* data = out.mutable_data();
        const py::gil_scoped_release release;
        duals(activation, parameter, n, a.data(), b.data(), c.data(), s.data(), data);
        return out;
      },
      "activation"_a, "parameter"_a, "a"_a, "b"_a, "c"_a, "s"_a,
      "kappa and kdot (2, n) of variances a, b and covariances c; s = sqrt(ab - c^2).");
  m.def(
      "distance_form", [](const py::dict& chain) { return std::string(name_of(as_chain(chain).distance_form())); },
      "chain"_a, "How D2 is evaluated within classes: \"rectifier\" and \"erf\" do not cancel, \"plain\" does.");
  m.def(
      "packed_rounding",
      [](bool single, int n_features, int depth) {
        const Rounding rounding(single, n_features, depth);
        return std::make_tuple(rounding.noise, rounding.displacement, rounding.least);
      },
      "single"_a, "n_features"_a, "depth"_a, "(noise, displacement, least) of packed rows: packing.hpp.");
  m.def("tile_rows", [] { return kTileRows; }, "Rows of a side of a tile at most.");
  m.def("activations", [] { return traits(Activations{}); }, "The dual activations, with what is known of each.");
}

}  // namespace nc1fast::border
