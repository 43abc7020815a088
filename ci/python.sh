#!/usr/bin/env bash
# python.sh VERSION FOLDER: prints the path of this CPython: of PATH, of pyenv, or of Debian, unpacked in FOLDER.
set -euo pipefail
version=$1 folder=$2
for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
  if "$python" -c "import sys, pathlib, sysconfig
here = '%d.%d' % sys.version_info[:2] == '$version'
sys.exit(not (here and pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists()))" 2> /dev/null; then
    command -v "$python" && exit
  fi
done
"$(dirname "$0")/debian_python.sh" "$version" amd64 "$folder/debian-$version-amd64" >&2
echo "$folder/debian-$version-amd64/usr/bin/python$version"
