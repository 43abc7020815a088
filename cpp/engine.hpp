// The streaming pass as a whole: pack the rows, compute what belongs to one row, run the tiles on threads, turn the
// integer sums into numbers. Compiled once, for any x86-64 or aarch64 machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nc1fast/pass.hpp"

namespace nc1fast {

// X as the caller has it: n rows of d numbers, float32 or float64, rows contiguous.
struct Matrix {
  const void* data = nullptr;
  bool single = false;
  std::ptrdiff_t n = 0, d = 0, stride = 0;  // stride in elements
};

struct OutputSpec {
  int level;
  Quantity quantity;  // covariance or tangent
  double alpha, beta;
};

// One activation, its layers, and the kernels taken from it. weights, biases: one per layer that is reached.
struct ChainSpec {
  std::string activation;
  double parameter = 0;
  std::vector<double> weights, biases;
  bool tangent = false;
  double theta_scale = 1, theta_offset = 0;         // Theta^0 = scale Sigma^0 + offset
  std::vector<std::array<double, 3>> coefficients;  // (q, one, theta) of Theta^1, Theta^2, ...
  std::vector<OutputSpec> outputs;

  int n_duals() const;
  // One of its kernels has a root at rho = +-1: rounding errors of the angle are not bounded by those of rho.
  bool root(const OutputSpec& output) const;
  Form distance_form() const;
};

// Called now and then from the calling thread with (done, total); false stops the pass.
using Poll = std::function<bool(std::int64_t, std::int64_t)>;

struct Options {
  bool single_within = false, single_between = false;  // tile types
  bool row_sums = false;
  int n_threads = 1;
  int part = 0, parts = 1;
  int tile_panels = 0;  // 0: chosen from the cache
  Poll poll;
};

// Sums of one kernel. block: what the integers say, to be scaled by 2^(exponent - 120); within a class they are sums of
// D2 over ordered pairs, between classes sums of k, upper triangle.
struct KernelSums {
  std::vector<Int128> block, sensitivity;           // (C, C)
  std::vector<int> exponent, sensitivity_exponent;  // (C, C)
  std::vector<double> traces;                       // (C,)
  // (C,)  sum of lambda_i and of lambda_i |delta_i|^2, where |dk_ij| <= lambda_i lambda_j |dt_ij|
  std::vector<double> slopes, slope_squares, spread_slopes;
  std::vector<double> sensitivity_diagonal;  // (C,) what the pairs i = i, whose error is 0, add to `sensitivity`
  std::vector<double> k;                     // (N,) k_ii, sorted rows
  // Row sums: integer / (row_scale[i] column_scale[c]) between classes; within, of D2, / row_scale_within[i].
  std::vector<double> row_scale, column_scale, row_scale_within, column_scale_within;
};

// The pass over sorted rows: order[i] is the caller's row, sizes the rows of each class. row_sums: per kernel (C, N)
// zeroed 64-bit integers, or null pointers. Throws std::overflow_error on overflow;
// returns false when stopped by poll.
bool class_sums(const Matrix& x, const std::int64_t* order, const std::vector<std::int64_t>& sizes,
                const std::vector<ChainSpec>& chains, const Options& options, std::vector<KernelSums>& sums,
                const std::vector<std::int64_t*>& row_sums);

// out (n, m) of the one kernel of `chain`; z.data == nullptr: of X with itself. False when stopped.
template <class T>
bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll, T* out);

// out (n, d) = (k o A) X, A = scale inverse - factor factor^T, for the one kernel of `chain` and float64 rows X; of
// `inverse` (n, n) the upper triangle is read, `factor` is (n, n_outputs). False when stopped.
bool product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
             int n_outputs, int n_threads, const Poll& poll, double* out);

// k(x_i, x_i) of the one kernel of `chain`.
void diagonal(const Matrix& x, const ChainSpec& chain, double* out);

}  // namespace nc1fast
