#!/usr/bin/env bash
# cross.sh FOLDER [TARGET...]: the core, without Python, for other systems, and its check (ci/core_check.cpp) where it runs.
#
# Targets as zig names them; default: macOS on arm64, Windows on x86_64 (run with wine64, where that is installed), Linux
# with musl on x86_64, and on aarch64 (run with qemu-aarch64-static). A warning fails.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd) && shift
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- aarch64-macos.13.3 x86_64-windows-gnu x86_64-linux-musl aarch64-linux-musl

"$root/ci/toolchain.sh" "$folder" "$@"
. "$folder/env"
failed=0
for target; do
  build=$folder/core-$target
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DNC1FAST_PYTHON=OFF \
    "-DCMAKE_TOOLCHAIN_FILE=$folder/$target/toolchain.cmake" > "$build.log" 2>&1 || { cat "$build.log" && exit 1; }
  ninja -C "$build" > "$build.log" 2>&1 || { cat "$build.log" && exit 1; }
  if grep 'warning:' "$build.log"; then echo "the core is built without warnings" && exit 1; fi
  program=$build/core_check
  [ -e "$program" ] || program+=.exe
  case $target in
    "$(uname -m)"-linux*) by=env ;;
    aarch64-linux*) by=qemu-aarch64-static ;;
    *windows*) by=wine ;;
    *) by= ;;
  esac
  if [ -z "$by" ] || ! command -v "$by" > /dev/null; then
    echo "== $target: compiled and linked, not run"
  else
    echo "== $target: compiled, linked, and run by $by"
    # Wine's settings have a link to /, which whoever walks over this folder would follow.
    settings=$(mktemp -d)
    (cd "$build" && WINEDEBUG=-all WINEPREFIX=$settings "$by" "$program" 2> /dev/null) || failed=1
    rm -rf "$settings"
  fi
done
exit $failed
