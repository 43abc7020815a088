// Packed rows and chains in the memory of one device: what a launch points to.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "lent_rows.hpp"
#include "memory.hpp"
#include "packing.hpp"
#include "work.hpp"

namespace nc1fast::device {

template <class T>
const Launches<T>& launches();
template <>
inline const Launches<float>& launches<float>() {
  return launches_f32;
}
template <>
inline const Launches<double>& launches<double>() {
  return launches_f64;
}

inline std::size_t rounded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// Panels with their norms, which the device computes itself: as products, so that equal rows have chord 0. Rows that
// lie there are packed there. Sliced: of digits.
template <class T>
class Panels {
 public:
  Panels() = default;
  // far, means: of rows that lie there, and what their scalings refer to.
  Panels(Stream& stream, const Packed<T>& packed, std::size_t n_rows, const FarRows* far, const Means& means,
         bool sliced = false)
      : depth_(int(rounded(std::size_t(packed.depth), kStep))),
        panels_(stream, n_rows * std::size_t(depth_)),
        half_norms_(stream, packed.half_norms.get(), n_rows) {
    const std::size_t stored = std::size_t(packed.depth) * kWidth, padded = std::size_t(depth_) * kWidth;
    if (far) {
      pack_lent(stream, static_cast<const LentRows&>(*far), packed, n_rows, means, depth_, panels_.get());
    } else if (stored == padded) {
      stream.send(panels_.get(), packed.panels.get(), n_rows / kWidth * stored * sizeof(T));
    } else {
      for (std::size_t p = 0; p < n_rows / kWidth; ++p)
        stream.send(panels_.get() + p * padded, packed.panels.get() + p * stored, stored * sizeof(T));
    }
    const int n = int(n_rows / kWidth);
    check(sliced ? launches<T>().slices(panels_.get(), n, depth_, half_norms_.get(), stream.get())
                 : launches<T>().half_norms(panels_.get(), n, depth_, half_norms_.get(), stream.get()),
          "norms cannot be computed");
  }
  int depth() const { return depth_; }
  const T* panels() const { return panels_.get(); }
  const T* half_norms() const { return half_norms_.get(); }

 private:
  int depth_ = 0;
  Array<T> panels_, half_norms_;
};

// Chains and expressions with the arrays of numbers that they name, each sent once. half_norms is given.
template <class T>
class Chains {
 public:
  Chains(Stream& stream, std::size_t n_rows) : stream_(stream), n_rows_(n_rows) {}

  Chain<T> send(Chain<T> chain, const T* half_norms) {
    for (auto& level : chain.fields)
      for (const T*& field : level) field = rows(field);
    chain.diagonals = pointers(chain.diagonals, chain.n_outputs);
    chain.sensitivities = pointers(chain.sensitivities, chain.n_outputs);
    outputs_.emplace_back(stream_, chain.outputs, std::size_t(chain.n_outputs));
    chain.outputs = outputs_.back().get();
    for (const T*& part : chain.lift) part = rows(part);
    chain.half_norms = half_norms;
    chain.displacements = rows(chain.displacements);
    chain.epilogue = nullptr;
    return chain;
  }
  // leaves: as its values are numbered on the device, their arrays there.
  Expression<T> send(Expression<T> expression, const std::vector<Leaf<T>>& leaves) {
    terms_.emplace_back(stream_, expression.terms, std::size_t(expression.n_terms));
    expression.terms = terms_.back().get();
    leaves_.emplace_back(stream_, leaves);
    expression.leaves = leaves_.back().get();
    return expression;
  }
  // An array of rows on the host -> the same on the device.
  const T* rows(const T* host) {
    if (!host) return nullptr;
    auto [found, is_new] = sent_.try_emplace(host);
    if (is_new) found->second = Array<T>(stream_, host, n_rows_);
    return found->second.get();
  }

 private:
  const T* const* pointers(const T* const* host, int n) {
    std::vector<const T*> sent;
    for (int o = 0; o < n; ++o) sent.push_back(rows(host[o]));
    pointers_.emplace_back(stream_, sent);
    return pointers_.back().get();
  }
  Stream& stream_;
  std::size_t n_rows_;
  std::map<const T*, Array<T>> sent_;
  std::vector<Array<const T*>> pointers_;
  std::vector<Array<Output<T>>> outputs_;
  std::vector<Array<Term>> terms_;
  std::vector<Array<Leaf<T>>> leaves_;
};

}  // namespace nc1fast::device
