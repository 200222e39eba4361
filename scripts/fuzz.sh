#!/usr/bin/env bash
# Fuzzes everything that reads bytes from outside: fuzz.sh [SECONDS [TARGET...]], 5 s for each target by default.
# Builds all targets once (target/fuzz), runs as many at a time as there are processors, and ends with a table.
# A panic, a hang, too much memory or a result that the daemon would refuse is a finding: its input is kept in
# target/fuzz/findings/TARGET and the exit status is 1. To look at one again:
#   FUZZ_TELL=1 target/fuzz/HOST/release/TARGET target/fuzz/findings/TARGET/crash-…
#
# FUZZ_SEED (1): chance begins here, so that the same sources meet the same inputs and a finding is of a change,
# not of luck. 0: other inputs each time, and what reached new code is kept in target/fuzz/corpus for the next run.
#
# The targets are those of `cargo fuzz`; its flags for coverage are given here by hand, so that neither it nor
# a nightly compiler is needed. There is no sanitizer: the sources forbid `unsafe`, and what is looked for
# are panics, endless loops and memory without bound.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5}
shift
seed=${FUZZ_SEED:-1}
host=$(rustc -vV | sed -n 's/^host: //p')
there=$PWD/target/fuzz
mapfile -t all < <(sed -n 's/^path = "fuzz_targets\/\([a-z_]*\)\.rs"$/\1/p' fuzz/Cargo.toml)
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
  [[ " ${all[*]} " == *" $target "* ]] || { echo "fuzz: there is no target $target (${all[*]})" >&2; exit 2; }
done

# With a target of its own, build scripts and macros stay as they are.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
started=$SECONDS
env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="$flags" cargo build --locked --manifest-path fuzz/Cargo.toml \
  --target-dir "$there" --target "$host" --release --bins || exit 1
printf 'fuzz: built %d targets in %d s\n' "${#all[@]}" $((SECONDS - started))

rm -rf "$there/seeds"
python3 scripts/fuzz_seeds.py "$there/seeds" || exit 1

# As much stack as the child has.
ulimit -s 65536 || exit 1

# Fuzzes one target; what libFuzzer says goes to its log, how it ended is in its exit status.
fuzz() {
  local target=$1 found=$there/corpus/$1
  if [ "$seed" != 0 ]; then
    found=$there/run/$target
    rm -rf "$found"
  fi
  mkdir -p "$found" "$there/seeds/$target" "$there/findings/$target"
  # 512 MiB and 15 s are what the child has; the fuzzer itself needs some memory too.
  "$there/$host/release/$target" "$found" "$there/seeds/$target" \
    -seed="$seed" -max_total_time="$seconds" -timeout=15 -rss_limit_mb=768 -max_len=65536 \
    -artifact_prefix="$there/findings/$target/" -print_final_stats=1 >"$there/logs/$target" 2>&1
}

mkdir -p "$there/logs"
status=$there/logs/status
: >"$status"
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  { fuzz "$target"; echo "$target $?" >>"$status"; } &
done
wait

# A target that ran nothing, or died without a word, is no success either.
python3 - "$there" "${targets[@]}" <<'PY'
import base64, pathlib, re, sys

there, targets = pathlib.Path(sys.argv[1]), sys.argv[2:]
ended = dict(line.split() for line in (there / "logs/status").read_text().splitlines())
print(f"\n{'target':<14}{'executions':>12}{'a second':>10}{'reached':>10}{'MiB':>6}{'slowest':>9}  result")
total, bad = 0, []
for target in targets:
    log = (there / "logs" / target).read_text(errors="replace")
    number = lambda name: int((re.findall(rf"stat::{name}:\s+(\d+)", log) or [0])[-1])
    done, kept = number("number_of_executed_units"), re.findall(r"Test unit written to (\S+)", log)
    reached = (re.findall(r"\bcov: (\d+)", log) or [0])[-1]
    fine = ended.get(target) == "0" and done > 0 and not kept
    total += done
    result = "fine" if fine else f"FAILED, {kept[-1] if kept else 'exit status ' + ended.get(target, 'unknown')}"
    print(f"{target:<14}{done:>12}{number('average_exec_per_sec'):>10}{reached:>10}{number('peak_rss_mb'):>6}"
          f"{number('slowest_unit_time_sec'):>7} s  {result}")
    if not fine:
        bad.append((target, log, kept))
print(f"{'together':<14}{total:>12}")
for target, log, kept in bad:
    print(f"\n== {target}\n" + "\n".join(log.splitlines()[-40:]))
    if kept and (input := pathlib.Path(kept[-1])).stat().st_size <= 8192:
        print(f"the input, in base64: {base64.b64encode(input.read_bytes()).decode()}")
sys.exit(1 if bad else 0)
PY
