#!/usr/bin/env bash
# python.sh VERSION FOLDER: prints the path of this CPython: of PATH, of pyenv, or of Debian, unpacked in FOLDER. 3.13t is
# the free-threaded one.
set -euo pipefail
version=$1 folder=$2
for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"${version%t}".*/bin/python; do
  if "$python" -c "import sys, pathlib, sysconfig
free = 't' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''
here = '%d.%d' % sys.version_info[:2] + free == '$version'
sys.exit(not (here and pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists()))" 2> /dev/null; then
    command -v "$python" && exit
  fi
done
"$(dirname "$0")/debian_python.sh" "$version" amd64 "$folder/debian-$version-amd64" >&2
echo "$folder/debian-$version-amd64/usr/bin/python$version"
