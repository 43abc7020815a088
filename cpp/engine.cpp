#include "engine.hpp"

#include <cmath>
#include <memory>

#include "far_rows.hpp"
#include "packed_pass.hpp"
#include "scales.hpp"
#include "survey.hpp"

namespace nc1fast {
namespace {

// What the caller's poll hears while tiles of several runs are counted as one.
class Progress {
 public:
  explicit Progress(const Poll& poll) : poll_(poll) {}
  void expect(std::int64_t tiles) { total_ += tiles; }
  void finished(std::int64_t tiles) { done_ += tiles; }
  Poll scan() const {
    return [this](std::int64_t, std::int64_t) { return !poll_ || poll_(done_, total_); };
  }
  Poll tiles() const {
    return [this](std::int64_t done, std::int64_t) { return !poll_ || poll_(done_ + done, total_); };
  }

 private:
  const Poll& poll_;
  std::int64_t done_ = 0, total_ = 0;
};

Layout layout_of(const Shared& shared, bool within, const Rectangle& rectangle) {
  const bool single = within ? shared.options.single_within : shared.options.single_between;
  return {rectangle,
          shared.begins,
          within,
          shared.backend.panel(single),
          shared.frame.depth(),
          shared.backend.tile(single),
          shared.options};
}

// All pairs of rows, packed for both passes by the scan that completes the survey.
bool run_whole(const Shared& shared, const Sequence& sorted, Survey& survey, Progress& progress) {
  const Span all{0, sorted.n()};
  const Layout first = layout_of(shared, true, {all, all}), second = layout_of(shared, false, {all, all});
  progress.expect(first.n_tiles() + second.n_tiles());
  const auto within = shared.backend.pass(shared, true, all.end), between = shared.backend.pass(shared, false, all.end);
  Totals totals(survey.kernels, shared.kernels.size(), shared.begins, shared.options.row_sums);
  if (!shared.scan.run(sorted, all, 0, {within.get(), between.get()}, &totals, progress.scan())) return false;
  shared.sums = empty_sums(survey, shared.begins, shared.kernels, shared.frame.depth(), shared.options);
  if (!within->run(first, progress.tiles())) return false;
  progress.finished(first.n_tiles());
  return between->run(second, progress.tiles());
}

// The rectangles one after the other, for one of the passes; rows that the next one shares stay packed.
bool run_rectangles(const Shared& shared, const Sequence& sorted, bool within, const std::vector<Rectangle>& rectangles,
                    std::int64_t room, Progress& progress) {
  const auto pass = shared.backend.pass(shared, within, room);
  Span packed;
  for (const Rectangle& rectangle : rectangles) {
    const Layout layout = layout_of(shared, within, rectangle);
    if (layout.n_tiles() == 0) continue;
    const auto pack = [&](Span span, std::int64_t at) {
      return shared.scan.run(sorted, span, std::size_t(at), {pass.get()}, nullptr, progress.scan());
    };
    if (!(packed == rectangle.rows) && !pack(rectangle.rows, 0)) return false;
    packed = rectangle.rows;
    if (!rectangle.square() && !pack(rectangle.columns, rectangle.rows.size())) return false;
    if (!pass->run(layout, progress.tiles())) return false;
    progress.finished(layout.n_tiles());
  }
  return true;
}

}  // namespace

bool class_sums(const Backend& backend, const Matrix& x, const std::int64_t* order, const std::int32_t* classes,
                const std::vector<std::int64_t>& sizes, const Kernels& kernels, const Options& options,
                const std::vector<Rectangle>& rectangles, Survey& survey, std::vector<KernelSums>& sums,
                const std::vector<std::int64_t*>& row_sums) {
  const InputLayer layer = InputLayer::of(kernels.chains.at(0));
  const std::vector<std::int64_t> begins = begins_of(sizes);
  const Sequence stored{x, nullptr, classes, begins};
  const Span all{0, stored.n()};
  Progress progress(options.poll);
  Team team(options.n_threads);
  const bool whole =
      survey.kernels.empty() && rectangles.size() == 1 && rectangles[0].square() && rectangles[0].rows == all;
  if (whole) {
    if (!class_means(stored, layer, team, progress.scan(), survey.means)) return false;
  } else if (survey.kernels.empty()) {
    Options quiet = options;
    quiet.poll = progress.scan();
    if (!nc1fast::survey(x, classes, sizes, kernels, quiet, survey)) return false;
  }
  const Frame frame{layer, int(x.d), survey.means};
  const std::vector<RowLengths> lengths = x.far ? x.far->lengths(classes, &survey.means) : std::vector<RowLengths>();
  const Sequence sorted{x, order, classes, begins, lengths.data()};
  const Scan scan(frame, kernels, options, team);
  const Shared shared{backend, frame, begins, options, team, kernels, scan, survey, sums, row_sums, x.far};
  if (whole) return run_whole(shared, sorted, survey, progress);
  sums = empty_sums(survey, begins, kernels, frame.depth(), options);
  std::int64_t room[2] = {};
  for (const bool within : {true, false})
    for (const Rectangle& rectangle : rectangles) {
      const Layout layout = layout_of(shared, within, rectangle);
      if (layout.n_tiles() == 0) continue;
      progress.expect(layout.n_tiles());
      room[within] =
          std::max(room[within], rectangle.rows.size() + (rectangle.square() ? 0 : rectangle.columns.size()));
    }
  for (const bool within : {true, false})
    if (room[within] > 0 && !run_rectangles(shared, sorted, within, rectangles, room[within], progress)) return false;
  return true;
}

RowBytes row_bytes(const Backend& backend, std::int64_t d, const Kernels& kernels, const Options& options, bool far) {
  const int depth = Frame{InputLayer::of(kernels.chains.at(0)), int(d), {}}.depth();
  const auto of = [&](bool within) {
    const bool single = within ? options.single_within : options.single_between;
    const std::size_t row = far ? 0 : backend.row(single, depth);
    return std::int64_t(single ? PackedPass<float>::row_bytes(row, kernels, within, options.row_sums)
                               : PackedPass<double>::row_bytes(row, kernels, within, options.row_sums));
  };
  const std::int64_t within = of(true), between = of(false);
  return {std::max(within, between), within + between};
}

}  // namespace nc1fast
