#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes every parser: Tests/Fuzz/run.sh [SECONDS [ENTRY ...]], 60 seconds each by default.
# `Tests/Fuzz/run.sh --build` compiles them only.
#
# Exits 1 when an entry finds something, or when the canary's planted fault is not found. What was
# found lies in .build/found; it becomes a unit test. Inputs that reached new code are kept in
# .build/grown; `Tests/Fuzz/run.sh --merge` adds those that matter to the corpora.
set -euo pipefail
cd "$(dirname "$0")"

entries="FuzzRequestHead FuzzResponseHead FuzzChunked FuzzSSE FuzzPrometheus"
entries="$entries FuzzHTTP2 FuzzJSON FuzzTokenizer FuzzTokens FuzzRESP FuzzConfig"
# The Swift runtime's own crash handler would keep libFuzzer from saving the input.
export SWIFT_BACKTRACE=enable=no
"${SWIFT:-swift}" build -c release --quiet
if [ "${1:-}" = --build ]; then exit 0; fi

# The words of an entry's language, where it has some of its own.
words() {
    local own
    own="$(echo "${1#Fuzz}" | tr '[:upper:]' '[:lower:]').dict"
    if [ -f "$own" ]; then echo "$own"; else echo http.dict; fi
}

if [ "${1:-}" = --merge ]; then
    for entry in $entries; do
        mkdir -p ".build/grown/$entry"
        ".build/release/$entry" -merge=1 "-dict=$(words "$entry")" \
            "Corpora/$entry" ".build/grown/$entry"
    done
    exit 0
fi

seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] && entries=$*
mkdir -p .build/found

# A crash of the canary is what shows that faults are found at all.
rm -rf .build/grown/FuzzCanary .build/found/FuzzCanary-*
mkdir -p .build/grown/FuzzCanary
if .build/release/FuzzCanary -seed=1 -runs=20000000 -dict=http.dict -max_len=64 \
    -artifact_prefix=.build/found/FuzzCanary- \
    .build/grown/FuzzCanary Corpora/FuzzCanary >.build/found/FuzzCanary.log 2>&1; then
    echo "FuzzCanary: the planted fault was not found" >&2
    exit 1
fi
if ! grep -q "canary: the planted fault" .build/found/FuzzCanary.log; then
    tail -n 40 .build/found/FuzzCanary.log >&2
    exit 1
fi
echo "FuzzCanary: found"

# The alarm counts wall time: short, it would take a busy machine for a hang.
fuzz() {
    local entry=$1 log=.build/found/$1.log
    mkdir -p ".build/grown/$entry"
    if ".build/release/$entry" "-max_total_time=$seconds" "-dict=$(words "$entry")" -max_len=4096 \
        -timeout=60 -rss_limit_mb=2048 "-artifact_prefix=.build/found/$entry-" \
        ".build/grown/$entry" "Corpora/$entry" >"$log" 2>&1; then
        echo "$entry: $(grep -o 'Done .*' "$log")"
    else
        echo "$entry: failed, see Tests/Fuzz/$log" >&2
        tail -n 20 "$log" >&2
        touch .build/found/failed
    fi
}

# As many at once as there are cores.
rm -f .build/found/failed
for entry in $entries; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    fuzz "$entry" &
done
wait
[ ! -e .build/found/failed ]
