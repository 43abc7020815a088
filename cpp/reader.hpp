// Rows of a data set in float64, from memory or from a file.
//
// Why pread and not a mapping: mapped pages count as memory of the process, and how many of them stay is up to the
// system. What is read here goes through a buffer of a few rows per thread.
#pragma once

#include <stdexcept>
#include <vector>

#include "engine.hpp"

namespace nc1fast {

// A file that cannot be read, or ends before its rows do.
struct ReadError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The memory of one thread that reads.
class RowReader {
 public:
  explicit RowReader(const Matrix& x) : x_(x) {}
  // Rows rows[0], rows[1], ... (null: first, first + 1, ...), `count` of them, into out (count, d).
  void read(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* out);
  // Whether rows are read where they lie: X holds float64 numbers in memory.
  bool in_place() const;
  // Where the same rows lie, (count,): in X, or else in `room` (count, d), into which they are read.
  void locate(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* room, const double** out);

 private:
  const Matrix& x_;
  void read_stored(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* out);
  std::ptrdiff_t length() const { return x_.factor ? x_.stored : x_.d; }  // of a stored row
  std::vector<char> raw_;
  std::vector<double> stored_;
};

}  // namespace nc1fast
