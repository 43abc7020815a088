// How rounding errors grow from the layer where they arise to a kernel's value, one row at a time.
//
// In the correlation rho of the pre-activations of any layer, k_ij = sum_n B_n(i, j) rho^n with positive semi-definite
// B_n (Schoenberg, 1942): |B_n(i, j)|^2 <= B_n(i, i) B_n(j, j), and by Cauchy-Schwarz
//   |dk_ij| <= sqrt(x_i x_j) |drho|,   x_i = dk_ii/drho at rho = 1.
// What the chain rule says of the diagonal, where every dual activation has a closed form, therefore bounds every pair;
// and errors e_l of several layers add up to sum_l e_l sqrt(x_li x_lj) <= sqrt(sum_l e_l x_li) sqrt(sum_l e_l x_lj).
// docs/accuracy.md has the derivation, and where each constant comes from.
#pragma once

#include <algorithm>
#include <cmath>

#include "nc1fast/pairs.hpp"
#include "rows.hpp"

namespace nc1fast {

// Roundings, in units of u.
inline constexpr double kDualRoundings = 10;  // of a dual activation, relative to E phi^2
inline constexpr double kFieldRoundings = 3;  // of what is known of a row, each relative to itself
inline constexpr double kLinkRoundings = 6;   // from the value of one layer to the correlation of the next
inline constexpr double kSumRoundings = 10;   // of a sum over a unit, and of the last scaling
inline constexpr double kNormRoundings = 10;  // of the variance of a layer, E phi^2 included
inline constexpr double kLargest = 1e200;     // of a derivative: beyond it the bound says nothing anyway

// What one kernel makes of one row, and of its errors.
struct Growth {
  double k = 0;         // k_ii, by the recursion of the diagonal: no error of an angle enters it
  double diagonal = 0;  // its error, in units of 2^-53
  double slope = 0;     // dk_ii/drho at the input, without what a root at rho = 1 adds
  double noise = 0;     // roundings behind the chord: |dk_ij| <= u sqrt(noise_i noise_j)
  double shift = 0;     // the same of what the row itself is off by, which is known in float64: in units of 2^-53
  double floor = 0;     // |dk_ij| where a square of a layer vanishes, in units of the smallest normal number
  double turn = 0;      // -dk_ii/dtheta at theta = 0: what a root adds
};

// Of a variance b + w |x|^2/d: squares, the sum within a lane, that of the lanes by halves, and four more.
inline double norm_roundings(int d) { return d / double(kLanesOfSums) + std::log2(std::min(d, kLanesOfSums)) + 5; }

// The recursion of the diagonal. Of layer l: the relative error of its variance, and the magnitude of Theta^l.
struct Descent {
  double k, off;
  double norm[kMaxLevels + 1], size[kMaxLevels + 1];
};

// `layers` of a row of d features.
template <class Act>
Descent descend(const Act& act, const ChainSpec& chain, const OutputSpec& output, const Layer* layers, int d) {
  Descent down;
  double *norm = down.norm, *size = down.size;
  norm[0] = norm_roundings(d);
  size[0] = chain.theta_scale * layers[0].variance() + std::abs(chain.theta_offset);
  double theta = chain.theta_scale * layers[0].variance() + chain.theta_offset;
  double off = size[0] * (norm[0] + kLinkRoundings);
  for (int l = 0; l < output.level; ++l) {
    const Diagonal& own = layers[l].diagonal;
    const double a = layers[l].variance(), drift = act.drift(a, own.value);
    const double value_off = drift * norm[l] + (kDualRoundings + act.tabulated()) * own.value;
    if (output.quantity == Quantity::tangent) {
      const auto& [q, one, scale] = chain.coefficients[std::size_t(l)];
      off = q * value_off + scale * own.slope * (off + size[l] * (act.radial(a) * norm[l] + kDualRoundings));
      theta = q * own.value + one + scale * theta * own.slope;
      size[l + 1] = q * own.value + one + scale * size[l] * own.slope;
      off += kLinkRoundings * size[l + 1];
    } else if (l + 1 == output.level) {
      theta = output.alpha * own.value + output.beta;
      off = output.alpha * value_off + kLinkRoundings * theta;
    }
    if (l + 1 == output.level) break;
    const double next = layers[l + 1].variance();
    const double amplified = next > 0 ? chain.weights[std::size_t(l) + 1] * drift / next : 0;
    norm[l + 1] = std::min(amplified * norm[l], kLargest) + kNormRoundings;
  }
  down.k = theta;
  down.off = std::min(off, kLargest);
  return down;
}

// The same, and back up the layers: how far k_ii follows what each of them is off by.
template <class Act>
Growth growth(const Act& act, const ChainSpec& chain, const OutputSpec& output, const Layer* layers, int d) {
  const Descent down = descend(act, chain, output, layers, d);
  const bool tangent = output.quantity == Quantity::tangent;
  Growth g;
  g.k = down.k;
  g.diagonal = down.off;
  g.noise = kSumRoundings * g.k;
  double to_theta = tangent ? 1 : 0;  // dk/dTheta^{l+1}
  double to_sigma = 0;                // dk/dSigma^{l+1}
  for (int l = output.level - 1; l >= 0; --l) {
    const Diagonal& own = layers[l].diagonal;
    const double a = layers[l].variance(), radial = act.radial(a) * a * own.slope;
    double to_value = to_sigma > 0 ? chain.weights[std::size_t(l) + 1] * to_sigma : 0;
    if (l + 1 == output.level && !tangent) to_value = output.alpha;
    double to_slope = 0;  // dk/dkdot
    if (tangent) {
      const auto& [q, one, scale] = chain.coefficients[std::size_t(l)];
      g.noise += kLinkRoundings * to_theta * down.size[l + 1];
      to_value += to_theta * q;
      to_slope = to_theta * scale * down.size[l];
      to_theta = std::min(to_theta * scale * own.slope, kLargest);
      g.turn += to_slope * act.turn_of(a);
    }
    to_sigma = std::min(to_value * own.slope + to_slope * act.bend(a), kLargest);
    // A row whose length is off by a share e: e sqrt(E[u^2 phi'^2]) in feature space, and phi' likewise.
    const double follows = to_value * (own.value + radial) + to_slope * (own.slope + act.swing(a));
    const double values = to_value * own.value, slopes = to_slope * own.slope;
    g.noise += (kDualRoundings + act.roundings(a)) * (values + slopes) + kFieldRoundings * follows;
    const Missing missing = act.missing(a);
    g.shift += 0.5 * down.norm[l] * follows + missing.value * values + missing.slope * slopes;
    g.floor += to_value + to_sigma;
    if (l > 0) g.noise += kLinkRoundings * a * to_sigma;
  }
  g.slope = std::min(layers[0].variance() * (to_sigma + to_theta * chain.theta_scale), kLargest);
  if (chain.lift) {  // the correlation is f_i f_j that of the rows without bias, and g_i g_j
    const double f = layers[0].lift.f;
    g.noise += kLinkRoundings * g.slope;
    g.slope *= f * f;
  }
  g.noise = std::min(g.noise + kLinkRoundings * (to_theta * down.size[0] + g.turn), kLargest);
  g.shift = std::min(g.shift, kLargest);
  g.floor = std::min(g.floor + to_theta * chain.theta_scale, kLargest);
  if constexpr (Act::root_value)
    if (output.level > 0) g.turn = output.alpha * layers[output.level - 1].row.h * layers[output.level - 1].row.h;
  return g;
}

}  // namespace nc1fast
