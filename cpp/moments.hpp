// Moments of the rows of every class, batch by batch: sums about a shift, each as high + low.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.hpp"

namespace nc1fast {

// S: float where all rows so far are, which the shift then is too.
template <class S>
struct MomentSums {
  std::int64_t n_classes = 0;
  std::ptrdiff_t n_features = 0;
  double* sizes = nullptr;                 // (n_classes,)
  double* longest = nullptr;               // (1,): most rows whose deviations were added to a low before it was emptied
  double* squares = nullptr;               // (2, n_classes): of the deviations, high and low
  S* shift = nullptr;                      // (n_classes, n_features): the first row of each class
  double *high = nullptr, *low = nullptr;  // (n_classes, n_features): of the deviations
};

// Adds rows (n, n_features), `stride` apart, of these classes; -1: of none. Deviations are added to low, which is
// emptied into high whenever kFold more rows of the class have come; what high rounds off stays in low (Knuth), so that
// errors do not add up. The bits depend on no thread. Throws std::invalid_argument for a class that is not there.
inline constexpr std::int64_t kFold = 64;
template <class T, class S>
void add_rows(const InstructionSet& set, const T* rows, std::int64_t n, std::ptrdiff_t stride,
              const std::int64_t* classes, int n_threads, const MomentSums<S>& to);

}  // namespace nc1fast
