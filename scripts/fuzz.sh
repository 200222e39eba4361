#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS (20), or those named. Findings go to fuzz/artifacts/TARGET; the
# exit status is that of the first target that found something.
#
# The targets are those of `cargo fuzz`; its flags for coverage are given here by hand, so that neither it nor
# a nightly compiler is needed. There is no sanitizer: the sources forbid `unsafe`, and what is looked for
# are panics, endless loops and memory without bound.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-20}
host=$(rustc -vV | sed -n 's/^host: //p')

# As much stack as the child has.
ulimit -s 65536

# With a target of its own, build scripts and macros stay as they are.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions" \
  cargo build --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --target "$host" --release --bins || exit 1

targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' fuzz/Cargo.toml)

# What mutations begin with: good and bad documents that are small enough to be changed often.
seed() {
  local target=$1 pattern=$2
  mkdir -p "fuzz/corpus/$target"
  find data/documents ../shared/data/docs-good ../shared/data/docs-bad \
    -name "$pattern" -size -64k -exec cp -n {} "fuzz/corpus/$target/" \; 2>/dev/null
}
for target in "${targets[@]}"; do
  case "$target" in
    pdf) seed pdf '*.pdf' ;;
    html) seed html '*.htm*' ;;
    markdown) seed markdown '*.md' ;;
    csv) seed csv '*.csv' ;;
    text) seed text '*.txt' ;;
    rtf) seed rtf '*.rtf' ;;
    json) seed json '*.json' ;;
    eml) seed eml '*.eml' ;;
    zip) seed zip '*.docx' ;;
    sniff) seed sniff '*' ;;
    *) mkdir -p "fuzz/corpus/$target" ;;
  esac
done
# Parts of a package, joined as the targets split them.
for target in "${targets[@]}"; do
  case "$target" in
    docx) python3 scripts/fuzz_seeds.py docx word/document.xml word/styles.xml word/numbering.xml \
            word/footnotes.xml word/_rels/document.xml.rels '[Content_Types].xml' ;;
    pptx) python3 scripts/fuzz_seeds.py pptx ppt/presentation.xml ppt/_rels/presentation.xml.rels \
            ppt/slides/slide1.xml ppt/slides/_rels/slide1.xml.rels '[Content_Types].xml' ;;
    xlsx) python3 scripts/fuzz_seeds.py xlsx xl/workbook.xml xl/_rels/workbook.xml.rels \
            xl/worksheets/sheet1.xml xl/sharedStrings.xml xl/styles.xml '[Content_Types].xml' ;;
    odt) python3 scripts/fuzz_seeds.py odt mimetype content.xml styles.xml meta.xml ;;
    epub) python3 scripts/fuzz_seeds.py epub mimetype META-INF/container.xml OEBPS/content.opf \
            OEBPS/toc.ncx OEBPS/chapter1.xhtml ;;
  esac
done

status=0
for target in "${targets[@]}"; do
  printf '\n== %s\n' "$target"
  mkdir -p "fuzz/artifacts/$target"
  # 512 MiB and 15 s are what the child has.
  "fuzz/target/$host/release/$target" "fuzz/corpus/$target" -artifact_prefix="fuzz/artifacts/$target/" \
    -max_total_time="$seconds" -rss_limit_mb=768 -malloc_limit_mb=512 -timeout=15 -max_len=65536 \
    -verbosity=0 -print_final_stats=1 || status=$?
done
exit "$status"
