#!/usr/bin/env bash
# debian_python.sh VERSION ARCHITECTURE FOLDER: CPython of Debian's packages, with its own C library, into FOLDER.
#
# FOLDER/usr/bin/pythonVERSION runs as it is on amd64; on arm64 with qemu-aarch64-static -L FOLDER. A free-threaded Python
# (3.13t, 3.14t), of which Debian has no package, is compiled from the sources of the other one: minutes of a processor.
# Where a mirror lacks those of its newest package, from an older python3.14_*.orig.tar.xz of the folder PYTHON_SOURCES.
# Needs apt; patchelf on PATH for amd64, or a C compiler and the headers of zlib, libffi and OpenSSL.
set -euo pipefail
version=$1 architecture=$2
folder=$(mkdir -p "$3" && cd "$3" && pwd)
[ -e "$folder/done" ] && exit
case $version in
  3.11) suite=bookworm ;;
  3.13 | 3.13t) suite=trixie ;;
  3.14 | 3.14t) suite=sid ;;
  *) echo "debian_python.sh: no suite of Debian has Python $version" >&2 && exit 3 ;;
esac

mkdir -p "$folder"/apt/{lists,cache,cache/archives}/partial "$folder/apt/debs"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
  > "$folder/apt/sources.list"
sed -i "p; s/^deb /deb-src /" "$folder/apt/sources.list"
apt=(-qq -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" -o Dir::State::status=/dev/null
  -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/apt/lists"
  -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update
[ -z "${PYTHON_SOURCES:-}" ] ||
  find "$PYTHON_SOURCES" -name "python${version%t}_*.orig.tar.xz" -exec cp {} "$folder/apt/debs" ";"
cd "$folder/apt/debs"
if [[ $version == *t ]]; then
  [ "$architecture" = "$(dpkg --print-architecture)" ] || { echo "debian_python.sh: $version is for this machine alone" >&2 && exit 3; }
  [ -e ./*.orig.tar.xz ] || apt-get "${apt[@]}" source --download-only "python${version%t}"
  tar xf ./*.orig.tar.xz --one-top-level=source --strip-components=1
  cd source
  ./configure -q --prefix="$folder/usr" --disable-gil --disable-test-modules > /dev/null
  make -s -j"${JOBS:-$(nproc)}" > /dev/null 2> "$folder/log" && make -s altinstall > /dev/null 2>> "$folder/log" ||
    { tail -50 "$folder/log" >&2 && exit 1; }
  rm -rf "$folder/apt"
  touch "$folder/done"
  exit
fi
apt-get "${apt[@]}" download "python$version"{,-minimal} "libpython$version"{-minimal,-stdlib,-dev} \
  libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libuuid1 libcrypt1 libzstd1 libsqlite3-0
apt-get "${apt[@]}" download libssl3 2> /dev/null || apt-get "${apt[@]}" download libssl3t64
for package in *.deb; do dpkg -x "$package" "$folder"; done
rm -r "$folder/apt"

# Newer suites have one folder of libraries; loaders and scripts go on to name /lib.
for name in lib lib64; do
  [ -e "$folder/$name" ] || [ ! -e "$folder/usr/$name" ] || ln -s "usr/$name" "$folder/$name"
done
# Debian's header names the real one by its place below /usr/include.
cp "$folder"/usr/include/*-linux-gnu/"python$version"/pyconfig.h "$folder/usr/include/python$version/"
if [ "$architecture" = amd64 ]; then
  libraries=$folder/usr/lib/x86_64-linux-gnu:$folder/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$folder/lib64/ld-linux-x86-64.so.2" "$folder/usr/bin/python$version"
  patchelf --force-rpath --set-rpath "$libraries" "$folder/usr/bin/python$version"
fi
touch "$folder/done"
