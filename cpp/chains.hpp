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
    if (chain.root(output)) list.push_back({{output.level, Quantity::sensitivity, 1, 0}, int(o)});
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Taken& a, const Taken& b) { return a.spec.level < b.spec.level; });
  return list;
}

// A chain as tiles of type T read it, with the arrays it points to.
template <class T>
class ChainStore {
 public:
  Chain<T> chain;

  // d: features of a row. with_diagonals: k_ii is kept, as forms that are differences and Gram matrices need it.
  ChainStore(const ChainSpec& spec, const OutputList& list, const RowStage& stage, bool within, Form form,
             bool with_diagonals, const Packed<T>& packed, int d)
      : n_rows_(packed.n_rows), unused_(zeros()) {
    chain.kind = {activation_index(Activations{}, spec.activation.c_str()), form, spec.tangent, spec.n_duals() != 1};
    chain.parameter = spec.parameter;
    chain.recursion = make_recursion<T>(spec);
    chain.half_norms = packed.half_norms.get();
    chain.displacements = packed.displacements.get();
    const Rounding rounding(sizeof(T) == sizeof(float), d, packed.depth);
    chain.noise = T(rounding.noise);
    chain.least = T(rounding.least);
    chain.displacement = T(rounding.displacement / (2 * rounding.noise));
    const unsigned fields = stage.fields(within);
    const int n_levels = std::max(1, chain.recursion.n_duals);
    for (int l = 0; l < n_levels; ++l)
      for (int f = 0; f < kFields; ++f) {
        if (fields >> f & 1) fields_[l][f] = zeros();
        // What no form reads is never loaded, but may be named: it points to zeros.
        chain.fields[l][f] = fields >> f & 1 ? fields_[l][f].get() : unused_.get();
      }
    for (std::size_t o = 0; o < list.size(); ++o) {
      const OutputSpec& output = list[o].spec;
      outputs_.push_back({output.level, output.quantity, T(output.alpha), T(output.beta)});
      const bool sensitivity = output.quantity == Quantity::sensitivity;
      per_output_.push_back(sensitivity || with_diagonals ? zeros() : Buffer<T>());
      needs_outputs_ |= sensitivity || with_diagonals;
      diagonals_.push_back(sensitivity ? nullptr : per_output_.back().get());
      sensitivities_.push_back(sensitivity ? per_output_.back().get() : nullptr);
    }
    chain.n_outputs = int(outputs_.size());
    chain.outputs = outputs_.data();
    for (int l = 0; l <= kMaxLevels + 1; ++l)
      chain.first_output[l] =
          int(std::count_if(outputs_.begin(), outputs_.end(), [&](const auto& o) { return o.level < l; }));
    chain.diagonals = diagonals_.data();
    chain.sensitivities = sensitivities_.data();
  }

  // Whether `set` reads the outputs of a row.
  bool needs_outputs() const { return needs_outputs_; }

  static std::size_t row_bytes(const ChainSpec& spec, const OutputList& list, const RowStage& stage, bool within,
                               bool with_diagonals) {
    std::size_t arrays = 1;  // unused_
    for (int f = 0; f < kFields; ++f)
      arrays += (stage.fields(within) >> f & 1) * std::size_t(std::max(1, spec.n_duals()));
    for (const Taken& taken : list) arrays += taken.spec.quantity == Quantity::sensitivity || with_diagonals;
    return arrays * sizeof(T);
  }

  // Row r is padding.
  void clear(std::size_t r) {
    for (int l = 0; l < std::max(1, chain.recursion.n_duals); ++l)
      for (const Buffer<T>& field : fields_[l])
        if (T* array = field.get()) array[r] = T(0);
    for (const Buffer<T>& output : per_output_)
      if (T* array = output.get()) array[r] = T(0);
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
    for (std::size_t o = 0; o < list.size(); ++o)
      if (T* array = per_output_[o].get()) {
        const OutputRow& kernel = kernels[list[o].kernel];
        array[r] = T(list[o].spec.quantity == Quantity::sensitivity ? kernel.mu : kernel.k);
      }
  }

 private:
  Buffer<T> zeros() const {
    Buffer<T> b(n_rows_);
    std::fill(b.get(), b.get() + n_rows_, T(0));
    return b;
  }
  std::size_t n_rows_;
  bool needs_outputs_ = false;
  Buffer<T> unused_;
  Buffer<T> fields_[kMaxLevels][kFields];
  std::vector<Buffer<T>> per_output_;
  std::vector<Output<T>> outputs_;
  std::vector<const T*> diagonals_, sensitivities_;
};

}  // namespace nc1fast
