// One of the two passes of a call on devices: rows go to each of them, tiles to whoever is free, integers come back.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "digits.hpp"
#include "estimate.hpp"
#include "packed_pass.hpp"
#include "plan.hpp"
#include "resident.hpp"
#include "threads.hpp"

namespace nc1fast::device {

constexpr std::size_t kKeptBytes = std::size_t(256) << 20;  // of values that expressions are made of, at a time

// Shared memory of a block of sums, and how many values of a pair it holds.
struct Holding {
  int n_values;
  bool in_place;
  std::size_t bytes;

  // `most`: outputs of a chain. A third of a multiprocessor's memory, so that products, values and sums of several
  // blocks overlap; two units at least.
  template <class T>
  static Holding of(const Info& device, int n_chains, int most) {
    constexpr std::size_t unit = unit_bytes<T>;
    const std::size_t room =
        std::min(device.shared_per_block, std::max(2 * unit, device.shared_per_multiprocessor / 3)) / unit;
    if (n_chains == 1 && std::size_t(most) <= room) return {most, true, std::size_t(most) * unit};
    const int n_values = std::clamp(int(room) - 1, 1, most);
    return {n_values, false, std::size_t(n_values + 1) * unit};
  }
};

template <class T>
class DevicePass final : public PackedPass<T> {
  using Base = PackedPass<T>;
  using Base::chains_, Base::leaves_, Base::outputs_, Base::packed_, Base::shared_, Base::within_;

 public:
  DevicePass(const Shared& shared, bool within, std::size_t n_rows, std::vector<int> devices)
      : Base(shared, within, n_rows), devices_(std::move(devices)) {}

  void finish(std::size_t, std::size_t) override {}

  bool run(const Layout& layout, const Poll& poll) override {
    const std::vector<Scales> scales = this->make_scales(layout);
    const Pass<T> pass = this->pass_over(layout, scales);
    const std::int64_t n_tiles = layout.n_tiles(), chunk = tiles_at_a_time(packed_.depth, outputs_.size());
    std::vector<std::optional<Resident>> residents(devices_.size());
    std::vector<std::int64_t> done_by(devices_.size(), 0);
    const bool finished = parallel_for((n_tiles + chunk - 1) / chunk, int(devices_.size()),
                                       [&](int w, std::int64_t item) {
                                         std::optional<Resident>& resident = residents[std::size_t(w)];
                                         const int device = devices_[std::size_t(w)];
                                         if (!resident) resident.emplace(*this, device, pass, layout, chunk);
                                         resident->run(item * chunk, std::min(chunk, n_tiles - item * chunk));
                                       },
                                       poll);
    for (std::optional<Resident>& resident : residents)
      if (resident) resident->add(*this, layout);
    return finished;
  }

 private:
  // The chains with one hidden layer, or the others, then the expressions of what both have kept: each has its
  // launches.
  struct Group {
    enum class Kind { shallow, deep, expressions } kind;
    Holding holding;           // of chains
    std::vector<int> outputs;  // of the pass
    Array<Chain<T>> chains;
    Array<Root<T>> roots;
    Array<Expression<T>> expressions;
    Array<Scales> scales;
    Array<Sums> sums;
    SumsWork<T> work;
  };

  // The outputs of a chain whose values a block holds. Those of roots are made of the chords as they are added up, but
  // where the values themselves have roots, which errors pass in every layer (pairs.hpp).
  struct HeldOutputs {
    std::vector<int> places, roots;  // outputs of the chain
    std::vector<Output<T>> outputs;
    std::vector<const T*> diagonals, sensitivities;

    explicit HeldOutputs(const Chain<T>& chain) {
      bool root_value = false;
      visit_activation(Activations{}, chain.kind.activation, [&]<class Act>() { root_value = Act::root_value; });
      for (int o = 0; o < chain.n_outputs; ++o)
        if (root_value || chain.outputs[o].quantity != Quantity::sensitivity) {
          places.push_back(o);
          outputs.push_back(chain.outputs[o]);
          diagonals.push_back(chain.diagonals[o]);
          sensitivities.push_back(chain.sensitivities[o]);
        } else {
          roots.push_back(o);
        }
    }
    // The chain with these alone; points to the arrays here.
    Chain<T> of(Chain<T> chain) const {
      name_outputs(chain, outputs, diagonals, sensitivities);
      return chain;
    }
  };

  // Values of units that chains leave to expressions: which outputs of the pass, each at which place (or -1). The
  // last place is free for errors, where one of the expressions has a root.
  struct Keeping {
    std::vector<int> place;
    int n = 0;

    Keeping(const Pass<T>& pass, const std::vector<std::vector<Leaf<T>>>& leaves)
        : place(std::size_t(pass.n_outputs), -1) {
      for (const std::vector<Leaf<T>>& of_one : leaves)
        for (const Leaf<T>& leaf : of_one)
          for (const int output : {leaf.value, leaf.sensitivity})
            if (output >= 0 && place[std::size_t(output)] < 0) place[std::size_t(output)] = n++;
      bool rooted = false;
      for (int e = 0; e < pass.n_expressions; ++e) rooted |= pass.expressions[e].rooted;
      n += rooted;
    }
    int operator[](int output) const { return output < 0 ? -1 : place[std::size_t(output)]; }
  };

  // The pass in the memory of one device.
  class Resident {
   public:
    // tiles_at_a_time: of a run, at most.
    Resident(DevicePass& of, int device, const Pass<T>& pass, const Layout& layout, std::int64_t tiles_at_a_time)
        : stream_(device, (layout.first_segment.size() - 1) * panel_bytes<T>(of.packed_.depth)),
          n_rows_((layout.first_segment.size() - 1) * kWidth),
          sliced_(by_digits(info(device), of.packed_.depth)),
          panels_(stream_, of.packed_, n_rows_, of.shared_.far, of.shared_.frame.means, sliced_),
          chains_(stream_, n_rows_),
          segments_(stream_, layout.segments),
          first_segment_(stream_, layout.first_segment),
          classes_(stream_, classes_of(layout)),
          tiles_(stream_, tiles_in_order(layout, panel_bytes<T>(of.packed_.depth))),
          overflow_(stream_, 1),
          keeping_(pass, of.leaves_) {
      const Info there = info(device);
      for (const bool deep : {false, true}) add_chains(deep, pass, there);
      if (pass.n_expressions > 0) {
        add_expressions(pass, of.leaves_);
        keep(std::min(tiles_at_a_time, layout.n_tiles()) * kTileUnits);
      }
      stream_.wait();
    }

    void run(std::int64_t first, std::int64_t n) {
      stream_.enter();
      const auto sums = sliced_ ? launches<T>().digit_sums : launches<T>().sums;
      const std::int64_t n_units = n * kTileUnits, step = n_kept_units_ > 0 ? n_kept_units_ : n_units;
      for (std::int64_t unit = 0; unit < n_units; unit += step)
        for (Group& group : groups_) {
          group.work.tiles = tiles_.get() + first;
          group.work.first_unit = unit;
          group.work.n_units = std::min(step, n_units - unit);
          check(group.kind == Group::Kind::expressions
                    ? launches<T>().combine_sums(group.work, stream_.get())
                    : sums(group.work, group.kind == Group::Kind::deep, group.holding.bytes, stream_.get()),
                "tiles cannot be run");
        }
      stream_.wait();
    }

    // Adds the integers of this device to those of the call.
    void add(const DevicePass& of, const Layout& layout) {
      stream_.enter();
      int overflow = 0;
      stream_.fetch(&overflow, overflow_.get(), sizeof overflow);
      if (overflow) of.overflow();
      const std::size_t c = of.shared_.begins.size() - 1;
      std::vector<std::uint64_t> block(2 * c * c), rows;
      for (const Group& group : groups_)
        for (std::size_t o = 0; o < group.outputs.size(); ++o) {
          const auto& output = of.outputs_[std::size_t(group.outputs[o])];
          const Sums& sums = sums_[std::size_t(group.outputs[o])];
          if (!sums.block) continue;
          stream_.fetch(block.data(), sums.block, block.size() * sizeof(std::uint64_t));
          std::vector<Int128>& total = of.total(output);
          for (std::size_t k = 0; k < c * c; ++k) total[k] += Int128(block[2 * k + 1]) << 64 | block[2 * k];
          if (!sums.rows) continue;
          rows.resize(c * n_rows_);
          stream_.fetch(rows.data(), sums.rows, rows.size() * sizeof(std::uint64_t));
          add_rows(of.shared_.row_sums[std::size_t(output.kernel)], rows, c, of.shared_.begins.back(), layout);
        }
    }

   private:
    // Class of every packed row; -1: padding.
    std::vector<int> classes_of(const Layout& layout) const {
      std::vector<int> classes(n_rows_, -1);
      for (std::size_t p = 0; p + 1 < layout.first_segment.size(); ++p)
        for (int s = layout.first_segment[p]; s < layout.first_segment[p + 1]; ++s) {
          const Segment& segment = layout.segments[std::size_t(s)];
          std::fill(classes.begin() + std::ptrdiff_t(p) * kWidth + segment.begin,
                    classes.begin() + std::ptrdiff_t(p) * kWidth + segment.end, segment.cls);
        }
      return classes;
    }

    void add_chains(bool deep, const Pass<T>& pass, const Info& device) {
      Group group{};
      group.kind = deep ? Group::Kind::deep : Group::Kind::shallow;
      std::vector<Chain<T>> chains;
      std::vector<Root<T>> roots;
      std::vector<int> root_outputs;
      int most = 0;
      for (int k = 0, o = 0; k < pass.n_chains; o += pass.chains[k++].n_outputs) {
        const Chain<T>& chain = pass.chains[k];
        if (chain.kind.deep != deep) continue;
        const HeldOutputs held(chain);
        for (const int output : held.places) group.outputs.push_back(o + output);
        for (const int output : held.roots) {
          roots.push_back({int(chains.size()), chains_.rows(chain.sensitivities[output])});
          root_outputs.push_back(o + output);
        }
        chains.push_back(chains_.send(held.of(chain), panels_.half_norms()));
        most = std::max(most, int(held.places.size()));
      }
      if (chains.empty()) return;
      group.outputs.insert(group.outputs.end(), root_outputs.begin(), root_outputs.end());
      group.chains = Array<Chain<T>>(stream_, chains);
      group.roots = Array<Root<T>>(stream_, roots);
      group.holding = Holding::of<T>(device, int(chains.size()), most);
      if (sliced_) group.holding.bytes = std::max(group.holding.bytes, digit_bytes(pass.depth));
      add(std::move(group), pass, int(chains.size()), 0);
      groups_.back().work.roots = groups_.back().roots.get();
      groups_.back().work.n_roots = int(roots.size());
    }

    // leaves: per expression, on the host.
    void add_expressions(const Pass<T>& pass, const std::vector<std::vector<Leaf<T>>>& leaves) {
      Group group{};
      group.kind = Group::Kind::expressions;
      std::vector<Expression<T>> expressions;
      int n_outputs = 0;
      for (int e = 0; e < pass.n_expressions; ++e) {
        std::vector<Leaf<T>> there = leaves[std::size_t(e)];
        for (Leaf<T>& leaf : there)
          leaf = {keeping_[leaf.value], keeping_[leaf.sensitivity], chains_.rows(leaf.diagonal),
                  chains_.rows(leaf.excess)};
        expressions.push_back(chains_.send(pass.expressions[e], there));
        n_outputs += 1 + pass.expressions[e].rooted;
      }
      for (int o = pass.n_outputs - n_outputs; o < pass.n_outputs; ++o) group.outputs.push_back(o);
      group.expressions = Array<Expression<T>>(stream_, expressions);
      add(std::move(group), pass, 0, pass.n_expressions);
    }

    // A group with its own chains or expressions, and its outputs.
    void add(Group group, const Pass<T>& pass, int n_chains, int n_expressions) {
      std::vector<Scales> scales;
      std::vector<Sums> sums;
      sums_.resize(std::size_t(pass.n_outputs));
      for (const int output : group.outputs) {
        scales.emplace_back();
        Sums sum = {nullptr, nullptr, keeping_[output]};
        if (pass.scales[output].block) add_sums(pass.scales[output], std::size_t(pass.n_classes), scales.back(), sum);
        sums.push_back(sum);
        sums_[std::size_t(output)] = sum;
      }
      group.scales = Array<Scales>(stream_, scales);
      group.sums = Array<Sums>(stream_, sums);
      Pass<T> on_device = pass;
      on_device.depth = panels_.depth();
      on_device.panels = panels_.panels();
      on_device.half_norms = panels_.half_norms();
      on_device.segments = segments_.get();
      on_device.first_segment = first_segment_.get();
      on_device.n_chains = n_chains;
      on_device.chains = group.chains.get();
      on_device.scales = group.scales.get();
      on_device.n_outputs = int(scales.size());
      on_device.n_expressions = n_expressions;
      on_device.expressions = group.expressions.get();
      group.work = {on_device,
                    classes_.get(),
                    nullptr,
                    0,
                    0,
                    std::int64_t(n_rows_),
                    group.holding.n_values,
                    group.holding.in_place,
                    group.sums.get(),
                    overflow_.get(),
                    nullptr,
                    keeping_.n,
                    nullptr,
                    0};
      groups_.push_back(std::move(group));
    }

    // The scales of an output that is summed, and its integers, at zero.
    void add_sums(const Scales& host, std::size_t n_classes, Scales& on_device, Sums& sum) {
      exponents_.emplace_back(stream_, host.block, n_classes * n_classes);
      on_device.block = exponents_.back().get();
      block_sums_.emplace_back(stream_, 2 * n_classes * n_classes);
      sum.block = block_sums_.back().get();
      if (!host.row) return;
      row_scales_.emplace_back(stream_, host.row, n_rows_);
      on_device.row = row_scales_.back().get();
      row_scales_.emplace_back(stream_, host.column, n_classes);
      on_device.column = row_scales_.back().get();
      block_sums_.emplace_back(stream_, n_classes * n_rows_);
      sum.rows = block_sums_.back().get();
    }

    // Memory for the values of `most` units, or of fewer: half of what rows, sums and stacks leave, one unit at least.
    void keep(std::int64_t most) {
      const std::size_t unit = std::size_t(keeping_.n) * unit_bytes<T>;
      const std::size_t free = free_beside_stacks<Within<T>>(info(stream_.device()));
      const std::size_t room = std::min(kKeptBytes, free / 2) / unit;
      n_kept_units_ = std::clamp(std::int64_t(room), std::int64_t(1), most);
      kept_ = Array<T>(stream_, std::size_t(n_kept_units_) * unit / sizeof(T));
      for (Group& group : groups_) group.work.kept = kept_.get();
    }

    void add_rows(std::int64_t* to, const std::vector<std::uint64_t>& from, std::size_t n_classes, std::int64_t n,
                  const Layout& layout) const {
      const Rectangle& rectangle = layout.rectangle;
      const auto add_span = [&](Span span, std::size_t at) {
        for (std::size_t c = 0; c < n_classes; ++c)
          for (std::int64_t i = 0; i < span.size(); ++i)
            to[std::int64_t(c) * n + span.begin + i] += std::int64_t(from[c * n_rows_ + at + std::size_t(i)]);
      };
      add_span(rectangle.rows, 0);
      if (!rectangle.square()) add_span(rectangle.columns, std::size_t(rectangle.rows.size()));
    }

    // Whether float32 rows are multiplied as digits on a device.
    static bool by_digits(const Info& there, int depth) {
      return sizeof(T) == sizeof(float) && device::by_digits(there.major, there.minor, depth);
    }

    Stream stream_;
    std::size_t n_rows_;
    bool sliced_;
    Panels<T> panels_;
    Chains<T> chains_;
    Array<Segment> segments_;
    Array<int> first_segment_, classes_;
    Array<Tile> tiles_;
    Array<int> overflow_;
    std::vector<Array<int>> exponents_;
    std::vector<Array<double>> row_scales_;
    std::vector<Array<std::uint64_t>> block_sums_;
    std::vector<Sums> sums_;  // per output of the pass
    std::vector<Group> groups_;
    Keeping keeping_;
    Array<T> kept_;
    std::int64_t n_kept_units_ = 0;  // a launch's, where there are expressions
  };

  std::vector<int> devices_;
};

}  // namespace nc1fast::device
