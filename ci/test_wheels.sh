#!/usr/bin/env bash
# test_wheels.sh FOLDER: every manylinux wheel of FOLDER/dist in clean environments (ci/wheels.sh makes both).
#
# x86_64: with the oldest NumPy that nc1fast allows and its Python has, and with the newest, the self-test and first steps
# of a new user, timed; on Python 3.11 with NumPy 2.0 the tests of the core as well, on free-threaded ones those of threads.
# aarch64: the self-test and a first number on Pythons of Debian under qemu-aarch64-static. PYTHONS="3.12 3.13" selects.
set -euo pipefail
folder=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
. "$folder/env"
export OPENBLAS_NUM_THREADS=1
declare -A oldest=([3.11]=2.0.0 [3.12]=2.0.0 [3.13]=2.1.0 [3.13t]=2.1.0 [3.14]=2.3.2 [3.14t]=2.3.2)
cd "$folder" # where there is no nc1fast but the one that is installed

chosen() { # version
  [[ " ${PYTHONS:-$1} " == *" $1 "* ]]
}
seconds() { # name, command
  local name=$1 began=$EPOCHREALTIME && shift
  "$@" > "$folder/test.log" 2>&1 || { cat "$folder/test.log" && exit 1; }
  awk -v a="$began" -v b="$EPOCHREALTIME" -v name="$name" 'BEGIN { printf "  %s: %.1f s\n", name, b - a }'
}

for wheel in dist/*-manylinux_*_x86_64.whl; do
  version=$(sed -E 's/.*-cp3([0-9]+t?)-[^-]*$/3.\1/' <<< "$wheel")
  chosen "$version" || continue
  for numpy in "==${oldest[$version]}" ""; do
    echo "== $(basename "$wheel"), numpy$numpy"
    environment=$folder/clean && rm -rf "$environment"
    virtualenv -q -p "$folder/python-$version/bin/python" "$environment"
    python=$environment/bin/python
    seconds install "$python" -m pip install --no-cache-dir --only-binary=:all: "$wheel[cli]" "numpy$numpy"
    seconds doctor "$python" -m nc1fast doctor
    tail -1 test.log
    seconds "first numbers" "$python" "$root/ci/first_steps.py" --number-alone
    if [ -z "$numpy" ]; then
      seconds "install matplotlib" "$python" -m pip install --no-cache-dir --only-binary=:all: matplotlib
      seconds "first figure" "$python" "$root/ci/first_steps.py"
      sed 's/^/    /' test.log
    elif [ "$version" = 3.11 ]; then
      "$python" -m pip install -q --only-binary=:all: pytest hypothesis mpmath
      (cd "$root" && "$python" -m pytest -q -p no:cacheprovider tests/test_core.py tests/test_golden.py tests/test_metrics.py)
    fi
    if [[ $version = *t ]]; then # an import that brought the GIL back would warn
      "$python" -m pip install -q --only-binary=:all: pytest hypothesis
      (cd "$root" && "$python" -W error::RuntimeWarning -m pytest -q -p no:cacheprovider tests/test_threads.py)
    fi
    "$python" -m pip check
  done
done

for wheel in dist/*-manylinux_*_aarch64.whl; do
  [ -e "$wheel" ] || continue
  version=$(sed -E 's/.*-cp3([0-9]+t?)-[^-]*$/3.\1/' <<< "$wheel")
  chosen "$version" || continue
  system=$folder/debian-$version-arm64
  echo "== $(basename "$wheel")"
  command -v qemu-aarch64-static > /dev/null || { echo "  not run: no qemu-aarch64-static" && continue; }
  "$root/ci/debian_python.sh" "$version" arm64 "$system" 2> /dev/null || { echo "  not run: Debian has no Python $version" && continue; }
  packages=$folder/clean-aarch64 && rm -rf "$packages"
  # No SVE: the emulator is older than what NumPy does with it.
  seconds install pip install -q --target "$packages" --only-binary=:all: --python-version "$version" --implementation cp \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 "$wheel[cli]"
  python=(qemu-aarch64-static -cpu cortex-a72 -L "$system" -E "PYTHONPATH=$packages" "$system/usr/bin/python$version")
  seconds doctor "${python[@]}" -m nc1fast doctor
  tail -1 test.log
  seconds "first numbers" "${python[@]}" "$root/ci/first_steps.py" --number-alone
done
echo "every wheel that could be run was run"
