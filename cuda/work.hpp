// What a launch works on: the plain data of a pass (nc1fast/pass.hpp), with every pointer in the memory of a device.
#pragma once

#include <cuda_runtime.h>

#include "nc1fast/pass.hpp"

namespace nc1fast::device {

inline constexpr int kWidth = 64;       // rows of a panel: one column of a unit per thread
inline constexpr int kStep = 8;         // depth of a packed row is a multiple of this, zeros at its end
inline constexpr int kStages = 3;       // steps of both panels in shared memory, two of them on their way
inline constexpr int kTilePanels = 16;  // sides of a tile
inline constexpr int kTileUnits = kTilePanels * kTilePanels;

// Sums of one output, modulo 2^128 and 2^64: `Scales` keeps what they stand for far below.
struct Sums {
  std::uint64_t* block;  // (C, C, 2): low and high half of a 128-bit integer; null where it is not summed
  std::uint64_t* rows;   // (C, n_rows), or null
  int kept;              // which of the kept values of a unit it is, or -1
};

// An error that a kernel's root adds to its values, pair by pair: a sum of its own, made of the chords and never held.
template <class T>
struct Root {
  int chain;    // of those of the launch; its values have no root themselves (pairs.hpp)
  const T* mu;  // (n_rows,)
};

template <class T>
struct SumsWork {
  Pass<T> pass;
  const int* classes;                // (n_rows,) of packed rows; -1: padding
  const Tile* tiles;                 // of at most kTilePanels x kTilePanels panels, kTileUnits units each
  std::int64_t first_unit, n_units;  // of these tiles: this launch
  std::int64_t n_rows;
  int n_values;      // outputs of a chain whose values are held at a time
  bool in_place;     // there is one chain, and it has no more: values may replace the chords
  const Sums* sums;  // per output, chain after chain and then the roots, or of the expressions
  int* overflow;     // set where a value is NaN or out of bounds
  T* kept;           // (n_units, n_kept, kWidth, kWidth): values that expressions are made of
  int n_kept;
  const Root<T>* roots;
  int n_roots;
};

template <class T>
struct GramWork {
  GramPass<T> pass;  // out (rows of a launch, n_columns), the first of them row panel p_begin
  Chain<T> chain;    // the only one
  int p_begin, n_column_panels;
  const T* kept;             // of an expression: the matrices of its leaves, as `out`
  std::ptrdiff_t kept_size;  // numbers of each
};

// Values that lie behind one another, `size` numbers of each.
template <class T>
struct Kept {
  const T* first;
  std::ptrdiff_t size;
  NC1FAST_HD const T* operator[](int n) const { return first + n * size; }
};

// Shared memory of a block: a unit of chords, and of values.
template <class T>
constexpr std::size_t unit_bytes = std::size_t(kWidth) * kWidth * sizeof(T);

// Entries for one type, as the host starts them.
template <class T>
struct Launches {
  // half (n_panels * kWidth,) = |u|^2/2, but where that is 0.
  cudaError_t (*half_norms)(const T* panels, int n_panels, int depth, T* half, cudaStream_t stream);
  cudaError_t (*sums)(const SumsWork<T>& work, bool deep, std::size_t shared_bytes, cudaStream_t stream);
  cudaError_t (*gram)(const GramWork<T>& work, bool deep, std::int64_t n_units, cudaStream_t stream);
  // Of expressions, from what the others have kept.
  cudaError_t (*combine_sums)(const SumsWork<T>& work, cudaStream_t stream);
  cudaError_t (*combine_gram)(const GramWork<T>& work, std::int64_t n_units, cudaStream_t stream);
  // Null for double. Numbers become digits (digits.hpp) in their place, with half as above; sums of these.
  cudaError_t (*slices)(T* panels, int n_panels, int depth, T* half, cudaStream_t stream);
  cudaError_t (*digit_sums)(const SumsWork<T>& work, bool deep, std::size_t shared_bytes, cudaStream_t stream);
};
extern const Launches<float> launches_f32;
extern const Launches<double> launches_f64;

}  // namespace nc1fast::device
