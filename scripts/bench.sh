#!/usr/bin/env bash
# Measures, and writes bench-results/report.md and report.json. Arguments go to the benchmark:
#   scripts/bench.sh --only retrieval,answers --quick
set -euo pipefail
cd "$(dirname "$0")/.."
# The release profile by name: cargo's own `bench` profile would build everything a second time.
exec cargo bench --profile release --bench report -- "$@"
