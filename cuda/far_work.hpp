// What launches over rows that lie on the device work on, and how the host starts them.
#pragma once

#include "scaling.hpp"
#include "work.hpp"

namespace nc1fast::device {

inline constexpr int kFarRows = 8;             // rows that a warp measures
inline constexpr int kFarColumns = 32;         // of a panel, packed by a block
inline constexpr int kFarStride = kWidth + 1;  // between these in shared memory, so that banks differ
inline constexpr std::int64_t kMostFeatures = 1 << 30;
// Rows of which numbers are fetched or sent at a time. The shim has few, so that there are several such times.
inline constexpr std::int64_t kFarChunk =
#if defined(NC1FAST_FAR_CHUNK)
    NC1FAST_FAR_CHUNK;
#else
    1 << 16;
#endif

// n rows of d numbers, float64 if they are wide, else float32; strides in numbers.
struct FarSource {
  const void* data;
  std::int64_t row, column;
  int d;
  bool wide;
};

// Class of each row (null: about the origin), and the means of the classes (C, d), where they are centred.
struct FarMeans {
  const int *classes, *centred;
  const double* means;
};

template <class T>
struct FarPanels {
  FarSource x;
  const Scaling* rows;  // of every packed row
  const double* means;
  int depth, padded;  // of a packed row: with its bias, and with zeros at its end
  T* panels;          // (n_panels, padded, kWidth)
};

// Shared memory of a block that packs.
template <class T>
constexpr std::size_t far_bytes = std::size_t(kFarColumns) * kFarStride * sizeof(T);

struct FarLaunches {
  cudaError_t (*inspect)(const FarSource& x, std::int64_t first, std::int64_t n, int* found, cudaStream_t stream);
  cudaError_t (*measure)(const FarSource& x, std::int64_t first, std::int64_t n, const FarMeans& about, RowLengths* out,
                         cudaStream_t stream);
  cudaError_t (*add_up)(const FarSource& x, const std::int64_t* order, std::int64_t first, std::int64_t n,
                        const std::int64_t* begins, int n_classes, double* totals, cudaStream_t stream);
  cudaError_t (*pack_f32)(const FarPanels<float>& work, std::int64_t n_panels, cudaStream_t stream);
  cudaError_t (*pack_f64)(const FarPanels<double>& work, std::int64_t n_panels, cudaStream_t stream);
};
extern const FarLaunches far_launches;

}  // namespace nc1fast::device
