#include "lent_rows.hpp"

#include <algorithm>

namespace nc1fast::device {

std::unique_ptr<LentRows> LentRows::of(Tensor tensor, int device) {
  const dlpack::Tensor& of = tensor->tensor;
  const bool there =
      (of.device_type == dlpack::kCuda || of.device_type == dlpack::kCudaManaged) && of.device_id == device;
  const bool known = of.code == dlpack::kFloat && of.lanes == 1 && (of.bits == 32 || of.bits == 64);
  if (!there || !known || of.ndim != 2 || of.shape[0] < 1 || of.shape[1] < 1 || of.shape[1] > kMostFeatures)
    return nullptr;
  const char* data = static_cast<const char*>(of.data) + of.byte_offset;
  if (reinterpret_cast<std::uintptr_t>(data) % (of.bits / 8) != 0) return nullptr;
  const FarSource source{data, of.strides ? of.strides[0] : of.shape[1], of.strides ? of.strides[1] : 1,
                         int(of.shape[1]), of.bits == 64};
  const std::int64_t n = of.shape[0];
  return std::unique_ptr<LentRows>(new LentRows(std::move(tensor), device, source, n));
}

LentRows::Inspection LentRows::inspect() const {
  Inspection seen;
  Stream stream(device_, std::size_t(std::min(n_, kFarChunk)) * sizeof(int));
  const Array<int> found(stream, std::size_t(std::min(n_, kFarChunk)));
  std::vector<int> codes;
  by_chunks([&](std::int64_t first, std::int64_t n) {
    if (seen.row >= 0) return;
    check(far_launches.inspect(source_, first, n, found.get(), stream.get()), "rows cannot be read");
    codes.resize(std::size_t(n));
    stream.fetch(codes.data(), found.get(), codes.size() * sizeof(int));
    const auto bad = std::find_if(codes.begin(), codes.end(), [&](int code) { return code < source_.d; });
    seen.zeros += std::count(codes.begin(), bad, source_.d + 1);
    if (bad == codes.end()) return;
    seen.row = first + (bad - codes.begin());
    seen.column = *bad;
  });
  if (seen.row < 0) return seen;
  const auto take = [&](auto number) {
    stream.fetch(
        &number,
        static_cast<const decltype(number)*>(source_.data) + seen.row * source_.row + seen.column * source_.column,
        sizeof number);
    return double(number);
  };
  seen.value = source_.wide ? take(double()) : take(float());
  return seen;
}

Matrix LentRows::matrix() const {
  Matrix x;
  x.data = source_.data;
  x.element = source_.wide ? Element::f64 : Element::f32;
  x.n = n_;
  x.d = source_.d;
  x.stride = source_.row * element_size(x.element);
  x.far = this;
  return x;
}

std::vector<RowLengths> LentRows::lengths(const std::int32_t* classes, const Means* means) const {
  std::vector<RowLengths> all(static_cast<std::size_t>(n_));
  const std::size_t most = std::size_t(std::min(n_, kFarChunk));
  Stream stream(device_, most * sizeof(RowLengths));
  const Array<RowLengths> out(stream, most);
  const bool about = classes && std::count(means->centred.begin(), means->centred.end(), 1) > 0;
  const Array<int> of_rows = about ? Array<int>(stream, most) : Array<int>();
  const Array<int> centred =
      about ? Array<int>(stream, std::vector<int>(means->centred.begin(), means->centred.end())) : Array<int>();
  const Array<double> at = about ? Array<double>(stream, means->mean) : Array<double>();
  by_chunks([&](std::int64_t first, std::int64_t n) {
    if (about) stream.send(of_rows.get(), classes + first, std::size_t(n) * sizeof(int));
    check(far_launches.measure(source_, first, n, {of_rows.get(), centred.get(), at.get()}, out.get(), stream.get()),
          "rows cannot be measured");
    stream.fetch(all.data() + first, out.get(), std::size_t(n) * sizeof(RowLengths));
  });
  return all;
}

std::vector<double> LentRows::totals(const std::vector<std::int64_t>& order,
                                     const std::vector<std::int64_t>& begins) const {
  const std::size_t n_classes = begins.size() - 1;
  std::vector<double> sums(n_classes * std::size_t(source_.d));
  const std::size_t most = std::size_t(std::min(n_, kFarChunk));
  Stream stream(device_, std::max(most, sums.size()) * sizeof(double));
  const Array<std::int64_t> places(stream, most), first_of(stream, begins);
  const Array<double> totals(stream, sums.size());
  by_chunks([&](std::int64_t first, std::int64_t n) {
    stream.send(places.get(), order.data() + first, std::size_t(n) * sizeof(std::int64_t));
    check(far_launches.add_up(source_, places.get(), first, n, first_of.get(), int(n_classes), totals.get(),
                              stream.get()),
          "rows cannot be added up");
  });
  stream.fetch(sums.data(), totals.get(), sums.size() * sizeof(double));
  return sums;
}

template <class T>
void pack_lent(Stream& stream, const LentRows& rows, const Packed<T>& packed, std::size_t n_rows, const Means& means,
               int padded, T* panels) {
  const Array<Scaling> scalings(stream, packed.scalings.data(), n_rows);
  const bool centred = std::any_of(packed.scalings.begin(), packed.scalings.begin() + std::ptrdiff_t(n_rows),
                                   [](const Scaling& s) { return s.cls >= 0; });
  const Array<double> at = centred ? Array<double>(stream, means.mean) : Array<double>();
  const FarPanels<T> work{rows.source(), scalings.get(), at.get(), packed.depth, padded, panels};
  const std::int64_t n_panels = std::int64_t(n_rows) / kWidth;
  if constexpr (sizeof(T) == sizeof(float))
    check(far_launches.pack_f32(work, n_panels, stream.get()), "rows cannot be packed");
  else
    check(far_launches.pack_f64(work, n_panels, stream.get()), "rows cannot be packed");
  stream.wait();  // the scalings go
}
template void pack_lent(Stream&, const LentRows&, const Packed<float>&, std::size_t, const Means&, int, float*);
template void pack_lent(Stream&, const LentRows&, const Packed<double>&, std::size_t, const Means&, int, double*);

}  // namespace nc1fast::device
