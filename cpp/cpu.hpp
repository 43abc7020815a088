// Tiles on the processor.
#pragma once

#include "backend.hpp"

namespace nc1fast {

// Integer sums of one side of a product: of every row and column of the factors, (k, n), `stride` apart.
struct ProductSums {
  std::int64_t* sums = nullptr;
  std::ptrdiff_t stride = 0;
  const double* scale = nullptr;  // (n,) of its rows: |a sum| scale[i] factor_scale[j] < 2^61
};

// Sums of kernel values times numbers.
template <class T>
struct KernelProduct {
  Multiplicands<T> with;
  const double* factor_scale = nullptr;  // (k,)
  ProductSums rows, columns;             // columns: of with.of_rows, in a pass over two sets of rows
  int tile_rows = 0;                     // a multiple of kRowStep, by which sums are rounded to integers
};

class Cpu final : public Backend {
 public:
  // With the instruction set that is selected now. Throws as isa::selected.
  Cpu();

  int panel(bool single) const override;
  std::size_t row(bool single, int depth) const override;
  TileSize tile(bool single) const override;
  std::int64_t row_step() const override;
  std::unique_ptr<AnyPass> pass(const Shared& shared, bool within, std::int64_t n_rows) const override;
  bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
            float* out) const override;
  bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
            double* out) const override;

  // out (n, d) = (k o A) X, A = scale inverse - factor factor^T, for the one kernel of `chain` and float64 rows X; of
  // `inverse` (n, n) the upper triangle is read, `factor` is (n, n_outputs). False when stopped.
  bool product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
               int n_outputs, int n_threads, const Poll& poll, double* out) const;

  // Adds the products of kernel values of rows X and columns Z (z.data == nullptr: X) with numbers to integer sums,
  // which no order changes. False when stopped; throws std::overflow_error where a value is out of its bounds.
  template <class T>
  bool multiply(const Matrix& x, const Matrix& z, const Kernels& kernels, const KernelProduct<T>& product,
                int n_threads, const Poll& poll) const;

  // out = A B. False when stopped.
  template <class T>
  bool matmul(const MatrixProduct<T>& of, int n_threads, const Poll& poll) const;

 private:
  const InstructionSet& set_;
};

}  // namespace nc1fast
