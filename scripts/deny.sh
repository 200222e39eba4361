#!/usr/bin/env bash
# Licences, sources and bans of all dependencies, as deny.toml allows them: by cargo-deny where it is
# installed, else by a small check of the same file. `scripts/deny.sh install` builds cargo-deny into
# target/tools, some minutes. The advisory database is a clone from GitHub, which not every machine
# can reach: `cargo deny check advisories` asks it.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools
PATH="$tools/bin:$PATH"
if [ "${1:-}" = install ] && ! command -v cargo-deny >/dev/null; then
  cargo install cargo-deny --version 0.20.2 --locked --root "$tools" --profile dev
fi
if command -v cargo-deny >/dev/null; then
  exec cargo deny --offline check bans licenses sources
fi
echo "deny: cargo-deny is not installed (scripts/deny.sh install); the small check runs instead"
exec python3 scripts/check_dependencies.py
