#!/usr/bin/env bash
# Runs test tiers (fast, full; default both) and closes with one line of counts.
#   fast  no network beyond loopback, no model files
#   full  the tests that need the real weights; `griot models pull` comes before
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

for tier in "${tiers[@]}"; do
  case "$tier" in
    fast) run "fast tier" env GRIOT_TEST_TIER=fast cargo test --release --workspace --no-fail-fast ;;
    full)
      run "full tier: the weights are whole" target/release/griot models verify
      run "full tier" env GRIOT_TEST_TIER=full cargo test --release --workspace --no-fail-fast --test models
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
  /^skipped: / { skipped++ }
  END {
    if (failed_runs > 0 && failed == 0) failed = failed_runs
    printf "\n%d passed, %d failed", passed, failed
    if (skipped > 0) printf ", %d skipped", skipped
    printf "\n"
    exit (failed_runs > 0 || passed == 0)
  }' "$log"
