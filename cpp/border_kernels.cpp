// Kernels as Python describes them (core/chains.py, core/expressions.py).
#include <stdexcept>

#include "border.hpp"

namespace nc1fast::border {

namespace {

// {"values": (n_intervals, n_nodes, n_terms + 2), "first", "accuracy"} of a series.
std::shared_ptr<const Tabulated> as_table(const py::dict& d) {
  const Dense values = d["values"].cast<Dense>();
  auto made = std::make_shared<Tabulated>();
  if (values.ndim() != 3 || values.shape(2) < 3 || values.shape(2) > kMostCoefficients + 2)
    throw std::invalid_argument("the table of a series does not fit");
  made->values.assign(values.data(), values.data() + values.size());
  made->table = {made->values.data(),  int(values.shape(2)) - 2, d["first"].cast<int>(),
                 int(values.shape(0)), int(values.shape(1)),     d["accuracy"].cast<double>()};
  return made;
}

}  // namespace

ChainSpec as_chain(const py::dict& d) {
  ChainSpec chain;
  chain.activation = d["activation"].cast<std::string>();
  chain.parameter = d["parameter"].cast<double>();
  chain.weights = d["weights"].cast<std::vector<double>>();
  chain.biases = d["biases"].cast<std::vector<double>>();
  chain.tangent = d["tangent"].cast<bool>();
  chain.theta_scale = d["theta_scale"].cast<double>();
  chain.theta_offset = d["theta_offset"].cast<double>();
  chain.coefficients = d["coefficients"].cast<std::vector<std::array<double, 3>>>();
  for (const auto& [level, tangent, alpha, beta] :
       d["outputs"].cast<std::vector<std::tuple<int, bool, double, double>>>())
    chain.outputs.push_back({level, tangent ? Quantity::tangent : Quantity::covariance, alpha, beta});
  if (d.contains("table") && !d["table"].is_none()) chain.table = as_table(d["table"].cast<py::dict>());
  if (d.contains("lift")) chain.lift = d["lift"].cast<bool>();
  if (d.contains("summed")) {
    const auto summed = d["summed"].cast<std::vector<bool>>();
    if (summed.size() != chain.outputs.size()) throw std::invalid_argument("outputs and summed do not fit");
    for (std::size_t o = 0; o < summed.size(); ++o) chain.outputs[o].summed = summed[o];
  }
  if ((chain.activation == Series::name) != bool(chain.table) ||
      (chain.table && chain.table->table.n_terms != int(chain.parameter)))
    throw std::invalid_argument("a series needs its table");
  const auto n = std::size_t(chain.n_duals());
  if (n >= kMaxLevels || chain.weights.size() < std::max<std::size_t>(n, 1) ||
      chain.biases.size() != chain.weights.size() || (chain.tangent && chain.coefficients.size() < n))
    throw std::invalid_argument("a chain needs its layers, at most " + std::to_string(kMaxLevels - 1));
  return chain;
}

namespace {

// Leaves among `n_outputs`, and terms (operation, first, second, factor) of which each names earlier ones.
ExpressionSpec as_expression(const py::handle& given, std::size_t n_outputs) {
  const auto [leaves, terms] =
      given.cast<std::pair<std::vector<int>, std::vector<std::tuple<int, int, int, double>>>>();
  ExpressionSpec spec{leaves, {}};
  bool fits = !terms.empty() && terms.size() <= std::size_t(kMaxTerms);
  for (const int leaf : leaves) fits &= 0 <= leaf && std::size_t(leaf) < n_outputs;
  for (const auto& [operation, first, second, factor] : terms) {
    const Operation which = Operation(operation);
    const int end = which == Operation::leaf ? int(leaves.size()) : int(spec.terms.size());
    const bool two = which == Operation::sum || which == Operation::product;
    fits &= 0 <= operation && operation <= int(Operation::product) && 0 <= first && first < end;
    fits &= !two || (0 <= second && second < end);
    spec.terms.push_back({which, first, second, factor});
  }
  if (!fits) throw std::invalid_argument("an expression has terms, each of what comes before it");
  return spec;
}

}  // namespace

Kernels as_kernels(const py::dict& d) {
  Kernels kernels;
  for (const auto& chain : d["chains"].cast<py::list>()) kernels.chains.push_back(as_chain(chain.cast<py::dict>()));
  for (const auto& expression : d["expressions"].cast<py::list>())
    kernels.expressions.push_back(as_expression(expression, kernels.n_outputs()));
  return kernels;
}

Kernels as_kernel(const py::dict& d) {
  if (!d.contains("chains")) return {{as_chain(d)}, {}};
  Kernels kernels = as_kernels(d);
  const std::size_t n_expressions = kernels.expressions.size();
  const bool one = n_expressions == 1 || (n_expressions == 0 && kernels.n_outputs() == 1);
  if (!one) throw std::invalid_argument("a kernel is one kernel of a chain, or one expression");
  return kernels;
}

}  // namespace nc1fast::border
