// What a pass takes of a device, counted before it begins: the arrays of resident.hpp and device_pass.hpp, the values
// that expressions are made of (of one unit at least), and the stacks that the driver sets aside for their interpreter.
#pragma once

#include <algorithm>
#include <set>

#include "memory.hpp"
#include "nc1fast/expressions.hpp"
#include "packed_pass.hpp"
#include "plan.hpp"
#include "resident.hpp"

namespace nc1fast::device {

// Bytes as a device gives them: n arrays of so many each.
class Bytes {
 public:
  void add(std::size_t bytes, std::size_t n = 1) {
    total_ += n * ((bytes + kGranularity - 1) / kGranularity) * kGranularity;
  }
  std::size_t total() const { return total_; }

 private:
  std::size_t total_ = 0;
};

// Bytes that the driver sets aside when an interpreter of expressions first runs: a stack of states for every thread.
template <class State>
std::size_t stack_bytes(const Info& device) {
  return std::size_t(device.threads) * kMaxTerms * sizeof(State);
}
// What is free beside them.
template <class State>
std::size_t free_beside_stacks(const Info& device) {
  return device.free - std::min(device.free, stack_bytes<State>(device));
}

// Of the values of a unit that expressions are made of: Keeping of device_pass.hpp.
inline std::size_t kept_values(const Kernels& kernels) {
  const std::vector<KernelTraits> traits = traits_of(kernels);
  std::set<int> leaves;
  for (const ExpressionSpec& expression : kernels.expressions)
    leaves.insert(expression.leaves.begin(), expression.leaves.end());
  const auto rooted = std::size_t(
      std::count_if(leaves.begin(), leaves.end(), [&](int leaf) { return traits[std::size_t(leaf)].root; }));
  return leaves.size() + rooted + (rooted > 0);
}

// Rows that lie on the device: all of the call, and their features; n = 0: there are none.
struct Lent {
  std::size_t n = 0, d = 0;
};

// What the survey of lent rows takes, before a pass: LentRows::lengths and LentRows::totals.
inline std::size_t survey_bytes(const Lent& lent, std::size_t n_classes) {
  const std::size_t n = std::min(lent.n, std::size_t(kFarChunk)), means = n_classes * lent.d * sizeof(double);
  Bytes lengths, totals;
  for (const std::size_t size : {n * sizeof(RowLengths), n * sizeof(int), n_classes * sizeof(int), means})
    lengths.add(size);
  for (const std::size_t size : {n * sizeof(std::int64_t), (n_classes + 1) * sizeof(std::int64_t), means})
    totals.add(size);
  return std::max(lengths.total(), totals.total());
}
// Of the host, pinned.
inline std::size_t survey_pinned(const Lent& lent, std::size_t n_classes) {
  const std::size_t n = std::min(lent.n, std::size_t(kFarChunk));
  return 2 * piece_of(std::max(n * sizeof(RowLengths), n_classes * lent.d * sizeof(double)));
}

// While lent rows are packed, before the rest is there.
template <class T>
std::size_t packing_bytes(const Lent& lent, bool within, std::size_t padded, std::size_t n, std::size_t n_classes) {
  Bytes bytes;
  bytes.add(n * padded * sizeof(T));
  bytes.add(n * sizeof(T));
  bytes.add(n * sizeof(Scaling));
  if (within) bytes.add(n_classes * lent.d * sizeof(double));
  return bytes.total();
}

// n_rows: of both sides, if they differ.
template <class T>
std::size_t pass_bytes(const Kernels& kernels, bool within, bool row_sums, int depth, std::size_t n_rows,
                       std::size_t n_classes, const Lent& lent, const Info& device) {
  const std::size_t n = rounded(n_rows, kWidth), panels = n / kWidth, padded = rounded(std::size_t(depth), kStep);
  Bytes bytes;
  bytes.add(n * PackedPass<T>::row_bytes(padded, kernels, within, false));  // panels, norms, arrays of chains
  bytes.add((panels + 2 * n_classes) * sizeof(Segment));
  bytes.add((panels + 1) * sizeof(int));
  bytes.add(n * sizeof(int));  // classes
  // Tiles of a square, or of a rectangle of as many panels.
  const std::size_t sides = (panels + kTilePanels - 1) / kTilePanels;
  bytes.add(std::max(sides * (sides + 1), (sides + 1) * (sides + 1) / 2) / 2 * sizeof(Tile) + sizeof(Tile));
  bytes.add(sizeof(int));  // overflow

  const std::size_t pairs = n_classes * n_classes;
  const auto add_sums = [&](bool rows) {
    bytes.add(pairs * sizeof(int));
    bytes.add(2 * pairs * sizeof(std::uint64_t));
    if (!rows) return;
    bytes.add(n * sizeof(double));
    bytes.add(n_classes * sizeof(double));
    bytes.add(n_classes * n * sizeof(std::uint64_t));
  };
  for (const KernelTraits& kernel : traits_of(kernels)) {
    if (!kernel.summed) continue;
    add_sums(row_sums);
    if (kernel.root) add_sums(false);
  }
  for (const ChainSpec& chain : kernels.chains) {
    const std::size_t outputs = 2 * chain.outputs.size();
    bytes.add(sizeof(Chain<T>));
    for (const std::size_t size : {sizeof(Output<T>), sizeof(T*), sizeof(T*), sizeof(Root<T>)})
      bytes.add(outputs * size);
    bytes.add(outputs * sizeof(Scales));
    bytes.add(outputs * sizeof(Sums));
  }
  for (const ExpressionSpec& expression : kernels.expressions) {
    bytes.add(expression.terms.size() * sizeof(Term));
    bytes.add(expression.leaves.size() * sizeof(Leaf<T>));
    for (const std::size_t size : {sizeof(Expression<T>), 2 * sizeof(Scales), 2 * sizeof(Sums)}) bytes.add(size);
  }
  bytes.add(kept_values(kernels) * unit_bytes<T>);
  if (!kernels.expressions.empty()) bytes.add(stack_bytes<Within<T>>(device));
  if (lent.n == 0) return bytes.total();
  return std::max({bytes.total(), survey_bytes(lent, n_classes), packing_bytes<T>(lent, within, padded, n, n_classes)});
}

struct PassBytes {
  std::size_t device, pinned;  // of one device, and of the host for it
};

// The larger pass.
inline PassBytes bytes_of(const Kernels& kernels, const Options& options, int depth, std::size_t n_rows,
                          std::size_t n_classes, const Lent& lent, const Info& device) {
  PassBytes most{0, lent.n > 0 ? survey_pinned(lent, n_classes) : 0};
  for (const bool within : {true, false}) {
    const bool single = within ? options.single_within : options.single_between;
    const auto of = single ? &pass_bytes<float> : &pass_bytes<double>;
    most.device = std::max(most.device, of(kernels, within, options.row_sums, depth, n_rows, n_classes, lent, device));
    const std::size_t panel = single ? panel_bytes<float>(depth) : panel_bytes<double>(depth);
    most.pinned = std::max(most.pinned, 2 * piece_of((n_rows + kWidth - 1) / kWidth * panel));
  }
  return most;
}

}  // namespace nc1fast::device
