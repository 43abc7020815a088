#include "reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "system.hpp"

namespace nc1fast {
namespace {

struct Half {
  std::uint16_t bits;
  explicit operator double() const {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double size = exponent == 0    ? std::ldexp(mantissa, -24)
                        : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                         : std::ldexp(1024 + mantissa, exponent - 25);
    return bits >> 15 ? -size : size;
  }
};

template <class S>
void widen_as(const char* from, std::ptrdiff_t n, double* out) {
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    S value;
    std::memcpy(&value, from + k * std::ptrdiff_t(sizeof value), sizeof value);
    out[k] = double(value);
  }
}

void widen(Element element, const char* from, std::ptrdiff_t n, double* out) {
  switch (element) {
    case Element::f64:
      return widen_as<double>(from, n, out);
    case Element::f32:
      return widen_as<float>(from, n, out);
    case Element::f16:
      return widen_as<Half>(from, n, out);
    case Element::i8:
      return widen_as<std::int8_t>(from, n, out);
    case Element::u8:
      return widen_as<std::uint8_t>(from, n, out);
    case Element::i16:
      return widen_as<std::int16_t>(from, n, out);
    case Element::u16:
      return widen_as<std::uint16_t>(from, n, out);
    case Element::i32:
      return widen_as<std::int32_t>(from, n, out);
    case Element::u32:
      return widen_as<std::uint32_t>(from, n, out);
    case Element::i64:
      return widen_as<std::int64_t>(from, n, out);
    case Element::u64:
      return widen_as<std::uint64_t>(from, n, out);
  }
}

void read_all(int file, char* to, std::size_t bytes, std::int64_t offset) {
  while (bytes > 0) {
    std::error_code error;
    const std::size_t got = system::read_at(file, to, bytes, offset, error);
    if (error) throw ReadError("X cannot be read: " + error.message());
    if (got == 0) throw ReadError("the file of X ends before its last row");
    to += got;
    bytes -= got;
    offset += std::int64_t(got);
  }
}

}  // namespace

int element_size(Element element) {
  switch (element) {
    case Element::i8:
    case Element::u8:
      return 1;
    case Element::f16:
    case Element::i16:
    case Element::u16:
      return 2;
    case Element::f32:
    case Element::i32:
    case Element::u32:
      return 4;
    default:
      return 8;
  }
}

void RowReader::read(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* out) {
  if (!x_.factor) return read_stored(rows, first, count, out);
  stored_.resize(std::size_t(count * x_.stored));
  read_stored(rows, first, count, stored_.data());
  std::fill_n(out, count * x_.d, 0.0);
  for (std::int64_t i = 0; i < count; ++i, out += x_.d)
    for (std::ptrdiff_t k = 0; k < x_.stored; ++k) {
      const double weight = stored_[std::size_t(i * x_.stored + k)];
      for (std::ptrdiff_t j = 0; j < x_.d; ++j) out[j] += weight * x_.factor[k * x_.d + j];
    }
}

bool RowReader::in_place() const {
  constexpr std::ptrdiff_t unit = alignof(double);
  return x_.data && !x_.far && !x_.factor && x_.element == Element::f64 &&
         reinterpret_cast<std::uintptr_t>(x_.data) % unit == 0 && x_.stride % unit == 0;
}

void RowReader::locate(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* room,
                       const double** out) {
  const bool there = in_place();
  if (!there) read(rows, first, count, room);
  for (std::int64_t i = 0; i < count; ++i) {
    const char* row = static_cast<const char*>(x_.data) + (rows ? rows[i] : first + i) * x_.stride;
    out[i] = there ? reinterpret_cast<const double*>(row) : room + i * x_.d;
  }
}

void RowReader::read_stored(const std::int64_t* rows, std::int64_t first, std::int64_t count, double* out) {
  if (x_.far) throw std::logic_error("rows that are far away cannot be read");
  const std::ptrdiff_t n = length(), row_bytes = n * element_size(x_.element);
  const auto row = [&](std::int64_t i) { return rows ? rows[i] : first + i; };
  if (x_.data) {
    for (std::int64_t i = 0; i < count; ++i)
      widen(x_.element, static_cast<const char*>(x_.data) + row(i) * x_.stride, n, out + i * n);
    return;
  }
  raw_.resize(std::size_t(count * row_bytes));
  for (std::int64_t i = 0; i < count;) {
    std::int64_t end = i + 1;  // one call for rows that lie side by side
    while (end < count && x_.stride == row_bytes && row(end) == row(end - 1) + 1) ++end;
    read_all(x_.file, raw_.data() + i * row_bytes, std::size_t((end - i) * row_bytes), x_.offset + row(i) * x_.stride);
    i = end;
  }
  widen(x_.element, raw_.data(), count * n, out);
}

}  // namespace nc1fast
