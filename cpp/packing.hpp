// Rows into panels: unit rows (between classes, Gram matrices), or rows centred within their class.
#pragma once

#include <cmath>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "threads.hpp"

namespace nc1fast {

// Memory aligned to a cache line, uninitialised.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n)
      : data_(n ? static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64)) : nullptr) {
    if (n && !data_) throw std::bad_alloc();
  }
  Buffer(Buffer&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }
  T* get() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
};

// The input layer as an augmented row (sqrt(wx/d0) x, sqrt(wb)): with it a bias is one more feature.
struct InputLayer {
  double wx = 1, wb = 0;
  static InputLayer of(double weight_variance, double bias_variance) {
    if (weight_variance == 0) return {0, bias_variance > 0 ? 1.0 : 0.0};
    return {1, bias_variance / weight_variance};
  }
  bool operator==(const InputLayer&) const = default;
};

// The rows of a data set seen from their classes.
struct Rows {
  const Matrix& x;
  const std::int64_t* order;         // null: as they come
  std::vector<std::int64_t> begins;  // class c: sorted rows [begins[c], begins[c + 1])
  InputLayer layer;
  int depth;                   // d0, plus one with a bias
  Buffer<double> mean;         // (C, d0)
  std::vector<double> mean_a;  // (C,) |x_m|^2/d0
  std::vector<char> centred;   // (C,)
  Buffer<double> a, da;        // (N,) |x|^2/d0 and its difference to the class mean's
  Buffer<int> cls;             // (N,)
  Buffer<double> chord;        // (N,) |u - u_m|^2/2

  // One class without means when `sizes` is empty. float64; O(N d0).
  Rows(const Matrix& x, const std::int64_t* order, const std::vector<std::int64_t>& sizes, InputLayer layer,
       int n_threads);
  std::int64_t n() const { return begins.back(); }
  std::size_t n_classes() const { return begins.size() - 1; }
  double size(std::size_t c) const { return double(begins[c + 1] - begins[c]); }
  // Sorted row r in float64, into buffer (d0,).
  void read(std::int64_t r, double* buffer) const;
  double radius(double norm) const { return std::sqrt(layer.wx * norm + layer.wb); }
};

// Panels of `width` rows, k-major: unit rows, or unit rows minus the unit row of the class mean.
template <class T>
struct Packed {
  int width = 0, n_panels = 0, depth = 0;
  Buffer<T> panels, half_norms, spreads;  // (n_panels, depth, width), (n_panels * width,) |u|^2/2 and |u|
  Packed() = default;
  Packed(const Rows& rows, bool centred, const Routines<T>& routines, int n_threads);
  std::size_t n_rows() const { return std::size_t(n_panels) * std::size_t(width); }
};

}  // namespace nc1fast
