#!/usr/bin/env bash
# wheels.sh FOLDER [PLATFORM...]: wheels of every CPython for these platforms, into FOLDER/dist, and checks of their form.
#
# A platform is {manylinux_2_28,musllinux_1_2}_{x86_64,aarch64}; default: all. PYTHONS="3.12 3.13" selects. The compiler is
# zig's clang with its libc++, which becomes part of the module (ci/toolchain.sh). A Python that neither PATH nor pyenv
# has comes from Debian, if that has it. Headers are those of x86_64: 64-bit systems of Linux do not differ in them.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd) && shift
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- {manylinux_2_28,musllinux_1_2}_{x86_64,aarch64}
read -ra versions <<< "${PYTHONS:-3.11 3.12 3.13 3.13t 3.14 3.14t}"
most_bytes=$((6 * 1024 * 1024))
without=

command -v ccache > /dev/null || echo "no ccache: every Python compiles the core anew, minutes of a processor each"
"$root/ci/toolchain.sh" "$folder" {x86_64,aarch64}-linux-{gnu.2.28,musl}
. "$folder/env"
cd "$root"
mkdir -p "$folder/dist"

for version in "${versions[@]}"; do
  environment=$folder/python-$version
  if [ ! -e "$environment/bin/python" ]; then
    python=$("$root/ci/python.sh" "$version" "$folder") || {
      [[ $version == *t ]] || exit 1
      without+=" $version" && continue # no package has it, and its sources need not be at hand
    }
    virtualenv -q -p "$python" "$environment"
    pip --python "$environment/bin/python" install -q 'scikit-build-core>=0.11' 'pybind11>=3.0' build
  fi
  for platform; do
    machine=${platform#*linux_*_*_}
    case $platform in
      manylinux*) target=$machine-linux-gnu.2.28 suffix=gnu ;;
      musllinux*) target=$machine-linux-musl suffix=musl ;;
    esac
    build=$folder/build/$version-$platform
    rm -rf "$build" && mkdir -p "$build"
    echo "== $version $platform"
    _PYTHON_HOST_PLATFORM=linux-$machine "$environment/bin/python" -m build --wheel --no-isolation -o "$build/dist" \
      "-Cbuild-dir=$build/cmake" -Cinstall.strip=false "-Ccmake.define.CMAKE_TOOLCHAIN_FILE=$folder/$target/toolchain.cmake" \
      "-Ccmake.define.PYTHON_MODULE_EXTENSION=.cpython-${version/./}-$machine-linux-$suffix.so" > "$build/log" 2>&1 ||
      { tail -50 "$build/log" && exit 1; }
    if grep 'warning:' "$build/log"; then echo "a wheel is built without warnings" && exit 1; fi
    if [ $suffix = musl ]; then # by the name that musl itself goes by, where zig writes another
      wheel unpack -d "$build/unpacked" "$build"/dist/*.whl > /dev/null
      patchelf --replace-needed libc.so "libc.musl-$machine.so.1" "$build"/unpacked/*/nc1fast/_core*.so
      wheel pack -d "$build/dist" "$build"/unpacked/* > /dev/null
    fi
    # The oldest system that has all that the module needs, in auditwheel's judgement; what is promised is not older.
    auditwheel repair --plat auto --only-plat -w "$build/repaired" "$build"/dist/*.whl > "$build/auditwheel" 2>&1 ||
      { cat "$build/auditwheel" && exit 1; }
    needs=$(basename "$build"/repaired/*.whl .whl) && needs=${needs##*[-.]}
    [ "$(printf '%s\n' "$needs" "$platform" | sort -V | tail -1)" = "$platform" ] ||
      { echo "$platform is not enough: $needs" && exit 1; }
    wheel tags --remove --platform-tag "$platform" "$build"/repaired/*.whl > /dev/null
    mv "$build"/repaired/*.whl "$folder/dist/"
    rm -r "$build/cmake"
  done
done

twine check --strict "$folder"/dist/*.whl
for wheel in "$folder"/dist/*.whl; do
  bytes=$(stat -c %s "$wheel")
  echo "$(basename "$wheel") $bytes"
  [ "$bytes" -lt $most_bytes ] || { echo "larger than $most_bytes bytes" && exit 1; }
done
[ -z "$without" ] || echo "not built, for want of an interpreter:$without"
