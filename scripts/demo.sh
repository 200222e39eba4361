#!/usr/bin/env bash
# Shows the main job once: sample documents in, a question, an answer with its sources. Everything but
# the weights lives in a temporary folder, so your own library is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

griot=target/release/griot
question=${1:-"When is rent payable?"}
say() { printf '\n== %s\n' "$*"; }

# The weights stay where the person's own settings have them; all other settings are the defaults.
models_dir=$("$griot" config show --json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["paths"]["models_dir"])')
folder=$(mktemp -d)
export GRIOT_HOME="$folder/home" GRIOT_CONFIG="$folder/griot.toml"
export GRIOT__MODELS__DIR="$models_dir" GRIOT__MODELS__PROFILE="${PROFILE:-default}"
unset GRIOT_URL GRIOT_API_KEY
: > "$GRIOT_CONFIG"

daemon=
stop() {
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

say "Starting the daemon on a free port, its library in $GRIOT_HOME"
"$griot" serve --listen 127.0.0.1:0 > "$folder/says" 2> "$folder/log" &
daemon=$!
until url=$(sed -n 's/^listening on //p' "$folder/says") && [ -n "$url" ]; do
  if ! kill -0 "$daemon" 2>/dev/null; then
    cat "$folder/log" >&2
    echo "demo: the daemon did not start; its own words stand above" >&2
    daemon=
    exit 1
  fi
  sleep 0.1
done
echo "$url"
export GRIOT_URL=$url

say "Taking in the sample documents"
"$griot" ingest data/documents --wait || { tail -n 20 "$folder/log" >&2; exit 1; }

say "Asking: $question"
"$griot" ask "$question" || { tail -n 20 "$folder/log" >&2; exit 1; }

say "How to go on"
cat <<TXT
make run                                     keeps the daemon running, with your own library
$griot ingest ~/papers --wait     takes in your own documents (from another terminal)
$griot ask "..."                  asks them
$griot --help                     lists everything else
TXT
