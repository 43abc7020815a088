// The streaming pass as a whole: survey the data, pack rows, run the tiles on threads, add integers. Compiled once, for
// any x86-64 or aarch64 machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nc1fast/pass.hpp"

namespace nc1fast {

enum class Element : int { f64, f32, f16, i8, u8, i16, u16, i32, u32, i64, u64 };
int element_size(Element element);  // bytes

class FarRows;

// X as it is stored: n rows of d contiguous numbers, in memory or in a file.
struct Matrix {
  const void* data = nullptr;  // null: in the file
  int file = -1;
  std::int64_t offset = 0;  // of its first row, in bytes
  Element element = Element::f64;
  std::ptrdiff_t n = 0, d = 0, stride = 0;  // stride in bytes
  // What is read: the rows, or where a factor (stored, d) is given the product of rows of `stored` numbers with it.
  const double* factor = nullptr;
  std::ptrdiff_t stored = 0;
  const FarRows* far = nullptr;  // `data` is in memory that the processor does not read (far_rows.hpp)
};

struct OutputSpec {
  int level;
  Quantity quantity;  // covariance or tangent
  double alpha, beta;
  bool summed = true;  // or only a leaf of expressions
};

// A table of an activation with the numbers that it points to.
struct Tabulated {
  std::vector<double> values;
  SeriesTable table;
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
  std::shared_ptr<const Tabulated> table;  // of a series
  bool lift = false;                       // the rows of its pass are without a bias, which is added to their angles

  int n_duals() const;
  // One of its kernels has a root at rho = +-1: rounding errors of the angle are not bounded by those of rho.
  bool root(const OutputSpec& output) const;
  bool root_value() const;       // the root is in the values of a layer: it is passed once in each
  Form covariance_form() const;  // of tiles between classes
  Form distance_form() const;    // of tiles within them
  // Whether both are one kernel of the same hidden layer of rectifiers, this its NNGP and the other one its NTK:
  // between classes one chain, Form::rectifier_both.
  bool has_tangent(const ChainSpec& other) const;
};

// A kernel made of kernels of chains: the numbers of its leaves among the outputs of all chains, and what becomes of
// them.
struct ExpressionSpec {
  std::vector<int> leaves;
  std::vector<Term> terms;
};

// The kernels of a pass, or of a Gram matrix: those of its chains, then its expressions.
struct Kernels {
  std::vector<ChainSpec> chains;
  std::vector<ExpressionSpec> expressions;

  std::size_t n_outputs() const {  // of all chains
    std::size_t n = 0;
    for (const ChainSpec& chain : chains) n += chain.outputs.size();
    return n;
  }
  std::size_t size() const { return n_outputs() + expressions.size(); }
};

// Called now and then from the calling thread with (done, total); false stops the pass.
using Poll = std::function<bool(std::int64_t, std::int64_t)>;

struct Options {
  bool single_within = false, single_between = false;  // tile types
  bool row_sums = false;
  int n_threads = 1;
  int tile_panels = 0;  // 0: chosen from the cache
  Poll poll;
};

// The input layer as an augmented row (sqrt(wx/d0) x, sqrt(wb)): with it a bias is one more feature.
struct InputLayer {
  double wx = 1, wb = 0;
  static InputLayer of(const ChainSpec& chain) {
    if (chain.lift) return {1, 0};
    const double weight = chain.weights.at(0), bias = chain.biases.at(0);
    if (weight == 0) return {0, bias > 0 ? 1.0 : 0.0};
    return {1, bias / weight};
  }
};

// What the rows of each class are measured from: its mean. A class without a usable direction is not centred.
struct Means {
  std::vector<double> mean;   // (C, d0)
  std::vector<double> norm;   // (C,) |mean|^2/d0
  std::vector<char> centred;  // (C,)
};

// What tiles need to know about all rows before the first of them runs: sums of one kernel over the rows of a class, in
// the order of the rows, (C,) each.
struct KernelSurvey {
  // Sums of k_ii and of sqrt k_ii, of the bound on D2 to the reference row, of mu_i and mu_i displaced_i: what
  // exponents follow from; and what error bounds do, by the factors of OutputRow and the distances of RowInput: of
  // lambda_i, lambda_i^2, lambda_i |delta_i|^2 and lambda_i^2 displaced_i^2, of nu_i, shift_i and floor_i, and of the
  // errors of k_ii.
  std::vector<double> traces, roots, references, moves, spread_moves;
  std::vector<double> slopes, slope_squares, spread_slopes, displacements, noises, shifts, floors, trace_noises;
  // With row sums only, sorted rows: k_ii, and the scale of row sums of D2. (N,)
  std::vector<double> k, row_scale_within;
};

struct Survey {
  Means means;
  std::vector<KernelSurvey> kernels;
};

// Two scans over X in the order in which it is stored; classes: (N,). False when stopped by poll. Throws
// std::overflow_error on overflow, std::domain_error where a file holds NaN or Inf.
bool survey(const Matrix& x, const std::int32_t* classes, const std::vector<std::int64_t>& sizes,
            const Kernels& kernels, const Options& options, Survey& out);

// Sorted rows [begin, end).
struct Span {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const Span&) const = default;
};

// The pairs of rows that a part of a pass covers: those of two spans, one before the other, or of one with itself.
struct Rectangle {
  Span rows, columns;
  bool square() const { return rows == columns; }
};

// Integer sums of one kernel. block: to be scaled by 2^(exponent - 120); within a class they are sums of D2 over
// ordered pairs, between classes sums of k, upper triangle.
struct KernelSums {
  std::vector<Int128> block, sensitivity;           // (C, C)
  std::vector<int> exponent, sensitivity_exponent;  // (C, C)
  // Row sums: integer / (row_scale[i] column_scale[c]) between classes; within, of D2, / row_scale_within[i].
  std::vector<double> row_scale, column_scale;
};

// The pass over the pairs of some rectangles of sorted rows: order[i] is the caller's row, sizes the rows of each
// class. `given` is filled if it is empty: for the one rectangle of everything, by the scan that packs the rows.
// row_sums: per kernel (C, N) zeroed 64-bit integers, or null pointers, as where a kernel is not summed. Throws as
// `survey`; false when stopped.
class Backend;
bool class_sums(const Backend& backend, const Matrix& x, const std::int64_t* order, const std::int32_t* classes,
                const std::vector<std::int64_t>& sizes, const Kernels& kernels, const Options& options,
                const std::vector<Rectangle>& rectangles, Survey& given, std::vector<KernelSums>& sums,
                const std::vector<std::int64_t*>& row_sums);

// Bytes per row of the larger side of a pass, within classes or between them, and of both together.
struct RowBytes {
  std::int64_t larger, both;
};
// far: of rows that are packed elsewhere.
RowBytes row_bytes(const Backend& backend, std::int64_t d, const Kernels& kernels, const Options& options,
                   bool far = false);

// Of one kernel, the last of `kernels`, and every row: k_ii, its error, slope and noise, as in OutputRow; the first
// n_values of them. out: (n_values, n)
void diagonal(const Matrix& x, const Kernels& kernels, int n_values, double* out);

// E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for (u, v) ~ N(0, [[a, c], [c, b]]), with s = sqrt(ab - c^2): n of each.
// out: (2, n). The derivative of an activation that jumps is 0.
void duals(const std::string& activation, double parameter, std::int64_t n, const double* a, const double* b,
           const double* c, const double* s, double* out);

}  // namespace nc1fast
