// A recursion as the tiles of a pass read it: the arrays of its rows, and the list of what is taken from it.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "nc1fast/pairs.hpp"
#include "packing.hpp"
#include "rows.hpp"

namespace nc1fast {

// An output of a chain: one of its kernels, or the sensitivity of one.
struct Taken {
  OutputSpec spec;
  int kernel;
};
using OutputList = std::vector<Taken>;

// The kernels of a chain by level, each root kernel with its sensitivity.
inline OutputList outputs_by_level(const ChainSpec& chain) {
  OutputList list;
  for (std::size_t o = 0; o < chain.outputs.size(); ++o) {
    const OutputSpec& output = chain.outputs[o];
    list.push_back({output, int(o)});
    if (chain.root(output)) list.push_back({{output.level, Quantity::sensitivity, 1, 0, output.summed}, int(o)});
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Taken& a, const Taken& b) { return a.spec.level < b.spec.level; });
  return list;
}

// What sums need to know of a kernel beside its rows. margin: of the sensitivity of an expression, in which errors of
// its leaves multiply.
struct KernelTraits {
  bool summed, root, root_value;
  double margin;
};

// Of the outputs of all chains, then of the expressions.
inline std::vector<KernelTraits> traits_of(const Kernels& kernels) {
  std::vector<KernelTraits> all;
  for (const ChainSpec& chain : kernels.chains)
    for (const OutputSpec& output : chain.outputs)
      all.push_back({output.summed, chain.root(output), chain.root_value(), 1});
  for (const ExpressionSpec& expression : kernels.expressions) {
    KernelTraits traits{true, false, false, 1};
    for (const int leaf : expression.leaves) {
      traits.root |= all[std::size_t(leaf)].root;
      traits.root_value |= all[std::size_t(leaf)].root_value;
    }
    for (const Term& term : expression.terms) traits.margin *= term.operation == Operation::product ? 4 : 1;
    all.push_back(traits);
  }
  return all;
}

// What is kept of the outputs of a row: nothing; k_ii, as forms that are differences and Gram matrices need it; or with
// it k_ii - k_mm, as D2 of products do.
enum class Keep { nothing, diagonals, leaves };

// Gives a chain its outputs, sorted by level, and their arrays, all of which it points to.
template <class T>
void name_outputs(Chain<T>& chain, const std::vector<Output<T>>& outputs, const std::vector<const T*>& diagonals,
                  const std::vector<const T*>& sensitivities) {
  chain.n_outputs = int(outputs.size());
  chain.outputs = outputs.data();
  chain.diagonals = diagonals.data();
  chain.sensitivities = sensitivities.data();
  for (int l = 0; l <= kMaxLevels + 1; ++l)
    chain.first_output[l] =
        int(std::count_if(outputs.begin(), outputs.end(), [&](const auto& o) { return o.level < l; }));
}

// A chain as tiles of type T read it, with the arrays it points to.
template <class T>
class ChainStore {
 public:
  Chain<T> chain;

  // d: features of a row.
  ChainStore(const ChainSpec& spec, const OutputList& list, const RowStage& stage, bool within, Form form, Keep keep,
             const Packed<T>& packed, int d)
      : n_rows_(packed.n_rows), width_(std::size_t(packed.width)), unused_(zeros()) {
    chain.kind = {activation_index(Activations{}, spec.activation.c_str()), form, spec.tangent, spec.n_duals() != 1};
    chain.parameter = spec.parameter;
    chain.recursion = make_recursion<T>(spec);
    if (is_polynomial(form))
      visit_activation(Activations{}, chain.kind.activation, [&]<class Act>() {
        if constexpr (kIsRectifier<Act>) chain.polynomial = {Act(spec.parameter), chain.recursion};
      });
    chain.half_norms = packed.half_norms.get();
    chain.displacements = packed.displacements.get();
    const Rounding rounding(sizeof(T) == sizeof(float), d, packed.depth);
    chain.noise = T(rounding.noise);
    chain.least = T(rounding.least);
    chain.displacement = T(rounding.displacement / (2 * rounding.noise));
    for (int l = 0; spec.lift && l < 4; ++l) {
      lift_[l] = zeros();
      chain.lift[l] = lift_[l].get();
    }
    const unsigned fields = stage.fields(within);
    const int n_levels = std::max(1, chain.recursion.n_duals);
    for (int l = 0; l < n_levels; ++l)
      for (int f = 0; f < kFields; ++f) {
        if (fields >> f & 1) fields_[l][f] = zeros();
        // What no form reads is never loaded, but may be named: it points to zeros.
        chain.fields[l][f] = fields >> f & 1 ? fields_[l][f].get() : unused_.get();
      }
    if (spec.table) chain.n_series = spec.table->table.n_terms + 2;
    for (int l = 0; spec.table && l < chain.recursion.n_duals; ++l) {
      series_[l] = Buffer<T>(n_rows_ * std::size_t(chain.n_series));
      chain.series[l] = series_[l].get();
    }
    for (std::size_t o = 0; o < list.size(); ++o) {
      const OutputSpec& output = list[o].spec;
      outputs_.push_back({output.level, output.quantity, T(output.alpha), T(output.beta)});
      const bool sensitivity = output.quantity == Quantity::sensitivity, kept = sensitivity || keep != Keep::nothing;
      per_output_.push_back(kept ? zeros() : Buffer<T>());
      excesses_.push_back(!sensitivity && keep == Keep::leaves ? zeros() : Buffer<T>());
      needs_outputs_ |= kept;
      diagonals_.push_back(sensitivity ? nullptr : per_output_.back().get());
      sensitivities_.push_back(sensitivity ? per_output_.back().get() : nullptr);
    }
    name_outputs(chain, outputs_, diagonals_, sensitivities_);
  }

  // The chain with its outputs after that of `values`, whose NTK it is (ChainSpec::has_tangent); `leaf` before that.
  const Chain<T>& beside(const ChainStore& values) {
    outputs_.insert(outputs_.begin(), values.outputs_.front());
    diagonals_.insert(diagonals_.begin(), values.diagonals_.front());
    sensitivities_.insert(sensitivities_.begin(), nullptr);
    chain.kind.form = Form::rectifier_both;
    name_outputs(chain, outputs_, diagonals_, sensitivities_);
    return chain;
  }

  // Output o as a leaf of expressions; `first`: of its outputs in a unit.
  Leaf<T> leaf(int o, int first) const {
    const bool root = o + 1 < chain.n_outputs && outputs_[std::size_t(o) + 1].quantity == Quantity::sensitivity;
    return {first + o, root ? first + o + 1 : -1, per_output_[std::size_t(o)].get(), excesses_[std::size_t(o)].get()};
  }

  // Whether `set` reads the outputs of a row.
  bool needs_outputs() const { return needs_outputs_; }

  static std::size_t row_bytes(const ChainSpec& spec, const OutputList& list, const RowStage& stage, bool within,
                               Keep keep) {
    std::size_t arrays = spec.lift ? 5 : 1;  // unused_
    for (int f = 0; f < kFields; ++f)
      arrays += (stage.fields(within) >> f & 1) * std::size_t(std::max(1, spec.n_duals()));
    if (spec.table) arrays += std::size_t(spec.n_duals()) * std::size_t(spec.table->table.n_terms + 2);
    for (const Taken& taken : list)
      arrays += taken.spec.quantity == Quantity::sensitivity ? 1
                : keep == Keep::nothing                      ? 0
                : keep == Keep::leaves                       ? 2
                                                             : 1;
    return arrays * sizeof(T);
  }

  // Row r is padding.
  void clear(std::size_t r) {
    for (int l = 0; l < std::max(1, chain.recursion.n_duals); ++l)
      for (const Buffer<T>& field : fields_[l])
        if (T* array = field.get()) array[r] = T(0);
    for (const auto* outputs : {&per_output_, &excesses_})
      for (const Buffer<T>& output : *outputs)
        if (T* array = output.get()) array[r] = T(0);
    for (const Buffer<T>& part : lift_)
      if (T* array = part.get()) array[r] = T(0);
    for (int l = 0; l < chain.recursion.n_duals; ++l)
      for (int k = 0; k < chain.n_series; ++k) coefficient(l, r, k) = T(0);
  }

  void set(std::size_t r, const Layer* levels, const OutputRow* kernels, const OutputList& list) {
    for (int l = 0; l < std::max(1, chain.recursion.n_duals); ++l) {
      const Row<double>& x = levels[l].row;
      const Link<double>& y = levels[l].link;
      const double values[kFields] = {x.s,      x.h,         x.nu,    x.o, x.root, x.ds, x.dh, x.dnu,
                                      x.dalpha, x.cos_alpha, x.dbeta, y.f, y.g,    y.df, y.dg};
      for (int f = 0; f < kFields; ++f)
        if (T* array = fields_[l][f].get()) array[r] = T(values[f]);
    }
    for (int l = 0; l < chain.recursion.n_duals; ++l)
      for (int k = 0; k < chain.n_series; ++k) coefficient(l, r, k) = T(levels[l].series[std::size_t(k)]);
    const Link<double>& lift = levels[0].lift;
    const double parts[4] = {lift.f, lift.g, lift.df, lift.dg};
    for (int l = 0; l < 4; ++l)
      if (T* array = lift_[l].get()) array[r] = T(parts[l]);
    for (std::size_t o = 0; o < list.size(); ++o) {
      const OutputRow& kernel = kernels[list[o].kernel];
      if (T* array = per_output_[o].get())
        array[r] = T(list[o].spec.quantity == Quantity::sensitivity ? kernel.mu : kernel.k);
      if (T* array = excesses_[o].get()) array[r] = T(kernel.excess);
    }
  }

 private:
  Buffer<T> zeros() const {
    Buffer<T> b(n_rows_);
    std::fill(b.get(), b.get() + n_rows_, T(0));
    return b;
  }
  T& coefficient(int level, std::size_t r, int k) {
    const std::size_t panel = r / width_, n = std::size_t(chain.n_series);
    return series_[level][(panel * n + std::size_t(k)) * width_ + r % width_];
  }
  std::size_t n_rows_, width_;
  bool needs_outputs_ = false;
  Buffer<T> unused_;
  Buffer<T> fields_[kMaxLevels][kFields];
  Buffer<T> lift_[4];
  Buffer<T> series_[kMaxLevels];
  std::vector<Buffer<T>> per_output_, excesses_;
  std::vector<Output<T>> outputs_;
  std::vector<const T*> diagonals_, sensitivities_;
};

// The code that evaluates a chain on the processor.
template <class T>
void take_epilogue(Chain<T>& chain, const Routines<T>& on) {
  chain.epilogue = on.epilogue(chain.kind);
  if (!chain.epilogue) throw std::logic_error("an activation without an epilogue of its form");
}

}  // namespace nc1fast
