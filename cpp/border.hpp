// The border between Python and C++ that every module of the package has: what is called, and how arguments become
// matrices, chains and problems. Arrays arrive checked, contiguous and of the right type (core/backend.py); here they
// become views, the GIL is released, and what comes back becomes arrays that own their memory.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <tuple>

#include "backend.hpp"

namespace nc1fast::border {

namespace py = pybind11;
using namespace pybind11::literals;

using Dense = py::array_t<double, py::array::c_style>;

Matrix as_matrix(const py::array& x);
// An array, or rows that are far away.
Matrix as_rows(const py::object& x);
ChainSpec as_chain(const py::dict& d);
// {"chains": list of chains, "expressions": list of (leaves, terms)}
Kernels as_kernels(const py::dict& d);
// One kernel: a chain, or as_kernels of one chain or one expression.
Kernels as_kernel(const py::dict& d);
Poll make_poll(const py::object& progress);

py::tuple class_sums(const Backend& backend, const py::object& x, const std::optional<Dense>& factor,
                     const py::array_t<std::int64_t, py::array::c_style>& order,
                     const py::array_t<std::int32_t, py::array::c_style>& classes,
                     const std::vector<std::int64_t>& sizes, const py::dict& kernels, bool single_within,
                     bool single_between, bool row_sums, int n_threads, const std::optional<py::dict>& given,
                     const std::vector<std::array<std::int64_t, 4>>& rectangles, int tile_panels,
                     const py::object& progress);
py::array gram(const Backend& backend, const py::object& x, const std::optional<py::object>& z, const py::dict& kernel,
               bool single, int n_threads, const py::object& progress);
std::int64_t row_step(const Backend& backend);
std::pair<std::int64_t, std::int64_t> packed_bytes(const Backend& backend, std::int64_t d, const py::dict& kernels,
                                                   bool single_within, bool single_between, bool row_sums);

// What does not depend on who runs the tiles.
void define_common(py::module_& m);

// What does: on(f) is f without its backend. `extra`: names of arguments that `on` puts behind those of f.
template <class On, class... Extra>
void define(py::module_& m, const On& on, const Extra&... extra) {
  m.def("class_sums", on(&class_sums), "x"_a, "factor"_a, "order"_a, "classes"_a, "sizes"_a, "kernels"_a,
        "single_within"_a, "single_between"_a, "row_sums"_a, "n_threads"_a, "survey"_a, "rectangles"_a, "tile_panels"_a,
        "progress"_a, extra...,
        "The survey, and integer class sums of every kernel over some rectangles of sorted rows.");
  m.def("gram", on(&gram), "x"_a, "z"_a, "kernel"_a, "single"_a, "n_threads"_a, "progress"_a, extra...,
        "Gram matrix of a kernel.");
  m.def("row_bytes", on(&packed_bytes), "n_features"_a, "kernels"_a, "single_within"_a, "single_between"_a,
        "row_sums"_a, extra..., "Bytes of a packed row in the larger of the two passes, and in both.");
  m.def("row_step", on(&row_step), extra..., "Rows are divided at multiples of this.");
}

}  // namespace nc1fast::border
