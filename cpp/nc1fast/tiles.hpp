// The loop: panel pairs of a tile -> chords -> values -> sums. Instantiated once per instruction set and type.
//
// Only pairs P <= Q are visited. Off the diagonal a unit stands for both (P, Q) and (Q, P): its row sums go to the
// rows of P, its column sums to the rows of Q. Between classes i < j already counts each pair once; within a class a
// unit off the diagonal counts twice and the diagonal unit is the full square, counted once, by rows.
#pragma once

#include "nc1fast/deviations.hpp"
#include "nc1fast/epilogue.hpp"
#include "nc1fast/expressions.hpp"
#include "nc1fast/inner.hpp"
#include "nc1fast/matmul.hpp"
#include "nc1fast/multiply.hpp"
#include "nc1fast/recurrent.hpp"
#include "nc1fast/reductions.hpp"
#include "nc1fast/row_sums.hpp"

namespace nc1fast {

template <class T, class Isa>
struct Tiles {
  using V = Vec<T, Isa>;
  static constexpr int kN = kPanel<T, Isa>, kL = kLanes<T, Isa>;
  static_assert(kRowStep % kN == 0, "rectangles begin at panels");

  // One output of one unit into the integer sums of the tile. False where a value is NaN or out of bounds.
  static bool reduce(const Pass<T>& pass, const Tile& tile, int p, int q, const T* values, const Factors<T>& factors,
                     const Scales& scales, const TileSums& sums, const Scratch<T>& scratch) {
    using R = Reduction<T, Isa>;
    const typename R::OfUnit of(factors, p, q);
    const std::ptrdiff_t n_row = std::ptrdiff_t(tile.p_end - tile.p_begin) * kN;
    const std::ptrdiff_t n_column = std::ptrdiff_t(tile.q_end - tile.q_begin) * kN;
    const std::ptrdiff_t row_at = std::ptrdiff_t(p - tile.p_begin) * kN,
                         column_at = std::ptrdiff_t(q - tile.q_begin) * kN;
    const bool diagonal = p == q;
    bool finite = true;
    for (int b = pass.first_segment[q]; b < pass.first_segment[q + 1]; ++b) {
      const Segment& column = pass.segments[b];
      bool have_rows = false;
      for (int a = pass.first_segment[p]; a < pass.first_segment[p + 1]; ++a) {
        const Segment& row = pass.segments[a];
        if ((row.cls == column.cls) != pass.within || (diagonal && row.begin > column.begin)) continue;
        const std::ptrdiff_t rc = row.cls - tile.row_class, cc = column.cls - tile.column_class;
        double x = R::columns(values, row.begin, row.end, column.begin, column.end, of, scratch.column_sums);
        if (pass.within && !diagonal) x *= 2;
        finite &= add_exact(sums.block[rc * tile.n_column_classes + cc], x,
                            scales.block[std::ptrdiff_t(row.cls) * pass.n_classes + column.cls]);
        if (!sums.rows) continue;
        if (!have_rows) R::rows(values, column.begin, column.end, of, scratch.row_sums);
        have_rows = true;
        finite &= RowSums<Isa>::add(sums.rows + cc * n_row + row_at, scratch.row_sums,
                                    scales.row + std::ptrdiff_t(p) * kN, scales.column[column.cls], row.begin, row.end);
        if (!(pass.within && diagonal))
          finite &=
              RowSums<Isa>::add(sums.columns + rc * n_column + column_at, scratch.column_sums,
                                scales.row + std::ptrdiff_t(q) * kN, scales.column[row.cls], column.begin, column.end);
      }
    }
    return finite;
  }

  static bool wanted(const Pass<T>& pass, int p, int q) {
    const int p_first = pass.segments[pass.first_segment[p]].cls,
              p_last = pass.segments[pass.first_segment[p + 1] - 1].cls;
    const int q_first = pass.segments[pass.first_segment[q]].cls,
              q_last = pass.segments[pass.first_segment[q + 1] - 1].cls;
    return pass.within ? p_last >= q_first : p_first != q_last;
  }

  // Values of the outputs of a chain, from the chords of a unit.
  template <bool Signed>
  static void evaluate(const Chain<T>& chain, int p, int q, const Scratch<T>& scratch, T* const* values) {
    const T* chords = scratch.chords;
    if (chain.lift[0]) {
      for (int r = 0; r < kN; ++r)
        for (int c = 0; c < kN; c += kL)
          store(scratch.lifted + r * kN + c, lifted<Signed>(chain.lift, std::ptrdiff_t(p) * kN + r,
                                                            std::ptrdiff_t(q) * kN + c, load<V>(chords + r * kN + c)));
      chords = scratch.lifted;
    }
    chain.epilogue(chain, p, q, chords, values);
  }

  // Values of an expression into values[o], and what its roots may move into values[o + 1], where it has some.
  template <class State>
  static void combine(const Expression<T>& of, int p, int q, T* const* values, int o) {
    for (int r = 0; r < kN; ++r)
      for (int c = 0; c < kN; c += kL) {
        const std::ptrdiff_t i = std::ptrdiff_t(p) * kN + r, j = std::ptrdiff_t(q) * kN + c, at = r * kN + c;
        const auto leaf = [&](int n) __attribute__((always_inline)) {
          return leaf_state<State, V>(of.leaves[n], values, at, i, j);
        };
        const State x = value_of_terms<State>(of.terms, of.n_terms, of.unit, leaf);
        if constexpr (requires { x.gap; })
          store(values[o] + at, x.distance);
        else
          store(values[o] + at, x.k);
        if (of.rooted) store(values[o + 1] + at, x.error);
      }
  }

  // The sums of one chain, whose outputs begin with number `first`.
  static bool sums_of_chain(const Pass<T>& pass, const Tile& tile, const Chain<T>& chain, int first, int p, int q,
                            const Scratch<T>& scratch, const TileSums* sums) {
    bool finite = true;
    T* const* values = scratch.values + (pass.n_expressions ? first : 0);  // those of every chain, or of one at a time
    if (pass.within)
      evaluate<false>(chain, p, q, scratch, values);
    else
      evaluate<true>(chain, p, q, scratch, values);
    for (int k = 0; k < chain.n_outputs; ++k) {
      const Scales& scales = pass.scales[first + k];
      // A row has no distance from itself, and no error, whatever its sensitivity.
      if (p == q && pass.within)
        for (int r = 0; r < kN; ++r) values[k][r * kN + r] = 0;
      const Factors<T> factors = factors_of(chain, k);
      if (scales.block) finite &= reduce(pass, tile, p, q, values[k], factors, scales, sums[first + k], scratch);
      if (pass.n_expressions) apply(factors, p, q, values[k]);
    }
    return finite;
  }

  // Those of the expressions, whose outputs follow those of the chains.
  static bool sums_of_expressions(const Pass<T>& pass, const Tile& tile, int first, int p, int q,
                                  const Scratch<T>& scratch, const TileSums* sums) {
    bool finite = true;
    for (int e = 0, o = first; e < pass.n_expressions; ++e) {
      const Expression<T>& of = pass.expressions[e];
      if (pass.within)
        combine<Within<V>>(of, p, q, scratch.values, o);
      else
        combine<Between<V>>(of, p, q, scratch.values, o);
      for (const int last = o + 1 + of.rooted; o < last; ++o)
        finite &= reduce(pass, tile, p, q, scratch.values[o], {}, pass.scales[o], sums[o], scratch);
    }
    return finite;
  }

  // What is new after the unit (p, q): in the first column the row panels one after the other, then the columns.
  static Soon<T> after(const Pass<T>& pass, const Tile& tile, int p, int q) {
    const auto panel = [&](int n) { return pass.panels + n * pass.panel; };
    if (q == tile.q_begin && p + 1 < tile.p_end) return {panel(p + 1), 0, 1, true};
    if (q + 1 == tile.q_end) return {panel(q)};
    if (q == tile.q_begin) return {panel(q + 1)};
    return {panel(q + 1), p - tile.p_begin, tile.p_end - tile.p_begin};
  }

  static bool sums(const Pass<T>& pass, const Tile& tile, const Scratch<T>& scratch, const TileSums* sums) {
    bool finite = true;
    for (int q = tile.q_begin; q < tile.q_end; ++q) {
      for (int p = tile.p_begin; p < tile.p_end && p <= q; ++p) {
        if (!wanted(pass, p, q)) continue;
        const T *a = pass.panels + p * pass.panel, *b = pass.panels + q * pass.panel;
        const T *half_a = pass.half_norms + std::ptrdiff_t(p) * kN, *half_b = pass.half_norms + std::ptrdiff_t(q) * kN;
        pass.products->chords[!pass.within](a, b, pass.depth, half_a, half_b, after(pass, tile, p, q), scratch.chords);
        int o = 0;
        for (int c = 0; c < pass.n_chains; o += pass.chains[c++].n_outputs)
          finite &= sums_of_chain(pass, tile, pass.chains[c], o, p, q, scratch, sums);
        finite &= sums_of_expressions(pass, tile, o, p, q, scratch, sums);
      }
    }
    return finite;
  }

  // x[r][c] = alpha h_r h_c x[r][c] + beta, of row panel p and column panel q as the chain counts them.
  static void apply(const Factors<T>& of, int p, int q, T* x) {
    if (!of.h && of.alpha == 1 && of.beta == 0) return;
    const T alpha = T(of.alpha), beta = T(of.beta);
    for (int r = 0; r < kN; ++r)
      for (int c = 0; c < kN; c += kL) {
        V value = load<V>(x + r * kN + c);
        if (of.h) value *= of.h[std::ptrdiff_t(p) * kN + r] * load<V>(of.h + std::ptrdiff_t(q) * kN + c);
        store(x + r * kN + c, V(alpha * value + beta));
      }
  }

  // Kernel values of the rows of panel p with the columns of panel q, (kN, kN).
  static T* values(const GramPass<T>& pass, int p, int q, const Scratch<T>& scratch) {
    const T *a = pass.row_panels + p * pass.panel, *b = pass.column_panels + q * pass.panel;
    pass.products->chords[true](a, b, pass.depth, pass.row_half_norms + std::ptrdiff_t(p) * kN,
                                pass.column_half_norms + std::ptrdiff_t(q) * kN, {b}, scratch.chords);
    if (pass.refine) Inner<T, Isa>::refine(a, b, pass.depth, scratch.chords);
    const int row = pass.row_offset + p;
    int o = 0;
    for (int c = 0; c < pass.n_chains; ++c) {
      const Chain<T>& chain = pass.chains[c];
      evaluate<true>(chain, row, q, scratch, scratch.values + o);
      for (int k = 0; k < chain.n_outputs; ++k, ++o) apply(factors_of(chain, k), row, q, scratch.values[o]);
    }
    if (pass.expression.n_terms == 0) return scratch.values[pass.value];
    combine<Between<V>>(pass.expression, row, q, scratch.values, o);
    return scratch.values[o];
  }

  // The part of a unit x that lies inside the matrix, its first entry at (i, j).
  static void put(const T* x, std::ptrdiff_t i, std::ptrdiff_t j, const GramPass<T>& pass) {
    const std::ptrdiff_t rows = pass.n_rows - i < kN ? pass.n_rows - i : kN,
                         columns = pass.n_columns - j < kN ? pass.n_columns - j : kN;
    T* out = pass.out + i * pass.n_columns + j;
    for (std::ptrdiff_t r = 0; r < rows; ++r, out += pass.n_columns)
      if (columns == kN)
        for (int c = 0; c < kN; c += kL) store(out + c, load<V>(x + r * kN + c));
      else
        for (std::ptrdiff_t c = 0; c < columns; ++c) out[c] = x[r * kN + c];
  }

  static void transpose(const T* x, T* out) {
    for (int r = 0; r < kN; r += kL)
      for (int c = 0; c < kN; c += kL) {
        V square[kL];
        for (int l = 0; l < kL; ++l) square[l] = load<V>(x + (r + l) * kN + c);
        nc1fast::transpose(square);
        for (int l = 0; l < kL; ++l) store(out + (c + l) * kN + r, square[l]);
      }
  }

  // Whether a chord of a unit is +0: that of rows in one direction.
  static bool any_equal(const T* chords) {
    math::Bits<V> found{};
    for (int n = 0; n < kN * kN; n += kL) found |= math::Bits<V>(load<V>(chords + n)) == 0;
    bool any = false;
    for (int l = 0; l < kL; ++l) any |= found[l] != 0;
    return any;
  }

  // The same as they stand in a Gram matrix: equal rows have the value of the diagonal, to the bit, and the diagonal
  // unit of a symmetric pass is symmetric.
  static T* entries(const GramPass<T>& pass, int p, int q, const Scratch<T>& scratch) {
    T *x = values(pass, p, q, scratch), *chords = scratch.chords;
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kN, j = std::ptrdiff_t(q) * kN;
    if (any_equal(chords))
      for (int r = 0; r < kN; ++r)
        for (int c = 0; c < kN; c += kL) {
          const auto coincide =
              (math::Bits<V>(load<V>(chords + r * kN + c)) == 0) &
              (load<V>(pass.norms + j + c) == pass.norms[std::ptrdiff_t(pass.row_offset) * kN + i + r]);
          const V value = load<V>(x + r * kN + c);
          store(x + r * kN + c, V(coincide ? load<V>(pass.diagonal + j + c) : value));
        }
    if (pass.symmetric && p == q)
      for (int r = 0; r < kN; ++r) {
        for (int c = 0; c < r; ++c) x[r * kN + c] = x[c * kN + r];
        x[r * kN + r] = pass.diagonal[j + r];
      }
    return x;
  }

  static void gram(const GramPass<T>& pass, int p, int q, const Scratch<T>& scratch) {
    T *x = entries(pass, p, q, scratch), *turned = scratch.chords;
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kN, j = std::ptrdiff_t(q) * kN;
    put(x, i, j, pass);
    if (!pass.symmetric || p == q) return;
    transpose(x, turned);
    put(turned, j, i, pass);
  }

  // Rows of panel p that are inside of n.
  static int inside(std::ptrdiff_t n, int p) {
    const std::ptrdiff_t left = n - std::ptrdiff_t(p) * kN;
    return left < kN ? int(left) : kN;
  }

  // Every unit of a tile, evaluated once, serves its rows and, transposed in L1, its columns.
  static void multiply(const GramPass<T>& pass, const Multiplicands<T>& with, const Tile& tile,
                       const Scratch<T>& scratch, double* of_rows, double* of_columns) {
    const std::ptrdiff_t step = std::ptrdiff_t(with.k) * kN;  // factors of a panel
    const std::ptrdiff_t n_rows = std::ptrdiff_t(tile.p_end - tile.p_begin) * kN,
                         n_columns = std::ptrdiff_t(tile.q_end - tile.q_begin) * kN;
    for (int q = tile.q_begin; q < tile.q_end; ++q)
      for (int p = tile.p_begin; p < tile.p_end && (!pass.symmetric || p <= q); ++p) {
        T *x = entries(pass, p, q, scratch), *turned = scratch.chords;
        transpose(x, turned);
        Multiply<T, Isa>::add(with.of_columns + q * step, with.k, turned, inside(pass.n_columns, q),
                              of_rows + std::ptrdiff_t(p - tile.p_begin) * kN, n_rows);
        if (with.of_rows && !(pass.symmetric && p == q))
          Multiply<T, Isa>::add(with.of_rows + p * step, with.k, x, inside(pass.n_rows, p),
                                of_columns + std::ptrdiff_t(q - tile.q_begin) * kN, n_columns);
      }
  }

  // Rows of panel p of (k o A) X, the share of panel q. Every row is summed by one worker, q ascending: fixed bits.
  static void product(const GramPass<T>& pass, const Product<T>& product, int p, int q, const Scratch<T>& scratch) {
    T* values = Tiles::values(pass, p, q, scratch);
    for (int r = 0; r < kN; ++r)
      for (int c = 0; c < kN; ++c) {
        const std::ptrdiff_t i = std::ptrdiff_t(p) * kN + r, j = std::ptrdiff_t(q) * kN + c, n = pass.n_rows;
        T weight = 0;
        if (i < n && j < n) {
          weight = product.scale * product.inverse[i < j ? i * n + j : j * n + i];
          for (int o = 0; o < product.n_outputs; ++o)
            weight -= product.factor[i * product.n_outputs + o] * product.factor[j * product.n_outputs + o];
        }
        values[r * kN + c] *= weight;
      }
    constexpr int kM = Isa::rows, kPair = 2 * kL;
    const T* x = product.x + std::ptrdiff_t(q) * kN * product.stride;
    T* out = product.out + std::ptrdiff_t(p) * kN * product.stride;
    for (int r = 0; r < kN; r += kM)
      for (int k = 0; k < product.stride; k += kPair) {
        V acc[kM][2];
#pragma GCC unroll 8
        for (int m = 0; m < kM; ++m)
          for (int v = 0; v < 2; ++v) acc[m][v] = load<V>(out + (r + m) * product.stride + k + v * kL);
        for (int c = 0; c < kN; ++c) {
          const V x0 = load<V>(x + c * product.stride + k), x1 = load<V>(x + c * product.stride + k + kL);
#pragma GCC unroll 8
          for (int m = 0; m < kM; ++m) {
            const T b = values[(r + m) * kN + c];
            acc[m][0] += b * x0;
            acc[m][1] += b * x1;
          }
        }
#pragma GCC unroll 8
        for (int m = 0; m < kM; ++m)
          for (int v = 0; v < 2; ++v) store(out + (r + m) * product.stride + k + v * kL, acc[m][v]);
      }
  }

  static constexpr RowProducts<T> by_fma{
      &Inner<T, Isa>::row,
      &Inner<T, Isa>::half_norms,
      {&Inner<T, Isa>::template chords<false>, &Inner<T, Isa>::template chords<true>}};

  static constexpr Routines<T> routines{kN,
                                        2 * kLanes<T, Isa>,
                                        &find_epilogue<T, Isa>,
                                        by_fma,
                                        by_fma,
                                        &sums,
                                        &gram,
                                        &product,
                                        &multiply,
                                        &RowSums<Isa>::add,
                                        &MatMul<T, Isa>::scratch,
                                        &MatMul<T, Isa>::tile,
                                        &Recurrent<T, Isa>::unit,
                                        &DeviationSums<T, Isa>::template add<T>,
                                        &DeviationSums<T, Isa>::template add<double>};
};

}  // namespace nc1fast
