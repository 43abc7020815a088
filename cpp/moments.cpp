#include "moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "threads.hpp"

namespace nc1fast {
namespace {

constexpr int kColumns = 1024;        // of a piece: its shift and sums stay in L1 from row to row
constexpr std::int64_t kPieces = 32;  // that a thread takes at a time

// high + low = a + b, high its rounding.
void two_sum(double& high, double& low, double a, double b) {
  const double sum = a + b, part = sum - a;
  low = (a - (sum - part)) + (b - part);
  high = sum;
}

// Rows of a batch by class, those of one class in their order.
struct ByClass {
  std::vector<std::int64_t> rows;    // that have a class
  std::vector<std::int64_t> starts;  // of every class that is there, then the end
  std::vector<std::int64_t> present;

  ByClass(const std::int64_t* classes, std::int64_t n, std::int64_t n_classes) {
    struct Key {
      std::int64_t of, row;
    };
    std::vector<Key> keys, other;
    for (std::int64_t i = 0; i < n; ++i) {
      if (classes[i] >= n_classes || classes[i] < -1) throw std::invalid_argument("a class is out of range");
      if (classes[i] >= 0) keys.push_back({classes[i], i});
    }
    constexpr int kBits = 11;
    other.resize(keys.size());
    for (int shift = 0; (n_classes - 1) >> shift > 0; shift += kBits) {
      std::int64_t begins[(1 << kBits) + 1] = {};
      const auto digit = [&](const Key& key) { return (key.of >> shift) & ((1 << kBits) - 1); };
      for (const Key& key : keys) ++begins[digit(key) + 1];
      for (int k = 0; k < 1 << kBits; ++k) begins[k + 1] += begins[k];
      for (const Key& key : keys) other[std::size_t(begins[digit(key)]++)] = key;
      keys.swap(other);
    }
    for (const Key& key : keys) {
      if (present.empty() || present.back() != key.of) {
        starts.push_back(std::int64_t(rows.size()));
        present.push_back(key.of);
      }
      rows.push_back(key.row);
    }
    starts.push_back(std::int64_t(rows.size()));
  }
};

template <class T, class S>
double by(const Routines<T>& on, const Deviations<T, S>& of) {
  if constexpr (sizeof(T) == sizeof(S))
    return on.deviations(of);
  else
    return on.deviations_from_doubles(of);
}

}  // namespace

template <class T, class S>
void add_rows(const InstructionSet& set, const T* rows, std::int64_t n, std::ptrdiff_t stride,
              const std::int64_t* classes, int n_threads, const MomentSums<S>& to) {
  const ByClass batch(classes, n, to.n_classes);
  const std::ptrdiff_t d = to.n_features;
  const std::int64_t n_present = std::int64_t(batch.present.size()), n_pieces = (d + kColumns - 1) / kColumns;
  const Routines<T>& on = routines<T>(set);
  std::vector<double> squares(std::size_t(n_present * n_pieces));
  const std::int64_t n_items = n_present * n_pieces;
  const auto add = [&](std::int64_t item) {
    const auto piece_at = [&](std::int64_t at) {
      const std::int64_t p = at / n_pieces, k = at % n_pieces * kColumns;
      const std::int64_t of = batch.present[std::size_t(p)], begin = batch.starts[std::size_t(p)];
      Deviations<T, S> piece;
      piece.rows = rows + k;
      piece.stride = stride;
      piece.index = batch.rows.data() + begin;
      piece.n = batch.starts[std::size_t(p) + 1] - begin;
      piece.width = int(std::min<std::ptrdiff_t>(d - k, kColumns));
      piece.shift = to.shift + of * d + k;
      piece.sums = to.low + of * d + k;
      return piece;
    };
    Deviations<T, S> piece = piece_at(item);
    const Deviations<T, S> next = item + 1 < n_items ? piece_at(item + 1) : piece;
    piece.next_row = next.rows + next.index[0] * stride;
    piece.next_shift = next.shift;
    piece.next_sums = next.sums;
    const std::int64_t of = batch.present[std::size_t(item / n_pieces)];
    if (to.sizes[of] == 0) {
      S* shift = to.shift + (piece.shift - to.shift);
      const T* first = piece.rows + piece.index[0] * stride;
      for (int k = 0; k < piece.width; ++k) shift[k] = S(first[k]);
    }
    squares[std::size_t(item)] = by(on, piece);
    const std::int64_t before = std::int64_t(to.sizes[of]);
    if (before / kFold == (before + piece.n) / kFold) return;
    double* high = to.high + (piece.sums - to.low);
    for (int k = 0; k < piece.width; ++k) two_sum(high[k], piece.sums[k], high[k], piece.sums[k]);
  };
  parallel_for((n_items + kPieces - 1) / kPieces, n_threads, [&](int, std::int64_t group) {
    const std::int64_t end = std::min(n_items, (group + 1) * kPieces);
    for (std::int64_t item = group * kPieces; item < end; ++item) add(item);
  });
  for (std::int64_t p = 0; p < n_present; ++p) {
    const std::int64_t of = batch.present[std::size_t(p)];
    const std::int64_t more = batch.starts[std::size_t(p) + 1] - batch.starts[std::size_t(p)];
    double sum = 0, low = 0;
    for (std::int64_t k = 0; k < n_pieces; ++k) sum += squares[std::size_t(p * n_pieces + k)];
    double* high = to.squares + of;
    two_sum(*high, low, *high, sum);
    to.squares[to.n_classes + of] += low;
    *to.longest = std::max(*to.longest, std::fmod(to.sizes[of], double(kFold)) + double(more));
    to.sizes[of] += double(more);
  }
}
template void add_rows(const InstructionSet&, const float*, std::int64_t, std::ptrdiff_t, const std::int64_t*, int,
                       const MomentSums<float>&);
template void add_rows(const InstructionSet&, const float*, std::int64_t, std::ptrdiff_t, const std::int64_t*, int,
                       const MomentSums<double>&);
template void add_rows(const InstructionSet&, const double*, std::int64_t, std::ptrdiff_t, const std::int64_t*, int,
                       const MomentSums<double>&);

}  // namespace nc1fast
