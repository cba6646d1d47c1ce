#!/usr/bin/env bash
# Makes a throw-away authority in FOLDER, and certificates for a server on loopback and a client called davy:
# ca.pem, server.pem (key and certificate), client.pem, client.key. certificates.sh FOLDER
set -euo pipefail
umask 077
mkdir -p "$1"
cd "$1"

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
days=3650

# openssl writes its progress to stderr.
quietly() { "$@" 2>openssl.log || { cat openssl.log >&2; return 1; }; }

# certificate <name> <subject> <purpose> <alternative names>
certificate() {
  printf 'extendedKeyUsage = %s\nsubjectAltName = %s\n' "$3" "$4" >extensions
  quietly openssl req "${new_key[@]}" -keyout "$1.key" -out request -subj "$2"
  quietly openssl x509 -req -in request -CA ca.pem -CAkey ca.key -days "$days" -extfile extensions -out "$1.pem"
}

quietly openssl req "${new_key[@]}" -x509 -days "$days" -keyout ca.key -out ca.pem -subj "/CN=davy test authority"
certificate broker /CN=broker serverAuth IP:127.0.0.1,DNS:localhost
certificate client /CN=davy clientAuth DNS:davy
# Kafka reads the server's key and certificate from one file.
cat broker.key broker.pem >server.pem
rm broker.key broker.pem request extensions openssl.log
