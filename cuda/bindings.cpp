// The module _cuda: what depends on who runs the tiles, on devices; the last argument says on which.
#include "border.hpp"
#include "devices.hpp"
#include "digits.hpp"
#include "estimate.hpp"
#include "lent_rows.hpp"
#include "plan.hpp"
#include "survey.hpp"

namespace {

using namespace nc1fast;
namespace py = pybind11;
using namespace pybind11::literals;

struct OnDevices {
  template <class R, class... Args>
  auto operator()(R (*f)(const Backend&, Args...)) const {
    return [f](Args... args, const std::vector<int>& devices) {
      const device::CurrentDevice current;
      return f(device::Devices(devices), std::forward<Args>(args)...);
    };
  }
};

// Of the whole pass within classes, or between them, of `sizes` rows: one kernel without errors of its own.
device::Plan plan_of(bool within, const std::vector<std::int64_t>& sizes, int depth, bool single) {
  if (sizes.empty() || depth < 1 || *std::min_element(sizes.begin(), sizes.end()) < 1)
    throw std::invalid_argument("sizes and depth must be positive");
  const std::vector<std::int64_t> begins = begins_of(sizes);
  const Span all{0, begins.back()};
  Options options;
  options.single_within = options.single_between = single;
  const Layout layout({all, all}, begins, within, device::kWidth, depth, TileSize{device::kTilePanels}, options);
  const std::size_t panel = single ? device::panel_bytes<float>(depth) : device::panel_bytes<double>(depth);
  return {layout, within, depth, panel, 1};
}

// Rows of an array that lies on a device, once its library has queued them on a stream of ours and they are there; None
// for those that are not taken as they are.
std::unique_ptr<device::LentRows> rows_of(const py::object& x, int on) {
  const device::CurrentDevice current;
  const device::Devices known({on});
  const device::Stream stream(on, 0);
  const py::object capsule = x.attr("__dlpack__")("stream"_a = reinterpret_cast<std::uintptr_t>(stream.get()));
  auto* const lent = static_cast<device::dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (!lent || PyCapsule_SetName(capsule.ptr(), "used_dltensor") != 0) throw py::error_already_set();
  device::LentRows::Tensor tensor = device::LentRows::owned(lent);
  {
    const py::gil_scoped_release release;
    stream.wait();
  }
  return device::LentRows::of(std::move(tensor), on);
}

}  // namespace

PYBIND11_MODULE(_cuda, m, pybind11::mod_gil_not_used()) {
  using namespace nc1fast::border;
  m.doc() = "The streaming pass and Gram matrices on CUDA devices.";
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(std::move(error));
    } catch (const device::OutOfMemory& memory) {
      PyErr_SetString(PyExc_MemoryError, memory.what());
    } catch (const device::DeviceError& failed) {
      PyErr_SetString(py::module_::import("nc1fast.cuda").attr("DeviceError").ptr(), failed.what());
    }
  });
  // What the border looks for, and its only kind: of this module alone, beside others.
  const py::class_<FarRows> far(m, "FarRows", py::module_local(), "Rows that lie elsewhere.");
  py::class_<device::LentRows, FarRows>(m, "LentRows", py::module_local(), "Rows of an array on a device, in place.")
      .def_property_readonly("shape", [](const device::LentRows& x) { return std::pair(x.n(), x.source().d); })
      .def_property_readonly("dtype", [](const device::LentRows& x) { return x.source().wide ? "float64" : "float32"; })
      .def(
          "inspect",
          [](const device::LentRows& x) {
            const device::CurrentDevice current;
            const py::gil_scoped_release release;
            const device::LentRows::Inspection seen = x.inspect();
            return std::tuple(seen.row, seen.column, seen.value, seen.zeros);
          },
          "Row, column and value of the first number that is NaN or Inf (row -1: none); else how many rows are zero.");
  m.def("rows_of", &rows_of, "x"_a, "device"_a,
        "Rows of an array on a device (DLPack); None where they are not float32 or float64 there.");
  define(m, OnDevices{}, "devices"_a);
  m.def(
      "gram_on_device",
      [](const py::object& x, const std::optional<py::object>& z, const py::dict& kernel, bool single, int n_threads,
         std::uintptr_t out, int on) {
        const Matrix xm = as_rows(x), zm = z ? as_rows(*z) : Matrix{};
        if (z && zm.d != xm.d) throw std::invalid_argument("x and z have different numbers of features");
        const Kernels spec = as_kernel(kernel);
        const device::CurrentDevice current;
        const device::Devices devices({on});
        const Poll poll = make_poll(py::none());
        void* const address = reinterpret_cast<void*>(out);  // NOLINT(performance-no-int-to-ptr): how Python gives it
        const py::gil_scoped_release release;
        if (single)
          devices.gram_on_device(xm, zm, spec, n_threads, poll, static_cast<float*>(address));
        else
          devices.gram_on_device(xm, zm, spec, n_threads, poll, static_cast<double*>(address));
      },
      "x"_a, "z"_a, "kernel"_a, "single"_a, "n_threads"_a, "out"_a, "device"_a,
      "Gram matrix into memory of a device, by address.");
  m.def(
      "plan",
      [](const std::vector<std::int64_t>& sizes, int depth, bool single) {
        py::dict d;
        for (const bool within : {true, false}) {
          const device::Plan plan = plan_of(within, sizes, depth, single);
          py::dict counts;
          counts["launches"] = plan.launches;
          counts["blocks"] = plan.blocks;
          counts["units"] = plan.units;
          counts["bytes"] = plan.bytes;
          d[within ? "within" : "between"] = counts;
        }
        return d;
      },
      "sizes"_a, "depth"_a, "single"_a, "Launches, blocks, units and bytes of packed rows of a pass of one kernel.");
  m.def(
      "pass_bytes",
      [](std::int64_t n_features, const py::dict& kernels, bool single_within, bool single_between, bool row_sums,
         std::int64_t n_classes, std::int64_t n_rows, std::int64_t n_lent, const std::vector<int>& on) {
        const Kernels spec = as_kernels(kernels);
        const int depth = Frame{InputLayer::of(spec.chains.at(0)), int(n_features), {}}.depth();
        const Options options{single_within, single_between, row_sums, 1, 0, {}};
        const device::CurrentDevice current;
        device::PassBytes most{};
        for (const int index : on) {
          const device::PassBytes one =
              device::bytes_of(spec, options, depth, std::size_t(n_rows), std::size_t(n_classes),
                               {std::size_t(n_lent), std::size_t(n_features)}, device::info(index));
          most.device = std::max(most.device, one.device);
          most.pinned += one.pinned;
        }
        return std::pair(most.device, most.pinned);
      },
      "n_features"_a, "kernels"_a, "single_within"_a, "single_between"_a, "row_sums"_a, "n_classes"_a, "n_rows"_a,
      "n_lent"_a, "devices"_a,
      "Most bytes that a pass takes of each device, and pinned ones of the host for all of them; n_lent: all rows of "
      "the "
      "call, where they lie on the device, else 0.");
  m.def(
      "lent_row_bytes",
      [](std::int64_t n_features, const py::dict& kernels, bool single_within, bool single_between, bool row_sums) {
        const device::Devices any({0});
        const RowBytes bytes =
            row_bytes(any, n_features, as_kernels(kernels), {single_within, single_between, row_sums, 1, 0, {}}, true);
        return std::pair(bytes.larger, bytes.both);
      },
      "n_features"_a, "kernels"_a, "single_within"_a, "single_between"_a, "row_sums"_a,
      "Bytes of the host for a row that lies on a device, in the larger of the two passes, and in both.");
  m.def("by_digits", &device::by_digits, "major"_a, "minor"_a, "depth"_a,
        "Whether float32 rows are multiplied as digits on devices of a compute capability.");
  m.def("device_count", &device::count, "Devices of this machine; 0 without a driver.");
  m.def(
      "current_device", [] { return device::CurrentDevice().get(); },
      "The device that is current for the calling thread; -1 without a driver.");
  m.def("no_device", &device::reason, "Why there is no device; empty where there is one.");
  m.def(
      "device_info",
      [](int on) {
        const device::CurrentDevice current;
        const device::Info info = device::info(on);
        py::dict d;
        d["name"] = info.name;
        d["compute_capability"] = py::make_tuple(info.major, info.minor);
        d["multiprocessors"] = info.multiprocessors;
        d["free_memory"] = info.free;
        d["total_memory"] = info.total;
        return d;
      },
      "device"_a, "What is known of a device.");
}
