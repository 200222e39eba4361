#!/usr/bin/env bash
# Licences, sources and bans of all dependencies, by cargo-deny and deny.toml. The advisory database
# is a clone from GitHub, which not every machine can reach: `scripts/deny.sh advisories` asks it too.
set -euo pipefail
cd "$(dirname "$0")/.."

# Kept below target, so that a cached target folder brings it along.
tools=$PWD/target/tools
PATH="$tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
  echo "deny: building cargo-deny into target/tools (once, some minutes)"
  cargo install cargo-deny --version 0.20.2 --locked --root "$tools" --profile dev --quiet
fi
cargo deny --offline check bans licenses sources
for check in "$@"; do
  cargo deny check "$check"
done
