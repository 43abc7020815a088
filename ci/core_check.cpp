// core_check: the core by itself, without Python: Gram matrices, class sums and products against their formulas, rows
// from memory and from a file, on several threads. What runs where a system's Python is not at hand (ci/cross.sh).
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu.hpp"
#include "isa/isa.hpp"
#include "reader.hpp"

namespace {
using namespace nc1fast;

constexpr std::int64_t kRows = 211, kFeatures = 131;  // neither fills its last panel; 131 takes integer digits on AMX
constexpr double pi = 3.14159265358979323846;
int failures = 0;

void expect(bool met, const std::string& what) {
  if (!met) ++failures;
  std::printf("%-6s %s\n", met ? "ok" : "FAILED", what.c_str());
}

struct Moments {
  double a, b, c;
};
double relu(const Moments& m) {  // Cho & Saul (2009)
  const double scale = std::sqrt(m.a * m.b), rho = std::fmin(1, std::fmax(-1, m.c / scale)), theta = std::acos(rho);
  return scale / (2 * pi) * (std::sin(theta) + (pi - theta) * rho);
}
double erf(const Moments& m) {  // Williams (1997)
  return 2 / pi * std::asin(2 * m.c / std::sqrt((1 + 2 * m.a) * (1 + 2 * m.b)));
}

struct Data {
  std::vector<double> x;
  Data() : x(kRows * kFeatures) {
    std::mt19937_64 bits(1);
    for (double& value : x) value = double(bits() >> 11) * 0x1p-52 - 1;
  }
  double product(std::int64_t i, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t k = 0; k < kFeatures; ++k)
      sum += x[std::size_t(i * kFeatures + k)] * x[std::size_t(j * kFeatures + k)];
    return sum / kFeatures;
  }
  std::vector<double> gram(double (*dual)(const Moments&)) const {
    std::vector<double> k(kRows * kRows);
    for (std::int64_t i = 0; i < kRows; ++i)
      for (std::int64_t j = 0; j < kRows; ++j)
        k[std::size_t(i * kRows + j)] = dual({product(i, i), product(j, j), product(i, j)});
    return k;
  }
};

Matrix in_memory(const Data& data) {
  Matrix x;
  x.data = data.x.data();
  x.n = kRows;
  x.d = kFeatures;
  x.stride = kFeatures * std::ptrdiff_t(sizeof(double));
  return x;
}

Kernels of(const char* activation) {
  ChainSpec chain;
  chain.activation = activation;
  chain.weights = {1};
  chain.biases = {0};
  chain.outputs = {{1, Quantity::covariance, 1, 0}};
  return {{chain}, {}};
}

template <class T>
double most_off(const std::vector<T>& found, const std::vector<double>& wanted) {
  double off = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) off = std::fmax(off, std::fabs(double(found[i]) - wanted[i]));
  return off;
}

template <class T>
std::vector<T> gram(const Matrix& x, const char* activation, int n_threads) {
  std::vector<T> out(kRows * kRows);
  Cpu().gram(x, {}, of(activation), n_threads, {}, out.data());
  return out;
}

template <class T>
void check_gram(const Data& data, const char* activation, double (*dual)(const Moments&), double allowed) {
  const Matrix x = in_memory(data);
  const std::vector<T> one = gram<T>(x, activation, 1), three = gram<T>(x, activation, 3);
  const std::string what = std::string(activation) + (sizeof(T) == 4 ? ", float32" : ", float64");
  expect(most_off(one, data.gram(dual)) < allowed, "Gram matrix of " + what);
  expect(std::memcmp(one.data(), three.data(), one.size() * sizeof(T)) == 0, "the same bits of three threads, " + what);
}

// Sums over pairs of two classes, from memory or a file.
std::vector<KernelSums> sums_of(const Matrix& x, std::vector<std::int64_t> sizes) {
  std::vector<std::int64_t> order(kRows);
  std::vector<std::int32_t> classes(kRows);
  for (std::int64_t i = 0; i < kRows; ++i) {
    order[std::size_t(i)] = i;
    classes[std::size_t(i)] = i >= sizes[0];
  }
  Options options;
  options.n_threads = 3;
  Survey survey;
  std::vector<KernelSums> sums;
  class_sums(Cpu(), x, order.data(), classes.data(), sizes, of("relu"), options, {{{0, kRows}, {0, kRows}}}, survey,
             sums, {nullptr});
  return sums;
}

double value(const KernelSums& sums, std::size_t block) {
  return std::ldexp(double(sums.block[block]), sums.exponent[block] - 120);
}

void check_class_sums(const Data& data) {
  constexpr std::int64_t first = 100;
  const std::vector<double> k = data.gram(relu);
  const auto at = [&](std::int64_t i, std::int64_t j) { return k[std::size_t(i * kRows + j)]; };
  double within = 0, between = 0;
  for (std::int64_t i = 0; i < first; ++i) {
    for (std::int64_t j = 0; j < first; ++j) within += at(i, i) + at(j, j) - 2 * at(i, j);
    for (std::int64_t j = first; j < kRows; ++j) between += at(i, j);
  }
  const Matrix x = in_memory(data);
  const KernelSums sums = sums_of(x, {first, kRows - first}).at(0);
  expect(std::fabs(value(sums, 0) / within - 1) < 1e-12, "squared distances within a class");
  expect(std::fabs(value(sums, 1) / between - 1) < 1e-12, "kernel values between classes");

  // Of a file, behind bytes that are not rows.
  std::FILE* file = std::tmpfile();
  if (!file) throw std::runtime_error("no file can be made");
  const char head[24] = "\r\n\x1a";
  std::fwrite(head, 1, sizeof head, file);
  std::fwrite(data.x.data(), sizeof(double), data.x.size(), file);
  std::fflush(file);
  Matrix stored = x;
  stored.data = nullptr;
  stored.file = fileno(file);
  stored.offset = sizeof head;
  const KernelSums read = sums_of(stored, {first, kRows - first}).at(0);
  expect(read.block == sums.block && read.exponent == sums.exponent, "the same sums of a file");
  const auto refused = [&](const char* what, const char* told) {
    std::string message = "nothing";
    try {
      sums_of(stored, {first, kRows - first});
    } catch (const ReadError& error) {
      message = error.what();
    }
    expect(message.find(told) == 0, std::string(what) + ": " + message);
  };
  stored.offset += 8;
  refused("a file that is too short", "the file of X ends before its last row");
  std::fclose(file);
  std::FILE* written = std::fopen("core_check.out", "wb");
  if (!written) throw std::runtime_error("no file can be made");
  stored.file = fileno(written);
  refused("a file that may only be written", "X cannot be read: ");
  std::fclose(written);
  std::remove("core_check.out");
}

void check_product(const Data& data) {
  std::vector<double> found(kRows * kRows), wanted(kRows * kRows);
  MatrixProduct<double> product{kRows,         kRows, kFeatures, data.x.data(), kFeatures, 1,
                                data.x.data(), 1,     kFeatures, found.data(),  kRows,     1};
  Cpu().matmul(product, 2, {});
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t j = 0; j < kRows; ++j) wanted[std::size_t(i * kRows + j)] = data.product(i, j) * kFeatures;
  expect(most_off(found, wanted) < 1e-12, "product of two matrices");
}

}  // namespace

int main() {
  std::printf("instructions: %s\n", isa::selected().name);
  const Data data;
  check_gram<float>(data, "relu", relu, 1e-6);
  check_gram<double>(data, "relu", relu, 1e-14);
  check_gram<float>(data, "erf", erf, 1e-6);
  check_gram<double>(data, "erf", erf, 1e-14);
  check_class_sums(data);
  check_product(data);
  std::printf("%s\n", failures ? "FAILED" : "all of them");
  return failures != 0;
}
