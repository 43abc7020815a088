// What one streaming pass works on, and what a tile of it yields: plain data, the border between the engine (threads,
// memory, schedule; compiled once) and the tiles (compiled per instruction set).
//
// Rows are sorted by class and stored in panels of kPanel rows, k-major, so that a product reads both operands in
// order. Classes need not start at a panel: `segments` says which rows of a panel belong to which class.
// The unit of work and of rounding is a panel pair P <= Q; a tile is a rectangle of panels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nc1fast/kernels.hpp"

namespace nc1fast {

using Int128 = __int128;

// Rows are divided at multiples of this: a multiple of every panel width, so that panels are the same for any division.
inline constexpr std::int64_t kRowStep = 48;

struct Segment {
  int begin, end;  // rows within the panel
  int cls;
};

// How a chain is evaluated on a pair of panels: distances within classes, the others between them.
enum class Form : int {
  covariance,
  plain_distance,
  rectifier_distance,
  erf_distance,
  rectifier_tangent,
  rectifier_both
};
// RectifierTangent: without the input's tangent kernel.
NC1FAST_HD constexpr bool is_polynomial(Form f) { return f == Form::rectifier_tangent || f == Form::rectifier_both; }
NC1FAST_HD constexpr bool is_distance(Form f) { return f != Form::covariance && !is_polynomial(f); }
NC1FAST_HD constexpr bool is_of_one_layer(Form f) { return f == Form::erf_distance || is_polynomial(f); }

// Which code evaluates it: `activation` counts in `Activations`; tangent: a kernel of it needs Theta; deep: more or
// fewer than one hidden layer.
struct Kind {
  int activation;
  Form form;
  bool tangent, deep;
};

template <class T>
struct Chain;
template <class T>
using Epilogue = void (*)(const Chain<T>&, int p, int q, const T* chords, T* const* values);

// One recursion and the kernels taken from it.
template <class T>
struct Chain {
  Kind kind{};
  Epilogue<T> epilogue = nullptr;
  double parameter = 0;  // of the activation
  Recursion<T> recursion;
  TangentPolynomial<T> polynomial;            // where the form is one
  const T* fields[kMaxLevels][kFields] = {};  // (rows,) each; zeros where unused
  const T* series[kMaxLevels] = {};           // (n_panels, n_series, kPanel) each: coefficients of a series, or null
  int n_series = 0;
  int n_outputs = 0;
  const Output<T>* outputs = nullptr;       // sorted by level
  int first_output[kMaxLevels + 2] = {};    // outputs of level l: [first_output[l], first_output[l + 1])
  const T* const* diagonals = nullptr;      // per output: k_ii as the recursion rounds it (plain_distance), or null
  const T* const* sensitivities = nullptr;  // per output: mu_i of a sensitivity, or null
  const T* half_norms = nullptr;            // (rows,) |u_i|^2/2 by the chain of FMAs of the products
  const T* displacements = nullptr;         // (rows,) how far a packed row may be off, in units of its rounding
  const T* lift[4] = {};  // (rows,) f, g, df, dg of the link from rows to rows with their bias; or null
  T noise = 0;            // relative error of a product of rows
  T least = 0;            // what vanishes in such a product, over noise
  T displacement = 0;     // unit of `displacements`, over 2 noise
};

// Expressions (expressions.hpp) ------------------------------------------------------------------------------------

inline constexpr int kMaxTerms = 64;  // of an expression
enum class Operation : int { leaf, scale, sum, product };
// first, second: earlier terms, or the number of the leaf; factor: of scale.
struct Term {
  Operation operation;
  int first, second;
  double factor;
};

// A kernel of a chain that an expression is made of: where its values and its sensitivities (or -1) are in a unit, and
// within classes k_ii and k_ii - k_mm, m the reference row of the class.
template <class T>
struct Leaf {
  int value = 0, sensitivity = -1;
  const T *diagonal = nullptr, *excess = nullptr;  // (rows,)
};

template <class T>
struct Expression {
  int n_terms = 0;
  const Term* terms = nullptr;
  const Leaf<T>* leaves = nullptr;
  bool rooted = false;  // one of its leaves has a sensitivity
  T unit = 0;           // 2 noise: of the sensitivities
};

// What the values x of an output of a tile stand for: alpha h_i h_j x + beta, h = 1 where there is none. Applied to
// sums, where it costs little.
template <class T>
struct Factors {
  const T* h = nullptr;  // (rows,)
  double alpha = 1, beta = 0;
};

// Powers of two that turn the sums of one output into integers; without `block` it is not summed. Bounds:
// Cauchy-Schwarz, |k_ij| <= sqrt(k_ii k_jj).
struct Scales {
  const int* block = nullptr;      // (C, C) exponent e: |block sum| < 2^e
  const double* row = nullptr;     // (rows,) and
  const double* column = nullptr;  // (C,): |row-class sum| row[i] column[c] < 2^61
};

// Integer sums of one output over one tile. Block sums: multiples of 2^(e - 120). Row sums: see Scales.
struct TileSums {
  Int128* block;          // (classes of the row panels, classes of the column panels)
  std::int64_t* rows;     // (classes of the column panels, rows of the row panels), or null
  std::int64_t* columns;  // (classes of the row panels, rows of the column panels), or null
};

// The panel whose turn is next, most often as columns, and the share of it, one of `parts`, that is to reach L2
// meanwhile.
template <class T>
struct Soon {
  const T* panel;
  int part = 0, parts = 1;
  bool as_rows = false;
};

// How rows are multiplied.
template <class T>
struct RowProducts {
  // Chords of every row of panel a with every row of panel b: out (kPanel, kPanel).
  using Chords = void (*)(const T* a, const T* b, int depth, const T* half_a, const T* half_b, Soon<T> soon, T* out);
  std::size_t (*row)(int depth) = nullptr;  // numbers that a packed row takes, depth at least
  // Makes packed panels what `chords` takes, and gives |u|^2/2 of their rows by the sums of the products.
  void (*finish)(T* panels, int n_panels, int depth, T* half_norms) = nullptr;
  Chords chords[2] = {};                            // without signs, and with
  std::size_t tile_bytes = std::size_t(512) << 10;  // of a tile's rows, as numbers: half of a small L2
};

template <class T>
struct Pass {
  bool within = false;  // tiles within classes (D2, rows centred) or between them (k)
  int depth = 0;        // length of a packed row
  int n_classes = 0;
  const RowProducts<T>* products = nullptr;  // not on devices
  std::ptrdiff_t panel = 0;                  // numbers of a panel
  const T* panels = nullptr;                 // (n_panels, depth, kPanel), finished
  const T* half_norms = nullptr;             // (n_panels * kPanel,)
  const Segment* segments = nullptr;
  const int* first_segment = nullptr;  // (n_panels + 1,)
  int n_chains = 0;
  const Chain<T>* chains = nullptr;
  const Scales* scales = nullptr;  // per output, chain after chain
  int n_outputs = 0;               // of all chains, then one or, where it is rooted, two of each expression
  int n_expressions = 0;
  const Expression<T>* expressions = nullptr;
};

struct Tile {
  int p_begin, p_end, q_begin, q_end;  // panels
  int row_class, column_class;         // first class of the row and of the column panels
  int n_column_classes;
};

// Memory of one worker: chords of a unit, the same of rows with their bias, values of every output, sums along its
// columns and rows.
template <class T>
struct Scratch {
  T *chords, *lifted;
  T* const* values;
  double *column_sums, *row_sums;
};

// Gram matrix of one kernel. Symmetric: Q is X itself and the transposed unit is written as well.
template <class T>
struct GramPass {
  int depth = 0;
  bool symmetric = false;
  bool refine = false;                       // recompute small chords by differences
  const RowProducts<T>* products = nullptr;  // not on devices
  std::ptrdiff_t panel = 0;                  // numbers of a panel
  const T *row_panels = nullptr, *column_panels = nullptr;
  const T *row_half_norms = nullptr, *column_half_norms = nullptr;
  std::ptrdiff_t n_rows = 0, n_columns = 0;
  int row_offset = 0;  // panels before those of X in the chain's fields and in `norms`
  const T* norms = nullptr;
  int n_chains = 0;
  const Chain<T>* chains = nullptr;
  int value = 0;                // which output of the only chain is wanted, without an expression
  Expression<T> expression;     // else: of the outputs of all chains
  const T* diagonal = nullptr;  // k_ii of what is wanted, as `norms`
  T* out = nullptr;             // (n_rows, n_columns)
};

// (k o A) X for a symmetric k: A = scale inverse - factor factor^T, never stored.
template <class T>
struct Product {
  T scale = 1;
  const T* inverse = nullptr;  // (n, n), of which the upper triangle is read
  const T* factor = nullptr;   // (n, n_outputs)
  int n_outputs = 0;
  int stride = 0;        // columns of x and out: those of X, then zeros up to a multiple of Routines::stride
  const T* x = nullptr;  // (n_panels * kPanel, stride)
  T* out = nullptr;      // likewise; starts at zero
};

// Sums of kernel values times k columns of numbers, over the pairs of a GramPass: K V, and K^T W of a pass that serves
// both sides.
template <class T>
struct Multiplicands {
  int k = 0;
  const T* of_columns = nullptr;  // V (n_columns, k), whose products belong to the rows
  const T* of_rows = nullptr;     // W (n_rows, k), whose products belong to the columns; null: these are not wanted
};

// out = A B, of matrices that lie anywhere: strides in numbers.
template <class T>
struct MatrixProduct {
  std::ptrdiff_t n_rows = 0, n_columns = 0, n_inner = 0;
  const T* a = nullptr;  // (n_rows, n_inner)
  std::ptrdiff_t a_row = 0, a_inner = 0;
  const T* b = nullptr;  // (n_inner, n_columns)
  std::ptrdiff_t b_inner = 0, b_column = 0;
  T* out = nullptr;  // (n_rows, n_columns)
  std::ptrdiff_t out_row = 0, out_column = 0;
};

// Some columns of rows of one class, and the sums of their deviations from a shift, to which they are added.
template <class T, class S>
struct Deviations {
  const T* rows = nullptr;
  std::ptrdiff_t stride = 0;
  const std::int64_t* index = nullptr;  // (n,): of the rows
  std::int64_t n = 0;
  int width = 0;
  const S* shift = nullptr;     // (width,)
  double* sums = nullptr;       // (width,)
  const T* next_row = nullptr;  // where the next ones begin
  const S* next_shift = nullptr;
  const double* next_sums = nullptr;
};

// Sequences (recurrent.hpp) ----------------------------------------------------------------------------------------

inline constexpr int kRecurrentUnits = 6;  // units of scratch that a walk over the steps of two panels takes

// A panel of sequences, aligned at their ends: step 0 is the last one. Steps before a sequence begins are zeros.
template <class T>
struct SequencePanel {
  int n_steps = 0;                // of its longest sequence
  const T* rows = nullptr;        // (n_steps, depth, kPanel): inputs and bias over the deviation of the pre-activation
  const T* half_norms = nullptr;  // (n_steps, kPanel): |row|^2/2 by the chain of FMAs of the products
  const T* links = nullptr;       // (n_steps, kPanel): share of the step before, 0 where a sequence begins
  const T* diagonal = nullptr;    // (kPanel,): the value of a sequence with itself
};

template <class T>
struct RecurrentPass {
  int depth = 0;  // length of a packed row
  bool tangent = false;
  T step = 0, link = 0, unit = 0;  // errors: absolute of 1 - |rho| by one step, relative of f_i f_j, unit roundoff
};

// What an instruction set offers for one type.
template <class T>
struct Routines {
  int panel = 0, stride = 0;
  Epilogue<T> (*epilogue)(Kind) = nullptr;  // null where an activation has no such form
  RowProducts<T> products, by_fma;          // those of this set, and those whose panels stay numbers
  bool (*sums)(const Pass<T>&, const Tile&, const Scratch<T>&, const TileSums*) = nullptr;
  void (*gram)(const GramPass<T>&, int p, int q, const Scratch<T>&) = nullptr;
  void (*product)(const GramPass<T>&, const Product<T>&, int p, int q, const Scratch<T>&) = nullptr;
  // Sums of a tile, (k, rows) and (k, columns); start at zero.
  void (*multiply)(const GramPass<T>&, const Multiplicands<T>&, const Tile&, const Scratch<T>&, double* of_rows,
                   double* of_columns) = nullptr;
  bool (*add_row_sums)(std::int64_t* target, const double* sums, const double* row, double column, int begin,
                       int end) = nullptr;
  std::size_t (*matmul_scratch)(int panels) = nullptr;
  void (*matmul)(const MatrixProduct<T>&, std::ptrdiff_t row, std::ptrdiff_t column, int panels, T* scratch) = nullptr;
  void (*recurrent)(const RecurrentPass<T>&, const SequencePanel<T>& a, const SequencePanel<T>& b, T* scratch,
                    T* values, T* errors) = nullptr;  // errors: or null
  double (*deviations)(const Deviations<T, T>&) = nullptr;
  double (*deviations_from_doubles)(const Deviations<T, double>&) = nullptr;
};

struct InstructionSet {
  const char* name;
  Routines<float> f32;
  Routines<double> f64;
};

}  // namespace nc1fast
