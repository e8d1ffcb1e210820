#!/usr/bin/env bash
# Certificates with which the nodes of a cluster prove to each other who they are.
#
#   cluster/certs.sh [DIR [NODE ...]]      default: cluster/data/tls, nodes 1 2 3
#
# Makes an authority, once, and a certificate for each node. What is there and still good stays; what is missing,
# of another authority, or within 30 days of its end is made anew. A node reads its files at its start.
#
#   DIR/authority/authority.pem, authority.key    the authority; its key belongs on no node
#   DIR/nodeN/authority.pem, node.pem, node.key   all that node N needs; copy this folder to its machine
set -euo pipefail
umask 077

# A node's certificate outlives neither its machine nor its operator's memory; the authority outlives many of them.
readonly AUTHORITY_DAYS=3650 NODE_DAYS=825
readonly RENEW_BEFORE_SECONDS=$((30 * 24 * 3600))

die() {
  echo "certs.sh: $*" >&2
  exit 1
}

command -v openssl >/dev/null || die "openssl is missing: install it (Debian: apt-get install openssl)"

if [ $# -gt 0 ]; then
  dir=$1
  shift
else
  dir=$(cd "$(dirname "$0")" && pwd)/data/tls
fi
nodes=("$@")
[ ${#nodes[@]} -gt 0 ] || nodes=(1 2 3)
for node in "${nodes[@]}"; do
  [[ $node =~ ^[1-9][0-9]*$ ]] || die "\`$node\` is no node id: a whole number from 1"
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints what openssl complained of only if it failed.
quietly() {
  "$@" >"$scratch/said" 2>&1 || {
    cat "$scratch/said" >&2
    die "failed: $*"
  }
}

new_key() {
  quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

make_authority() {
  local at=$dir/authority
  mkdir -p "$at"
  cat >"$scratch/authority.cnf" <<END
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = everstep cluster authority
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
  new_key "$scratch/authority.key"
  quietly openssl req -x509 -new -sha256 -key "$scratch/authority.key" -days "$AUTHORITY_DAYS" \
    -config "$scratch/authority.cnf" -out "$scratch/authority.pem"
  # The key first: a certificate without its key would stop the next run.
  mv "$scratch/authority.key" "$at/authority.key"
  mv "$scratch/authority.pem" "$at/authority.pem"
  echo "made  $at"
}

# Whether node $1 has a certificate of this authority that fits its key and lasts.
is_good() {
  local at=$dir/node$1 authority=$dir/authority/authority.pem
  [ -s "$at/node.pem" ] && [ -s "$at/node.key" ] || return 1
  cmp -s "$authority" "$at/authority.pem" || return 1
  openssl verify -CAfile "$authority" "$at/node.pem" >/dev/null 2>&1 || return 1
  openssl x509 -in "$at/node.pem" -noout -checkend "$RENEW_BEFORE_SECONDS" >/dev/null || return 1
  [ "$(openssl x509 -in "$at/node.pem" -noout -pubkey)" = "$(openssl pkey -in "$at/node.key" -pubout 2>/dev/null)" ]
}

make_node() {
  local node=$1 at=$dir/node$1
  [ -s "$dir/authority/authority.key" ] \
    || die "node $node needs a certificate, and $dir/authority/authority.key is not here: bring it for this"
  mkdir -p "$at"
  # Other nodes check the first name. The second is for a node that dials without knowing whom it will reach.
  cat >"$scratch/node.cnf" <<END
[node]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:node-$node.everstep, DNS:cluster.everstep
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
  new_key "$scratch/node.key"
  quietly openssl req -new -sha256 -key "$scratch/node.key" -subj "/CN=node-$node.everstep" -out "$scratch/node.csr"
  quietly openssl x509 -req -sha256 -in "$scratch/node.csr" -days "$NODE_DAYS" \
    -CA "$dir/authority/authority.pem" -CAkey "$dir/authority/authority.key" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$scratch/node.cnf" -extensions node -out "$scratch/node.pem"
  mv "$scratch/node.key" "$at/node.key"
  mv "$scratch/node.pem" "$at/node.pem"
  cp "$dir/authority/authority.pem" "$at/authority.pem"
  echo "made  $at"
}

mkdir -p "$dir"
if [ ! -s "$dir/authority/authority.pem" ]; then
  make_authority
fi
for node in "${nodes[@]}"; do
  if is_good "$node"; then
    echo "kept  $dir/node$node"
  else
    make_node "$node"
  fi
done
