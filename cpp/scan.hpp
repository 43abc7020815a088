// A scan over rows: each is read once, measured from its class, taken through the layers of every chain, and handed to
// whoever needs it: the sums of a survey, the tiles of a pass, or both.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "chains.hpp"
#include "reader.hpp"
#include "threads.hpp"

namespace nc1fast {

// The order of a scan: sorted rows where `order` is given, else as they are stored.
struct Sequence {
  const Matrix& x;
  const std::int64_t* order;
  const std::int32_t* classes;              // (N,) of stored rows; read where there is no order
  const std::vector<std::int64_t>& begins;  // class c: sorted rows [begins[c], begins[c + 1])
  const RowLengths* lengths = nullptr;      // (N,) of stored rows that are far away

  std::int64_t n() const { return begins.back(); }
  std::size_t n_classes() const { return begins.size() - 1; }
  std::int64_t stored(std::int64_t r) const { return order ? order[r] : r; }
  void locate(RowReader& reader, std::int64_t first, std::int64_t count, double* room, const double** out) const {
    reader.locate(order ? order + first : nullptr, first, count, room, out);
  }
  std::size_t cls(std::int64_t r) const {
    if (!order) return std::size_t(classes[r]);
    return std::size_t(std::upper_bound(begins.begin(), begins.end(), r) - begins.begin() - 1);
  }
};

// Where packed rows go: the tiles of a pass.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual bool needs_outputs() const = 0;  // of its rows
  // Rows at, at + 1, ..., kRowStep of them: those of the group, then padding.
  virtual void set(std::size_t at, const RowGroup& group) = 0;
  virtual void set_layers(std::size_t chain, std::size_t at, const Layer* layers, const OutputRow* outputs) = 0;
  // Rows [begin, end), multiples of kRowStep, are complete.
  virtual void finish(std::size_t begin, std::size_t end) = 0;
};

// Sums over the rows of each class, added in the order of the rows: those of a chunk are computed in any order first.
class Totals {
 public:
  struct Values {
    double k, reference, mu, slope, noise, shift, floor, diagonal;  // mu, lambda and nu of OutputRow
  };

  // Fills `kernels`; what belongs to single rows only if with_rows.
  Totals(std::vector<KernelSurvey>& kernels, std::size_t n_kernels, const std::vector<std::int64_t>& begins,
         bool with_rows);
  std::int64_t chunk_rows() const;
  void start(std::int64_t n_rows);
  void set(std::size_t i, std::size_t cls, const RowInput& in);
  Values& values(std::size_t kernel, std::size_t i) { return values_[kernel * classes_.size() + i]; }
  void add();
  void finish();

 private:
  std::vector<KernelSurvey>& kernels_;
  const std::vector<std::int64_t>& begins_;
  bool with_rows_;
  std::vector<std::int64_t> next_;  // (C,) sorted position of the next row of a class
  std::vector<double> carries_;     // (kernels, C)
  std::vector<std::size_t> classes_;
  std::vector<double> squares_;  // |delta_i|^2
  std::vector<double> displaced_;
  std::vector<Values> values_;  // (kernels, rows of the chunk)
};

class Scan {
 public:
  Scan(const Frame& frame, const Kernels& kernels, const Options& options, Team& team);
  // Rows [span) into rows at, at + 1, ... of the sinks, and into `totals` unless null. False when stopped.
  bool run(const Sequence& sequence, Span span, std::size_t at, const std::vector<RowSink*>& sinks, Totals* totals,
           const Poll& poll) const;
  const RowStage& stage(std::size_t chain) const { return *stages_[chain]; }

 private:
  struct Worker;
  // Rows first, first + 1, ..., at most kRowStep of them; `at` in the sinks, `i` in the chunk of the totals.
  void group(Worker& worker, const Sequence& sequence, std::int64_t first, std::int64_t n, std::size_t at,
             const std::vector<RowSink*>& sinks, Totals* totals, std::size_t i) const;
  void row(Worker& worker, const RowInput& in, std::size_t cls, std::size_t at, bool with_outputs,
           const std::vector<RowSink*>& sinks, Totals* totals, std::size_t i) const;
  // The outputs of a row, those of expressions included, into the totals.
  void add(Worker& worker, Totals& totals, std::size_t i) const;

  const Frame& frame_;
  const Kernels& kernels_;
  const Options& options_;
  Team& team_;
  std::vector<std::unique_ptr<RowStage>> stages_;   // per chain
  std::vector<unsigned> fields_;                    // per chain: what tiles read of a row
  std::vector<std::vector<Reference>> references_;  // per chain and class
};

}  // namespace nc1fast
