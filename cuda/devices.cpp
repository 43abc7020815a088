#include "devices.hpp"

#include <algorithm>
#include <optional>

#include "device_pass.hpp"
#include "gram_rows.hpp"

namespace nc1fast::device {
namespace {

constexpr std::size_t kGramBytes = std::size_t(256) << 20;  // of a matrix, at a time on a device

// A matrix of kernel values on one device, some row panels at a time.
template <class T>
class KeptTiles {
 public:
  KeptTiles(int device, GramRows<T>& rows)
      : stream_(device, std::max(rows.n_rows() * std::size_t(rows.pass.depth),
                                 std::size_t(rows.pass.n_rows * rows.pass.n_columns)) *
                            sizeof(T)),
        columns_(stream_, rows.columns(), rows.columns().n_rows, rows.far_columns(), rows.frame().means),
        rows_(rows.pass.symmetric
                  ? Panels<T>()
                  : Panels<T>(stream_, rows.rows(), rows.rows().n_rows, rows.far_rows(), rows.frame().means)),
        chains_(stream_, rows.n_rows()),
        per_panel_(std::size_t(rows.pass.n_columns) * kWidth) {
    const Panels<T>& row_side = rows.pass.symmetric ? columns_ : rows_;
    GramPass<T>& pass = work_.pass = rows.pass;
    pass.depth = columns_.depth();
    pass.row_panels = row_side.panels();
    pass.column_panels = columns_.panels();
    pass.row_half_norms = row_side.half_norms();
    pass.column_half_norms = columns_.half_norms();
    pass.norms = chains_.rows(pass.norms);
    pass.diagonal = chains_.rows(pass.diagonal);
    work_.n_column_panels = int(rows.n_column_panels);
    if (pass.expression.n_terms == 0)
      add_kernel(rows, pass.value, pass.diagonal);
    else
      add_expression(rows);
    stream_.wait();
  }

  // Rows of panels [p, p + n) into `out`, memory of the device.
  void run(int p, int n, T* out) {
    stream_.enter();
    if (work_.pass.expression.n_terms == 0) return start(kernels_.front(), p, n, out);
    for (const int end = p + n; p < end; p += n, out += std::size_t(n) * per_panel_) {
      n = std::min(n_kept_panels_, end - p);
      for (std::size_t k = 0; k < kernels_.size(); ++k)
        start(kernels_[k], p, n, kept_.get() + std::ptrdiff_t(k) * work_.kept_size);
      work_.p_begin = p;
      work_.pass.out = out;
      check(launches<T>().combine_gram(work_, std::int64_t(n) * work_.n_column_panels, stream_.get()),
            "tiles cannot be run");
    }
  }
  // The same by way of memory of its own, to the host: for `most` panels, or for as many as half of what is left holds,
  // one at least.
  void bring(int p, int n, int most, T* out) {
    stream_.enter();
    if (n_held_panels_ == 0) {
      const std::size_t room = free() / 2 / sizeof(T) / per_panel_;
      const std::size_t n_held = std::clamp(room, std::size_t(1), std::size_t(most));
      held_ = Array<T>(stream_, n_held * per_panel_);
      n_held_panels_ = int(n_held);
    }
    for (const int end = p + n; p < end; p += n) {
      n = std::min(n_held_panels_, end - p);
      run(p, n, held_.get());
      const std::ptrdiff_t first = std::ptrdiff_t(p) * kWidth,
                           last = std::min(work_.pass.n_rows, first + std::ptrdiff_t(n) * kWidth);
      stream_.fetch(out + first * work_.pass.n_columns, held_.get(),
                    std::size_t((last - first) * work_.pass.n_columns) * sizeof(T));
    }
  }
  void wait() const { stream_.wait(); }

 private:
  // Bytes that are left for matrices.
  std::size_t free() const {
    const Info there = info(stream_.device());
    return work_.pass.expression.n_terms == 0 ? there.free : free_beside_stacks<Between<T>>(there);
  }

  // A kernel of a chain: the wanted one, or a leaf.
  struct Wanted {
    Chain<T> chain;
    int output;  // of this chain
    const T* diagonal;
  };

  // The kernel that is a number among the outputs of all chains. diagonal: on the device; null: that of the output.
  const T* add_kernel(GramRows<T>& rows, int output, const T* diagonal) {
    const Chain<T>* of = rows.chains().data();
    while (output >= of->n_outputs) output -= (of++)->n_outputs;
    if (!diagonal) diagonal = chains_.rows(of->diagonals[output]);
    kernels_.push_back({chains_.send(*of, chains_.rows(of->half_norms)), output, diagonal});
    return diagonal;
  }

  // The leaves, with memory for some panels of each (a quarter of what is left, one panel at least), and what becomes
  // of them.
  void add_expression(GramRows<T>& rows) {
    std::vector<Leaf<T>> leaves = rows.leaves();
    for (Leaf<T>& leaf : leaves) {
      leaf.diagonal = add_kernel(rows, leaf.value, nullptr);
      leaf.value = int(kernels_.size()) - 1;
    }
    work_.pass.expression = chains_.send(rows.pass.expression, leaves);
    const std::size_t room = std::min(kGramBytes, free() / 4) / sizeof(T);
    n_kept_panels_ = int(std::clamp(std::int64_t(room / (per_panel_ * leaves.size())), std::int64_t(1),
                                    std::max(std::int64_t(1), rows.n_row_panels)));
    work_.kept_size = std::ptrdiff_t(std::size_t(n_kept_panels_) * per_panel_);
    kept_ = Array<T>(stream_, leaves.size() * std::size_t(work_.kept_size));
    work_.kept = kept_.get();
  }

  void start(const Wanted& kernel, int p, int n, T* out) const {
    GramWork<T> work = work_;
    work.chain = kernel.chain;
    work.pass.value = kernel.output;
    work.pass.diagonal = kernel.diagonal;
    work.p_begin = p;
    work.pass.out = out;
    check(launches<T>().gram(work, kernel.chain.kind.deep, std::int64_t(n) * work.n_column_panels, stream_.get()),
          "tiles cannot be run");
  }

  Stream stream_;
  Panels<T> columns_, rows_;
  Chains<T> chains_;
  std::size_t per_panel_;  // numbers of a row panel
  GramWork<T> work_{};
  std::vector<Wanted> kernels_;
  int n_kept_panels_ = 0, n_held_panels_ = 0;
  Array<T> kept_;
  Array<T> held_;
};

// Devices compute kernels of chains whose activations have a formula, and what is made of them.
void check_computed(const Kernels& kernels) {
  for (const ChainSpec& chain : kernels.chains)
    if (chain.table)
      throw std::invalid_argument("activations given by a series are computed by the processor: device='cpu'");
}

// Rows that lie on a device are packed by it alone.
void check_place(const FarRows* far, const std::vector<int>& devices) {
  if (far && devices != std::vector<int>{static_cast<const LentRows&>(*far).device()})
    throw std::invalid_argument("rows lie on another device");
}

// Rows as devices take them: the leaves of an expression with their diagonals.
template <class T>
GramRows<T> gram_rows(const std::vector<int>& devices, const Matrix& x, const Matrix& z, const Kernels& kernels,
                      int n_threads) {
  check_computed(kernels);
  for (const Matrix* side : {&x, &z}) check_place(side->far, devices);
  return GramRows<T>(kWidth, nullptr, x, z, kernels, n_threads,
                     kernels.expressions.empty() ? Keep::nothing : Keep::diagonals);
}

template <class T>
bool gram_on(const std::vector<int>& devices, const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads,
             const Poll& poll, T* out) {
  GramRows<T> rows = gram_rows<T>(devices, x, z, kernels, n_threads);
  const std::size_t per_panel = std::size_t(rows.pass.n_columns) * kWidth;
  const std::int64_t chunk = std::clamp(std::int64_t(kGramBytes / sizeof(T) / per_panel), std::int64_t(1),
                                        std::max(std::int64_t(1), rows.n_row_panels / std::int64_t(devices.size())));
  std::vector<std::optional<KeptTiles<T>>> tiles(devices.size());
  return parallel_for((rows.n_row_panels + chunk - 1) / chunk, int(devices.size()),
                      [&](int w, std::int64_t item) {
                        std::optional<KeptTiles<T>>& own = tiles[std::size_t(w)];
                        if (!own) own.emplace(devices[std::size_t(w)], rows);
                        const int first = int(item * chunk), n = int(std::min(chunk, rows.n_row_panels - first));
                        own->bring(first, n, int(chunk), out);
                      },
                      [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
}

}  // namespace

Devices::Devices(std::vector<int> devices) : devices_(std::move(devices)) {
  const int n = count();
  if (n == 0) throw DeviceError("there is no CUDA device here: " + reason());
  for (const int device : devices_)
    if (device < 0 || device >= n)
      throw DeviceError("there is no cuda:" + std::to_string(device) + " here, but " + std::to_string(n) +
                        (n == 1 ? " device" : " devices"));
  if (devices_.empty()) throw DeviceError("a device is needed");
}

int Devices::panel(bool) const { return kWidth; }

std::unique_ptr<AnyPass> Devices::pass(const Shared& shared, bool within, std::int64_t n_rows) const {
  check_computed(shared.kernels);
  check_place(shared.far, devices_);
  const std::size_t room = rounded(std::size_t(n_rows), std::size_t(kDeviceRowStep));
  if (within ? shared.options.single_within : shared.options.single_between)
    return std::make_unique<DevicePass<float>>(shared, within, room, devices_);
  return std::make_unique<DevicePass<double>>(shared, within, room, devices_);
}

bool Devices::gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                   float* out) const {
  return gram_on(devices_, x, z, kernels, n_threads, poll, out);
}
bool Devices::gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                   double* out) const {
  return gram_on(devices_, x, z, kernels, n_threads, poll, out);
}

template <class T>
bool Devices::gram_on_device(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                             T* out) const {
  GramRows<T> rows = gram_rows<T>({devices_.front()}, x, z, kernels, n_threads);
  KeptTiles<T> tiles(devices_.front(), rows);
  tiles.run(0, int(rows.n_row_panels), out);
  tiles.wait();
  return !poll || poll(1, 1);
}
template bool Devices::gram_on_device(const Matrix&, const Matrix&, const Kernels&, int, const Poll&, float*) const;
template bool Devices::gram_on_device(const Matrix&, const Matrix&, const Kernels&, int, const Poll&, double*) const;

}  // namespace nc1fast::device
