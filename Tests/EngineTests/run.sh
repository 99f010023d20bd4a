#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the gateway in front of a real vLLM and a real llama-server. What they need is installed
# under .engines, once; an engine that cannot be installed is skipped, and the tests say why.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/EngineTests/RealEngines
export PENSTOCK_ENGINES="${PENSTOCK_ENGINES:-$PWD/.engines}"
tools="$PENSTOCK_ENGINES/tools"

[ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --requirement "$here/requirements-tools.txt"

bash "$here/install_vllm.sh" "$PENSTOCK_ENGINES" ||
    export PENSTOCK_WITHOUT_VLLM="its installation failed, see above"
bash "$here/install_llamacpp.sh" "$PENSTOCK_ENGINES" ||
    export PENSTOCK_WITHOUT_LLAMACPP="its installation failed, see above"
if [ -n "${PENSTOCK_WITHOUT_VLLM:-}" ] && [ -n "${PENSTOCK_WITHOUT_LLAMACPP:-}" ]; then
    echo "neither engine could be installed: there is nothing to test" >&2
    exit 1
fi

"$tools/bin/python" "$here/toy_model.py" "$PENSTOCK_ENGINES/models"
export PENSTOCK_BIN="${PENSTOCK_BIN:-$PWD/.build/release/penstock}"
# One at a time: two engines, the gateway and its clients share the machine.
exec .venv/bin/python -m pytest -c Tests/python/pytest.ini --rootdir . -n 0 --timeout 600 \
    "$here" "$@"
