#include "scan.hpp"

#include <stdexcept>
#include <string>

#include "expressions.hpp"
#include "scales.hpp"

namespace nc1fast {
namespace {

// Sums of squares of differences must stay normal numbers.
void check_range(double k, bool single) {
  const double range = single ? 1e20 : 1e100;
  if (!(k <= range) || (k != 0 && k < 1 / range))
    throw std::overflow_error("values on the diagonal go beyond 1e" + std::string(single ? "+-20 (float32)" : "+-100"));
}

// Products of what tiles read of two rows must be numbers of their type; reciprocals of variances may not vanish
// either.
void check_layers(const ChainSpec& chain, double a, unsigned fields, const Layer* layers, bool single) {
  const double largest = single ? 0x1p126 : 0x1p1000;
  bool inside = true;
  for (int l = 0; l < std::max(1, chain.n_duals()); ++l) {
    const Row<double>& row = layers[l].row;
    const auto product = [&](double x) { return x * x <= largest && (x == 0 || x * x >= 1 / largest); };
    inside &= !(fields & bit(kS)) || product(row.s);
    inside &= !(fields & bit(kH)) || product(row.h);
    inside &= !(fields & bit(kO)) || row.o >= 1 / largest;
  }
  if (!inside || !(a <= 1e300)) throw std::overflow_error("the variance of a layer is too large or too small");
  // Squares that are subnormal numbers have lost digits; beside a bias they do not matter.
  const bool alone = chain.weights[0] > 0 && chain.biases[0] == 0, lost = a < 1e-290 || chain.weights[0] * a < 1e-290;
  if (alone && a != 0 && lost) throw std::overflow_error("|x|^2 is too small");
}

}  // namespace

Totals::Totals(std::vector<KernelSurvey>& kernels, std::size_t n_kernels, const std::vector<std::int64_t>& begins,
               bool with_rows)
    : kernels_(kernels), begins_(begins), with_rows_(with_rows), next_(begins.begin(), begins.end() - 1) {
  const std::size_t n_classes = next_.size();
  carries_.assign(n_kernels * n_classes, 0.0);
  kernels.assign(n_kernels, {});
  for (KernelSurvey& kernel : kernels) {
    for (auto* sums : {&kernel.traces, &kernel.roots, &kernel.references, &kernel.moves, &kernel.spread_moves,
                       &kernel.slopes, &kernel.slope_squares, &kernel.spread_slopes, &kernel.displacements,
                       &kernel.noises, &kernel.shifts, &kernel.floors, &kernel.trace_noises})
      sums->assign(n_classes, 0.0);
    if (!with_rows) continue;
    kernel.k.resize(std::size_t(begins.back()));
    kernel.row_scale_within.resize(std::size_t(begins.back()));
  }
}

// A quarter of a MiB of values, and enough rows for the threads to be worth their start.
std::int64_t Totals::chunk_rows() const {
  return std::clamp(std::int64_t(8192) / std::int64_t(kernels_.size()), std::int64_t(1024), std::int64_t(8192)) /
         kRowStep * kRowStep;
}

void Totals::start(std::int64_t n_rows) {
  classes_.resize(std::size_t(n_rows));
  squares_.resize(std::size_t(n_rows));
  displaced_.resize(std::size_t(n_rows));
  values_.resize(std::size_t(n_rows) * kernels_.size());
}

void Totals::set(std::size_t i, std::size_t cls, const RowInput& in) {
  classes_[i] = cls;
  squares_[i] = in.centred ? 2 * in.t_m : 1.0;
  displaced_[i] = in.displaced;
}

void Totals::add() {
  std::vector<std::int64_t> next;
  for (std::size_t o = 0; o < kernels_.size(); ++o) {
    KernelSurvey& sums = kernels_[o];
    next = next_;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
      const std::size_t c = classes_[i], r = std::size_t(next[c]++);
      const Values& v = values(o, i);
      // Kahan: the error of a trace does not grow with the number of rows.
      double& carry = carries_[o * next_.size() + c];
      const double term = v.k - carry, total = sums.traces[c] + term;
      carry = (total - sums.traces[c]) - term;
      sums.traces[c] = total;
      const double moved = v.slope * displaced_[i];
      sums.roots[c] += std::sqrt(v.k);
      sums.references[c] += v.reference;
      sums.moves[c] += v.mu;
      sums.spread_moves[c] += v.mu * std::max(displaced_[i], std::sqrt(squares_[i]));
      sums.slopes[c] += v.slope;
      sums.slope_squares[c] += v.slope * v.slope;
      sums.spread_slopes[c] += v.slope * squares_[i];
      sums.displacements[c] += moved * moved;
      sums.noises[c] += v.noise;
      sums.shifts[c] += v.shift;
      sums.floors[c] += v.floor;
      sums.trace_noises[c] += v.diagonal;
      if (!with_rows_) continue;
      sums.k[r] = v.k;
      sums.row_scale_within[r] = v.reference;
    }
  }
  next_ = std::move(next);
}

void Totals::finish() {
  if (!with_rows_) return;
  for (KernelSurvey& kernel : kernels_)
    for (std::size_t c = 0; c < next_.size(); ++c)
      for (std::int64_t r = begins_[c]; r < begins_[c + 1]; ++r) {
        double& x = kernel.row_scale_within[std::size_t(r)];
        x = row_scale_within(x, double(begins_[c + 1] - begins_[c]), kernel.references[c]);
      }
}

struct Scan::Worker {
  explicit Worker(const Matrix& x) : reader(x), room(reader.in_place() || x.far ? 0 : std::size_t(kRowStep * x.d)) {}
  RowReader reader;
  std::vector<double> room;
  RowGroup group;
  std::vector<std::unique_ptr<RowStage>> stages;
  std::vector<Layer> layers;
  std::vector<OutputRow> outputs;
};

Scan::Scan(const Frame& frame, const Kernels& kernels, const Options& options, Team& team)
    : frame_(frame), kernels_(kernels), options_(options), team_(team) {
  for (const ChainSpec& chain : kernels.chains) {
    stages_.push_back(make_row_stage(chain));
    fields_.push_back(stages_.back()->fields(true) | stages_.back()->fields(false));
    references_.emplace_back();
    for (const double a_m : frame.means.norm) references_.back().push_back(stages_.back()->reference(a_m));
  }
}

void Scan::row(Worker& worker, const RowInput& in, std::size_t cls, std::size_t at, bool with_outputs,
               const std::vector<RowSink*>& sinks, Totals* totals, std::size_t i) const {
  if (totals) totals->set(i, cls, in);
  const bool single = options_.single_within || options_.single_between;
  const Rounding rounding(options_.single_within, frame_.d, frame_.depth());
  worker.outputs.resize(kernels_.n_outputs());
  OutputRow* outputs = worker.outputs.data();
  for (std::size_t c = 0; c < kernels_.chains.size(); ++c) {
    const ChainSpec& chain = kernels_.chains[c];
    const Reference& reference = references_[c][cls];
    worker.layers.resize(std::size_t(chain.n_duals()) + 1);
    worker.stages[c]->layers(in, reference, worker.layers.data());
    check_layers(chain, in.a, fields_[c], worker.layers.data(), single);
    if (with_outputs) worker.stages[c]->outputs(in, reference, frame_.d, rounding, worker.layers.data(), outputs);
    for (RowSink* sink : sinks) sink->set_layers(c, at, worker.layers.data(), outputs);
    outputs += chain.outputs.size();
  }
  if (totals) add(worker, *totals, i);
}

void Scan::add(Worker& worker, Totals& totals, std::size_t i) const {
  const bool single = options_.single_within || options_.single_between;
  std::size_t kernel = 0;
  const auto take = [&](const OutputRow& out, bool vanished = false) {
    check_range(vanished ? 0x1p-1074 : out.k, single);
    totals.values(kernel++, i) = {
        out.k,     out.reference, out.mu, std::sqrt(out.slope), std::sqrt(out.noise), std::sqrt(out.shift),
        out.floor, out.diagonal};
  };
  for (const OutputRow& out : worker.outputs) take(out);
  for (const ExpressionSpec& expression : kernels_.expressions) {
    const OutputRow out = combined(expression, worker.outputs);
    const auto positive = [&](int leaf) { return worker.outputs[std::size_t(leaf)].k > 0; };
    take(out, out.k == 0 && std::all_of(expression.leaves.begin(), expression.leaves.end(), positive));
  }
}

void Scan::group(Worker& worker, const Sequence& sequence, std::int64_t first, std::int64_t n, std::size_t at,
                 const std::vector<RowSink*>& sinks, Totals* totals, std::size_t i) const {
  RowGroup& group = worker.group;
  group.n = n;
  if (!sequence.lengths) sequence.locate(worker.reader, first, n, worker.room.data(), group.rows);
  bool with_outputs = totals;
  for (std::int64_t r = 0; r < n; ++r) {
    group.classes[r] = sequence.cls(first + r);
    group.stored[r] = sequence.stored(first + r);
    group.inputs[r] = sequence.lengths ? frame_.input(sequence.lengths[group.stored[r]], group.classes[r])
                                       : frame_.measure(group.rows[r], group.classes[r]);
  }
  for (RowSink* sink : sinks) {  // one sink after the other: its panels stay in L1
    sink->set(at, group);
    sink->finish(at, at + std::size_t(kRowStep));
    with_outputs |= sink->needs_outputs();
  }
  for (std::int64_t r = 0; r < n; ++r)
    row(worker, group.inputs[r], group.classes[r], at + std::size_t(r), with_outputs, sinks, totals,
        i + std::size_t(r));
}

bool Scan::run(const Sequence& sequence, Span span, std::size_t at, const std::vector<RowSink*>& sinks, Totals* totals,
               const Poll& poll) const {
  std::vector<Worker> workers;
  for (int w = 0; w < team_.n_workers(); ++w) {
    workers.emplace_back(sequence.x);
    for (const auto& stage : stages_) workers.back().stages.push_back(stage->clone());
  }
  const std::int64_t step = totals ? totals->chunk_rows() : span.size();
  for (std::int64_t begin = span.begin; begin < span.end; begin += step) {
    const std::int64_t end = std::min(span.end, begin + step);
    if (totals) totals->start(end - begin);
    const auto work = [&](int w, std::int64_t item) {
      const std::int64_t first = begin + item * kRowStep;
      group(workers[std::size_t(w)], sequence, first, std::min(kRowStep, end - first),
            at + std::size_t(first - span.begin), sinks, totals, std::size_t(first - begin));
    };
    if (!team_.run((end - begin + kRowStep - 1) / kRowStep, work, poll)) return false;
    if (totals) totals->add();
  }
  if (totals) totals->finish();
  return true;
}

}  // namespace nc1fast
