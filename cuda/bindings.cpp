// The module _cuda: what depends on who runs the tiles, on devices; the last argument says on which.
#include "border.hpp"
#include "devices.hpp"
#include "digits.hpp"
#include "estimate.hpp"
#include "plan.hpp"
#include "survey.hpp"

namespace {

using namespace nc1fast;

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
  const Layout layout({all, all}, begins, within, device::kWidth, depth, device::kTilePanels, options);
  const std::size_t panel = single ? device::panel_bytes<float>(depth) : device::panel_bytes<double>(depth);
  return {layout, within, depth, panel, 1};
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
  define(m, OnDevices{}, "devices"_a);
  m.def(
      "gram_on_device",
      [](const py::array& x, const std::optional<py::array>& z, const py::dict& kernel, bool single, int n_threads,
         std::uintptr_t out, int on) {
        const Matrix xm = as_matrix(x), zm = z ? as_matrix(*z) : Matrix{};
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
         std::int64_t n_classes, std::int64_t n_rows, const std::vector<int>& on) {
        const Kernels spec = as_kernels(kernels);
        const int depth = Frame{InputLayer::of(spec.chains.at(0)), int(n_features), {}}.depth();
        const Options options{single_within, single_between, row_sums, 1, 0, {}};
        const device::CurrentDevice current;
        device::PassBytes most{};
        for (const int index : on) {
          const device::PassBytes one =
              device::bytes_of(spec, options, depth, std::size_t(n_rows), std::size_t(n_classes), device::info(index));
          most.device = std::max(most.device, one.device);
          most.pinned += one.pinned;
        }
        return std::pair(most.device, most.pinned);
      },
      "n_features"_a, "kernels"_a, "single_within"_a, "single_between"_a, "row_sums"_a, "n_classes"_a, "n_rows"_a,
      "devices"_a, "Most bytes that a pass takes of each device, and pinned ones of the host for all of them.");
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
