#include "survey.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "far_rows.hpp"

namespace nc1fast {
namespace {

constexpr double kLongestMean = 1000;                        // of a class, in lengths of its shortest row
constexpr std::int64_t kChunkBytes = std::int64_t(2) << 20;  // of rows between two additions

// Sums of the rows of each class, zero at first, and the length of its shortest row, infinite at first. False when
// stopped.
bool add_rows(const Sequence& sequence, const Frame& origin, Team& team, const Poll& poll, std::vector<double>& sums,
              std::vector<double>& shortest) {
  const Matrix& x = sequence.x;
  const std::size_t d = std::size_t(x.d);
  const std::int64_t chunk =
      std::clamp(kChunkBytes / std::int64_t(8 * d) / kRowStep, std::int64_t(1), std::int64_t(256)) * kRowStep;
  const std::size_t most = std::size_t(std::min(chunk, sequence.n()));
  std::vector<RowReader> readers(std::size_t(team.n_workers()), RowReader(x));
  std::vector<double> room(readers[0].in_place() ? 0 : most * d), lengths(most);
  std::vector<const double*> rows(most);
  for (std::int64_t begin = 0; begin < sequence.n(); begin += chunk) {
    const std::int64_t n = std::min(chunk, sequence.n() - begin);
    const auto read = [&](int worker, std::int64_t item) {
      const std::int64_t first = item * kRowStep, last = std::min(n, first + kRowStep);
      sequence.locate(readers[std::size_t(worker)], begin + first, last - first,
                      room.empty() ? nullptr : room.data() + std::size_t(first) * d, rows.data() + first);
      for (std::int64_t r = first; r < last; ++r) {
        const double* row = rows[std::size_t(r)];
        for (std::size_t k = 0; !x.data && k < d; ++k)
          if (!std::isfinite(row[k])) throw std::domain_error("X must be finite, but it contains NaN or Inf");
        lengths[std::size_t(r)] = origin.radius(origin.square(row));
      }
    };
    if (!team.run((n + kRowStep - 1) / kRowStep, read, poll)) return false;
    // One thread adds, in the order of the rows: to start others would take as long.
    for (std::int64_t r = 0; r < n; ++r) {
      const std::size_t c = sequence.cls(begin + r);
      shortest[c] = std::min(shortest[c], lengths[std::size_t(r)]);
      double* m = sums.data() + c * d;
      const double* row = rows[std::size_t(r)];
      for (std::size_t k = 0; k < d; ++k) m[k] += row[k];
    }
  }
  return true;
}

// The same of rows that are far away, by the same additions.
void add_far_rows(const Sequence& sequence, const Frame& origin, std::vector<double>& sums,
                  std::vector<double>& shortest) {
  std::vector<std::int64_t> order(std::size_t(sequence.n())), next(sequence.begins.begin(), sequence.begins.end() - 1);
  for (std::int64_t r = 0; r < sequence.n(); ++r) order[std::size_t(next[sequence.cls(r)]++)] = r;
  sums = sequence.x.far->totals(order, sequence.begins);
  const std::vector<RowLengths> lengths = sequence.x.far->lengths(nullptr, nullptr);
  for (std::int64_t r = 0; r < sequence.n(); ++r) {
    double& least = shortest[sequence.cls(r)];
    least = std::min(least, origin.radius(origin.per_feature(lengths[std::size_t(r)].norm)));
  }
}

}  // namespace

bool class_means(const Sequence& sequence, const InputLayer& layer, Team& team, const Poll& poll, Means& means) {
  const std::size_t d = std::size_t(sequence.x.d), n_classes = sequence.n_classes();
  const Frame origin{layer, int(d), {}};
  means.mean.assign(n_classes * d, 0.0);
  std::vector<double> shortest(n_classes, std::numeric_limits<double>::infinity());
  if (sequence.x.far)
    add_far_rows(sequence, origin, means.mean, shortest);
  else if (!add_rows(sequence, origin, team, poll, means.mean, shortest))
    return false;
  means.norm.assign(n_classes, 0.0);
  means.centred.assign(n_classes, 0);
  for (std::size_t c = 0; c < n_classes; ++c) {
    double* m = means.mean.data() + c * d;
    const double share = 1.0 / double(sequence.begins[c + 1] - sequence.begins[c]);
    for (std::size_t k = 0; k < d; ++k) m[k] *= share;
    means.norm[c] = origin.square(m);
    // A mean much longer than a row takes more digits from it than the origin does.
    const double length = origin.radius(means.norm[c]);
    means.centred[c] = length > 0 && length <= kLongestMean * shortest[c];
  }
  return true;
}

bool survey(const Matrix& x, const std::int32_t* classes, const std::vector<std::int64_t>& sizes,
            const Kernels& kernels, const Options& options, Survey& out) {
  const InputLayer layer = InputLayer::of(kernels.chains.at(0));
  const std::vector<std::int64_t> begins = begins_of(sizes);
  const Sequence stored{x, nullptr, classes, begins};
  Team team(options.n_threads);
  if (!class_means(stored, layer, team, options.poll, out.means)) return false;
  const Frame frame{layer, int(x.d), out.means};
  const std::vector<RowLengths> lengths = x.far ? x.far->lengths(classes, &out.means) : std::vector<RowLengths>();
  const Sequence measured{x, nullptr, classes, begins, lengths.data()};
  Totals totals(out.kernels, kernels.size(), begins, options.row_sums);
  return Scan(frame, kernels, options, team).run(measured, {0, x.n}, 0, {}, &totals, options.poll);
}

}  // namespace nc1fast
