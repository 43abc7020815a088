#!/usr/bin/env bash
# aarch64.sh FOLDER [pytest arguments]: tests of the core on an emulated aarch64.
#
# Needs g++-aarch64-linux-gnu, qemu-user-static, apt and the environment of `make`. FOLDER keeps the interpreter (of
# Debian's packages), the wheels and the build for the next time.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd) && shift
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON_VERSION:-3.11}
bin=$root/.venv/bin
wheels=(numpy scipy mpmath python-flint pytest pluggy iniconfig packaging pygments hypothesis sortedcontainers)

if [ ! -e "$folder/system/usr/bin/python$python" ]; then
  mkdir -p "$folder"/{lists,cache}/partial "$folder/cache/archives/partial" "$folder/debs"
  apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status=/dev/null
    -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$folder/debs" && "${apt[@]}" download "python$python"{,-minimal} "libpython$python"{,-minimal,-stdlib,-dev} \
    libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libuuid1 libcrypt1)
  for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$folder/system"; done
fi
if [ ! -e "$folder/packages/flint" ]; then
  "$bin/python" -m pip install -q --target "$folder/packages" --no-deps --only-binary=:all: --python-version "$python" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    -c "$root/ci/constraints.txt" "${wheels[@]}"
fi

cat > "$folder/toolchain.cmake" <<EOF
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
EOF
PATH=$bin:$PATH cmake -S "$root" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  "-DCMAKE_TOOLCHAIN_FILE=$folder/toolchain.cmake" "-DCMAKE_CXX_FLAGS=-isystem $folder/system/usr/include" \
  "-Dpybind11_DIR=$("$bin/python" -m pybind11 --cmakedir)" "-DPython_EXECUTABLE=$bin/python" \
  "-DPython_INCLUDE_DIR=$folder/system/usr/include/python$python" \
  "-DPYTHON_MODULE_EXTENSION=.cpython-${python/./}-aarch64-linux-gnu.so" > "$folder/cmake.log"
PATH=$bin:$PATH ninja -C "$folder/build" _core
rm -rf "$folder/package" && mkdir "$folder/package"
cp -r "$root/python/nc1fast" "$folder/package/"
find "$folder/package" -name "*.so" -delete
cp "$folder"/build/_core*.so "$folder/package/nc1fast/"

# The kernel starts programs of aarch64 through the emulator only where it has been told to: tests that start Python take this.
cat > "$folder/python" <<EOF
#!/bin/sh
exec qemu-aarch64-static -L "$folder/system" -E "PYTHONPATH=$folder/package:$folder/packages" -E OPENBLAS_NUM_THREADS=1 \\
  "$folder/system/usr/bin/python$python" "\$@"
EOF
chmod +x "$folder/python"
cd "$root"
exec "$folder/python" -c "import pytest, sys; sys.executable = '$folder/python'; sys.exit(pytest.main(sys.argv[1:]))" \
  -q -p no:cacheprovider "$@"
