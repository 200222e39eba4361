#!/usr/bin/env bash
# Installs the system packages that building, running and testing need. Does nothing when they are
# there. Works as root and through sudo; elsewhere than on Debian and its kin it says what is needed.
set -euo pipefail

# What each is for: a C and C++ compiler and cmake build llama.cpp and whisper.cpp; libclang lets bindgen read its
# headers; pip fetches the weights; venv runs the Ollama client and schemathesis in the tests, which also
# read pictures of text with Tesseract (25 MB with its English model); espeak-ng says what the built-in voice
# cannot (5 MB). ALSA's headers are for the microphone; the tests' own sound server is PulseAudio with ALSA's plugin for
# it (20 MB).
packages=(
  build-essential cmake pkg-config clang libclang-dev libasound2-dev
  ca-certificates curl git
  python3 python3-pip python3-venv
  tesseract-ocr espeak-ng
  pulseaudio pulseaudio-utils libasound2-plugins
)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

check_rust() {
  # rustup puts cargo here without telling shells that are already open.
  command -v cargo >/dev/null || [ ! -x "$HOME/.cargo/bin/cargo" ] || PATH="$HOME/.cargo/bin:$PATH"
  command -v cargo >/dev/null ||
    die "no cargo found. Install Rust (https://rustup.rs), open a new shell, and run this again."
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
  have=$(cargo --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] ||
    die "Rust $have is too old, $wanted is needed: run \`rustup update\`."
}

cd "$(dirname "$0")/.."

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    say "installing ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
      command -v sudo >/dev/null ||
        die "these packages need root: apt-get install ${missing[*]}   (neither root nor sudo here)"
      as_root=(sudo)
    fi
    # Package lists of a fresh machine or image are empty or old.
    "${as_root[@]}" apt-get update -q ||
      die "apt-get update failed: check the network and the package sources, then run this again."
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null ||
      die "apt-get could not install ${missing[*]}; its own message stands above."
  fi
else
  absent=()
  for program in cc c++ cmake pkg-config clang python3 curl git; do
    command -v "$program" >/dev/null || absent+=("$program")
  done
  python3 -m pip --version >/dev/null 2>&1 || absent+=("pip for python3")
  [ "${#absent[@]}" -eq 0 ] ||
    die "this is not Debian or its kin; install with your own package manager: ${absent[*]} libclang and the headers of ALSA."
fi

check_rust
say "everything needed is installed"
