#include "rows.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "growth.hpp"
#include "nc1fast/number.hpp"

namespace nc1fast {
namespace {

// Two rows as the recursions read them; the reference row differs from itself by nothing.
struct TwoRows {
  const Layer *first, *second;
  bool reference = false;
  template <class R>
  struct Two {
    R i, j;
  };
  Two<Row<double>> at(int l) const {
    Row<double> j = second[l].row;
    if (reference) j.ds = j.dh = j.dnu = j.dalpha = j.dbeta = 0;
    return {first[l].row, j};
  }
  Two<Link<double>> links(int l) const {
    Link<double> j = second[l].link;
    if (reference) j.df = j.dg = 0;
    return {first[l].link, j};
  }
};

template <class Act>
class Stage final : public RowStage {
 public:
  explicit Stage(const ChainSpec& spec)
      : spec_(spec), act_(spec.parameter), recursion_(make_recursion<double>(spec)), form_(spec.distance_form()) {
    bind();
    if (form_ == Form::plain_distance) return;
    const std::vector<Layer> nothing(std::size_t(std::max(1, recursion_.n_duals)));
    origin_ = nothing;
    fill_layers({0, 0, 0, 1, true}, nothing.data(), origin_.data());
    for (const OutputSpec& output : spec.outputs) origin_k_.push_back(growth(act_, spec, output, origin_.data(), 1).k);
  }

  Reference reference(double a_m) const override {
    Reference reference;
    reference.layers.resize(std::size_t(std::max(1, recursion_.n_duals)));
    fill_layers({a_m, 0, 0, 1, true}, nullptr, reference.layers.data());
    for (const OutputSpec& output : spec_.outputs)
      reference.k.push_back(growth(act_, spec_, output, reference.layers.data(), 1).k);
    return reference;
  }

  void layers(const RowInput& in, const Reference& reference, Layer* rows) const override {
    if (in.centred)
      fill_layers(in, reference.layers.data(), rows);
    else if (origin_.empty())
      fill_layers(in, nullptr, rows);
    else
      fill_layers({in.a, in.a, 0, 1, false}, origin_.data(), rows);
  }

  void outputs(const RowInput& in, const Reference& reference, int d, const Rounding& rounding, const Layer* rows,
               OutputRow* outputs) const override {
    // A difference as written may be as large as k_ii + k_jj whatever the rows are, by rounding alone; and a row of
    // zeros has no angle to others, on which tangent kernels depend.
    const Layer* from = in.centred ? reference.layers.data() : origin_.data();
    const bool measured = form_ != Form::plain_distance && (in.centred || !spec_.tangent);
    if (measured)
      distances(spec_.lift ? lifted_half_chord(rows[0].lift, from[0].lift, in.t_m) : in.t_m, rows, from, to_reference_);
    for (std::size_t o = 0; o < spec_.outputs.size(); ++o) {
      const Growth grown = growth(act_, spec_, spec_.outputs[o], rows, d);
      OutputRow& out = outputs[o];
      const double at_reference = in.centred ? reference.k[o] : origin_.empty() ? 0 : origin_k_[o];
      const double excess =
          form_ == Form::plain_distance ? grown.k - at_reference : excess_of(spec_.outputs[o], rows, from);
      out = {grown.k, grown.diagonal, grown.slope,  grown.noise, grown.shift, grown.floor, std::sqrt(grown.turn),
             grown.k, measured,       at_reference, excess};
      if (!measured) continue;
      const double moved = rounding.displacement * in.displaced;
      out.reference = std::min(std::max(0.0, to_reference_[o]) * (1.01 + 8 * std::sqrt(rounding.noise)) +
                                   8 * moved * (grown.slope * moved + grown.turn),
                               2.02 * (grown.k + at_reference));
    }
  }

  std::unique_ptr<RowStage> clone() const override {
    auto copy = std::make_unique<Stage>(*this);
    copy->bind();
    return copy;
  }

  unsigned fields(bool within) const override {
    const int n = recursion_.n_duals;
    unsigned f = spec_.tangent ? bit(kS) : 0u;
    if (n > 0) f |= bit(kH) | Act::fields;
    if (n > 1) f |= bit(kF) | bit(kG);
    if (!within || form_ == Form::plain_distance) return f;
    if (spec_.tangent) f |= bit(kDs);
    if (form_ == Form::rectifier_distance) return n > 1 ? f | bit(kDh) | bit(kDf) | bit(kDg) : n > 0 ? f | bit(kDh) : f;
    return f | bit(kDnu) | bit(kDalpha) | bit(kCosAlpha) | (spec_.theta_offset != 0 ? bit(kDbeta) : 0u);
  }

 private:
  // A series writes the coefficients of the row in hand into memory of its stage.
  void bind() {
    if constexpr (Act::is_series) {
      if (!spec_.table) throw std::invalid_argument("a series needs its table");
      coefficients_.resize(std::size_t(act_.n_terms) + 2);
      act_.table = &spec_.table->table;
      act_.found = coefficients_.data();
    }
  }

  // Every layer of one row; differences to the reference where one is given.
  void fill_layers(const RowInput& in, const Layer* reference, Layer* rows) const {
    double a = spec_.weights[0] * in.a + spec_.biases[0];
    double s = std::sqrt(a);
    double da = 0, ds = 0;
    if (reference && s + reference[0].row.s > 0) {
      da = spec_.weights[0] * in.da;
      ds = da / (s + reference[0].row.s);
    }
    for (int l = 0;; ++l) {
      rows[l] = Layer{};
      Row<double>& r = rows[l].row;
      Link<double>& link = rows[l].link;
      r.s = s;
      r.ds = ds;
      if (l == 0) rows[0].lift = lift_of(in, s, reference ? &reference[0] : nullptr);
      if (l == recursion_.n_duals) return;
      act_.row(a, r);
      if constexpr (kIsRectifier<Act>) r.dh = std::sqrt(act_.diagonal) * ds;
      if constexpr (kSame<Act, Erf>) {
        r.cos_alpha = std::sqrt(r.o * (2 - r.o));
        if (reference && r.nu + reference[l].row.nu > 0) {
          const double dn = 2 * da * r.o * reference[l].row.o;  // nu^2 - nu_m^2
          r.dnu = dn / (r.nu + reference[l].row.nu);
          r.dalpha = 2 * std::atan(dn / (r.cos_alpha + reference[l].row.cos_alpha));
          const double square = r.o / r.cos_alpha,
                       square_m = reference[l].row.o / reference[l].row.cos_alpha;  // beta^2
          r.dbeta = -4 * da * square * square * square_m * square_m /
                    ((square + square_m) * (std::sqrt(square) + std::sqrt(square_m)));
        }
      }
      const Dual<double> dual = act_.dual(pair_of_sign(1.0, 0.0), r, r);
      const double q = r.h * r.h * dual.value;
      rows[l].diagonal = {q, dual.derivative};
      if constexpr (Act::is_series) rows[l].series = coefficients_;
      if (l + 1 == recursion_.n_duals) return;
      const double w = spec_.weights[std::size_t(l) + 1], b = spec_.biases[std::size_t(l) + 1];
      a = w * q + b;
      s = std::sqrt(a);
      if (!std::isfinite(a)) throw std::overflow_error("the kernel overflows on the diagonal");
      link.f = s > 0 ? std::sqrt(w) * r.h / s : 0;
      link.g = s > 0 ? std::sqrt(b) / s : 0;
      if (b == 0) link.f = s > 0 ? (Act::exact_m ? 1 : link.f) : 0;
      da = ds = 0;
      if constexpr (kIsRectifier<Act>) {
        if (reference) {
          const double s_m = next_s(reference[l].row, w, b);
          da = w * r.dh * (r.h + reference[l].row.h);
          ds = s + s_m > 0 ? da / (s + s_m) : 0;
          if (b > 0 && s_m > 0) {
            link.df = std::sqrt(w) * (r.dh * s_m - reference[l].row.h * ds) / (s * s_m);
            link.dg = -std::sqrt(b) * ds / (s * s_m);
          }
        }
      }
    }
  }
  static double next_s(const Row<double>& r, double w, double b) { return std::sqrt(w * r.h * r.h + b); }

  // (f, g) = (sqrt(w) |x|, sqrt(b))/s of a row, s^2 = w |x|^2 + b, and its difference from that of the reference, or
  // from zero where there is none.
  Link<double> lift_of(const RowInput& in, double s, const Layer* reference) const {
    if (!(s > 0)) return {0, 1, 0, 1};
    const double w = spec_.weights[0], b = spec_.biases[0], r = std::sqrt(w * in.a);
    Link<double> lift{r / s, std::sqrt(b) / s, r / s, std::sqrt(b) / s};
    if (!reference || !(reference->row.s > 0)) return lift;
    const double s_m = reference->row.s, r_m = reference->lift.f * s_m;
    const double da = w * in.da, dr = r + r_m > 0 ? da / (r + r_m) : 0, ds = da / (s + s_m);
    lift.df = (dr * s_m - r_m * ds) / (s * s_m);
    lift.dg = -std::sqrt(b) * ds / (s * s_m);
    return lift;
  }
  static double lifted_half_chord(const Link<double>& i, const Link<double>& m, double t) {
    return half_chord_between(i.df, i.dg) + i.f * m.f * t;
  }

  // k_ii - k_mm of a kernel whose D2 does not cancel, m the reference row.
  double excess_of(const OutputSpec& output, const Layer* i, const Layer* m) const {
    double k = recursion_.theta_scale * i[0].row.ds * (i[0].row.s + m[0].row.s);
    double at_m = recursion_.theta_scale * m[0].variance() + recursion_.theta_offset;
    for (int l = 0; l < output.level; ++l) {
      double value = i[l].row.dh * (i[l].row.h + m[l].row.h), slope = 0;
      if constexpr (kSame<Act, Erf>) {
        const auto beta = [](const Row<double>& r) { return std::sqrt(r.o / r.cos_alpha); };
        value = i[l].row.h * i[l].row.h * i[l].row.dalpha;
        slope = 4 / math::pi * i[l].row.dbeta * (beta(i[l].row) + beta(m[l].row));
      }
      if (output.quantity == Quantity::covariance) {
        k = output.alpha * value;
        continue;
      }
      const double q = recursion_.q[l], theta = recursion_.theta[l];
      k = q * value + theta * (k * i[l].diagonal.slope + at_m * slope);
      at_m = q * m[l].diagonal.value + recursion_.one[l] + theta * at_m * m[l].diagonal.slope;
    }
    return k;
  }

  // D2 to the reference row, of the forms that do not cancel.
  void distances(double t, const Layer* i, const Layer* reference, std::vector<double>& out) const {
    const TwoRows rows[1] = {{i, reference, true}};
    const auto run = [&]<class State, bool Tangent>(State state, std::bool_constant<Tangent>) {
      State states[1] = {state};
      walk<Tangent, kIsRectifier<Act>>(states, act_, recursion_, rows, taker(out));
    };
    if constexpr (kIsRectifier<Act>)
      spec_.tangent ? run(RectifierDistance<double, true>(t), std::true_type())
                    : run(RectifierDistance<double, false>(t), std::false_type());
    if constexpr (kSame<Act, Erf>)
      spec_.tangent ? run(ErfDistance<double, true>(t), std::true_type())
                    : run(ErfDistance<double, false>(t), std::false_type());
  }

  auto taker(std::vector<double>& out) const {
    out.resize(spec_.outputs.size());
    return [this, &out](int level, int, const Level<double>& x) {
      for (std::size_t o = 0; o < spec_.outputs.size(); ++o) {
        const OutputSpec& spec = spec_.outputs[o];
        if (spec.level != level) continue;
        out[o] = spec.quantity == Quantity::tangent ? x.tangent : spec.alpha * x.covariance;
      }
    };
  }

  ChainSpec spec_;
  Act act_;
  Recursion<double> recursion_;
  Form form_;
  std::vector<Layer> origin_;  // of a row of zeros: the reference of a class that has no other; empty for plain forms
  std::vector<double> origin_k_;  // of every output
  std::vector<double> coefficients_;
  mutable std::vector<double> to_reference_;  // of the row in hand; a stage belongs to one thread
};

// visit(Act*) of the activation with this name.
template <class Visit, class... Act>
void with_activation(List<Act...>, const std::string& name, const Visit& visit) {
  if (!((name == Act::name && (visit(static_cast<Act*>(nullptr)), true)) || ...))
    throw std::invalid_argument("unknown activation " + name);
}

}  // namespace

std::unique_ptr<RowStage> make_row_stage(const ChainSpec& spec) {
  std::unique_ptr<RowStage> stage;
  with_activation(Activations{}, spec.activation, [&]<class Act>(Act*) { stage = std::make_unique<Stage<Act>>(spec); });
  return stage;
}

int ChainSpec::n_duals() const {
  int n = 0;
  for (const OutputSpec& output : outputs) n = std::max(n, output.level);
  return n;
}

bool ChainSpec::root(const OutputSpec& output) const {
  bool root = false;
  with_activation(Activations{}, activation, [&]<class Act>(Act*) {
    root = output.level > 0 && (Act::root_value || (Act::root_derivative && output.quantity == Quantity::tangent));
  });
  return root;
}

bool ChainSpec::root_value() const {
  bool root = false;
  with_activation(Activations{}, activation, [&]<class Act>(Act*) { root = Act::root_value; });
  return root;
}

Form ChainSpec::covariance_form() const {
  bool rectifier = false;
  with_activation(Activations{}, activation, [&]<class Act>(Act*) { rectifier = kIsRectifier<Act>; });
  const bool tangents_alone =
      n_duals() == 1 && theta_offset == 0 && std::all_of(outputs.begin(), outputs.end(), [](const OutputSpec& output) {
        return output.level == 1 && output.quantity == Quantity::tangent;
      });
  return rectifier && tangents_alone ? Form::rectifier_tangent : Form::covariance;
}

bool ChainSpec::has_tangent(const ChainSpec& other) const {
  return other.covariance_form() == Form::rectifier_tangent && outputs.size() == 1 && other.outputs.size() == 1 &&
         outputs[0].level == 1 && outputs[0].quantity == Quantity::covariance && activation == other.activation &&
         parameter == other.parameter && weights[0] == other.weights[0] && biases[0] == other.biases[0] &&
         lift == other.lift;
}

Form ChainSpec::distance_form() const {
  Form form = Form::plain_distance;
  with_activation(Activations{}, activation, [&]<class Act>(Act*) {
    if (kIsRectifier<Act>) form = Form::rectifier_distance;
    if (kSame<Act, Erf> && n_duals() == 1) form = Form::erf_distance;
  });
  return form;
}

}  // namespace nc1fast
