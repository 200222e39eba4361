#!/usr/bin/env bash
# Runs test tiers (fast, full; default both) and closes with one line of counts.
#   fast  no network beyond loopback, no model files
#   full  the test targets `models` and `full`, which need the real weights (`griot models pull`),
#         `schemathesis`, which wants a Python package, and `hostile`, which takes minutes
set -uo pipefail
cd "$(dirname "$0")/.."

tiers=("$@")
[ "${#tiers[@]}" -gt 0 ] || tiers=(fast full)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed_runs=0

run() {
  printf '\n== %s\n' "$1"
  shift
  "$@" </dev/null 2>&1 | tee -a "$log"
  [ "${PIPESTATUS[0]}" -eq 0 ] || failed_runs=$((failed_runs + 1))
}

# The workspace's integration tests of one tier, as `--test NAME` arguments.
targets() {
  cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
full = {"models", "full", "schemathesis", "hostile"}
for package in json.load(sys.stdin)["packages"]:
    for target in package["targets"]:
        if target["kind"] == ["test"] and (target["name"] in full) == (sys.argv[1] == "full"):
            print("--test", target["name"])' "$1"
}

for tier in "${tiers[@]}"; do
  read -r -d '' -a tests < <(targets "$tier")
  case "$tier" in
    fast)
      run "fast tier" cargo test --release --workspace --no-fail-fast --lib --bins "${tests[@]}"
      run "examples in the documentation" cargo test --release --workspace --no-fail-fast --doc
      ;;
    full)
      [ "${#tests[@]}" -gt 0 ] || { echo "full tier: no targets"; continue; }
      # One at a time: each test may hold a model of a gigabyte. What a test says is shown, because a
      # test whose weights are missing says so and passes.
      run "full tier" cargo test --release --workspace --no-fail-fast "${tests[@]}" -- \
        --show-output --test-threads=1
      ;;
    *) printf 'test: there is no tier %s (fast, full)\n' "$tier" >&2; exit 2 ;;
  esac
done

# One `test result:` line ends each test binary; a binary that died before printing one, or that did
# not build, shows in the exit status alone and must not look like success.
awk -v failed_runs="$failed_runs" '
  /^test result: / {
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^passed/)  passed  += $(i - 1)
      if ($i ~ /^failed/)  failed  += $(i - 1)
      if ($i ~ /^ignored/) skipped += $(i - 1)
    }
  }
  # A test that skips itself says so and passes: count it as what it is.
  /^skipped: / { skipped++; passed-- }
  END {
    if (failed_runs > 0 && failed == 0) failed = failed_runs
    printf "\n%d passed, %d failed", passed, failed
    if (skipped > 0) printf ", %d skipped", skipped
    printf "\n"
    exit (failed_runs > 0 || passed == 0)
  }' "$log"
