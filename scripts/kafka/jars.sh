#!/usr/bin/env bash
# Fetches the broker's jars through Maven unless they are here, and prints their folder. The folder is named after the pom's
# content. jars.sh FOLDER: where such folders are kept.
set -euo pipefail
kept=$1
pom=$(cd "$(dirname "$0")" && pwd)/pom.xml
hash=$(sha256sum "$pom" | cut -c 1-12)
jars=$kept/libs-$hash

fetch() {
  local unfinished=$jars.unfinished
  printf 'kafka: fetching the broker through Maven (about 55 MB, once) into %s\n' "$jars" >&2
  rm -rf "$unfinished"
  if ! command -v mvn >/dev/null; then
    printf 'kafka: Maven is not installed; run as root: apt-get install -y maven\n' >&2
    return 1
  fi
  # Maven is never quite quiet.
  if ! mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$unfinished" \
    >"$jars.maven.log" 2>&1; then
    cat "$jars.maven.log" >&2
    printf 'kafka: Maven could not fetch the broker, see above; to use a broker of your own, set DAVY_KAFKA=host:port\n' >&2
    return 1
  fi
  rm "$jars.maven.log"
  check_hashes "$unfinished" || return 1
  # Renamed only when it is whole, so that half a broker is never found there.
  mv "$unfinished" "$jars"
}

# Maven compares with the repository's own SHA-1 only. jars.sha256 lists every jar; after a change of the pom, make it again with
# `sha256sum *.jar` in the folder that stays behind.
check_hashes() {
  local listed=${pom%/*}/jars.sha256
  if ! (cd "$1" && sha256sum --check --strict --quiet "$listed" >&2) || ! diff <(cut -c 67- "$listed") <(ls "$1") >&2; then
    printf 'kafka: the jars in %s are not those of scripts/kafka/jars.sha256\n' "$1" >&2
    return 1
  fi
}

mkdir -p "$kept"
if [ ! -d "$jars" ]; then
  exec 8>"$jars.lock"
  flock 8
  # Another process may have fetched it while this one waited.
  [ -d "$jars" ] || fetch
fi
printf '%s\n' "$jars"
