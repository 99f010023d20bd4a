#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles llama-server from the sources that llama-cpp-python ships on PyPI, into $1. The first
# time takes a quarter of an hour on two cores; an interrupted build goes on where it stopped.
set -euo pipefail
root="$1"
tools="$root/tools"
sources="$root/llamacpp/sources"
version=0.3.36

for compiler in gcc g++; do
    command -v "$compiler" >/dev/null || { echo "$compiler is missing" >&2; exit 1; }
done
export PATH="$tools/bin:$PATH"

if [ ! -e "$sources/.unpacked-$version" ]; then
    rm -rf "$root/llamacpp"
    mkdir -p "$sources"
    # pip reads the package's metadata with the build tools at hand rather than with a second set.
    "$tools/bin/pip" download --quiet --no-deps --no-build-isolation --no-binary llama-cpp-python \
        --dest "$root/llamacpp" "llama-cpp-python==$version"
    tar -xzf "$root/llamacpp/llama_cpp_python-$version.tar.gz" -C "$sources" --strip-components 1
    touch "$sources/.unpacked-$version"
fi

# No web page in the server: building it needs npm, fetching a built one needs the network.
cmake -G Ninja -S "$sources/vendor/llama.cpp" -B "$root/llamacpp/build" --log-level=WARNING \
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
    -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF
ninja -C "$root/llamacpp/build" -j "${JOBS:-2}" llama-server
