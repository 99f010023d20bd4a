#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a request, a refusal, an event and an idle stream cost the release build, beside nginx where
# that is on PATH, what a decision costs before 256 endpoints with 10,000 waiting, how fast texts
# are estimated and bodies inspected, and what a decision about budgets costs with a Redis, by
# script and by lease: some minutes beyond the builds.
# Also by how much a prompt of a megabyte holds up a stream on the same worker.
# ROUNDS=7 is for quieter figures, the default is 3. Where .venv has tiktoken and tokenizers, also
# how fast tokens are counted, beside them; PENSTOCK_TOKENIZERS=FOLDER with real vocabularies.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .build/bench
"${CC:-cc}" -O2 -Wall -Wextra -o .build/bench/bench Tests/Benchmarks/bench.c
swift build -c release --product decisions
.build/release/decisions
swift build -c release --product estimates
.build/release/estimates
python3 Tests/Benchmarks/prompts.py --penstock "${BENCH_BIN:-.build/release/penstock}"
if .venv/bin/python -c "import tiktoken, tokenizers" 2>/dev/null; then
    swift build -c release --product tokens
    .venv/bin/python Tests/Benchmarks/tokens.py
fi
swift build -c release --product budgets
.build/release/budgets "${ROUNDS:-3}"
python3 Tests/Benchmarks/ledger.py --bench .build/bench/bench \
    --penstock "${BENCH_BIN:-.build/release/penstock}" --rounds "${ROUNDS:-3}"
exec python3 Tests/Benchmarks/measure.py --bench .build/bench/bench \
    --penstock "${BENCH_BIN:-.build/release/penstock}" --rounds "${ROUNDS:-3}"
