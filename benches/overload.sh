#!/usr/bin/env bash
# Offers a node four times what it does, for a minute, and looks how soon it is as before: rate and latency before, its
# memory meanwhile, then rate and latency again in pieces of two seconds from the moment the flood ends.
#
# Takes curl and jq.
#
# usage: benches/overload.sh [argument of `everstep bench` for the flood …], for example --no-wait
#
# EVERSTEP_BIN   the binary (target/release/everstep)
# CLIENTS        connections of the flood (1024)
# PORT           where the node listens (8150)
set -euo pipefail
binary=$(realpath "${EVERSTEP_BIN:-target/release/everstep}")
port=${PORT:-8150}
url=http://127.0.0.1:$port
dir=$(mktemp -d)
cd "$dir"
"$binary" dev --listen "127.0.0.1:$port" --data-dir data >node.log 2>&1 &
node=$!
trap 'kill $node 2>/dev/null; wait $node 2>/dev/null; rm -rf "$dir"' EXIT
for _ in $(seq 100); do
  curl -fs -m 2 -o /dev/null "$url/readyz" && break
  sleep 0.1
done

bench() { "$binary" bench --server "$url" --warmup 0s -o json -c 64 "$@"; }
figures() { jq -r '"\(.throughput_per_s | round)/s, p50 \(.latency_ms.p50) ms, p99 \(.latency_ms.p99) ms, errors \(.errors)"'; }
resident() { awk '/VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$node/status"; }

bench --duration 10s >/dev/null
bench --duration 10s >before.json
echo "before: $(figures <before.json)"
rate=$(jq '.throughput_per_s * 4 | round' before.json)
echo "offered for 60 s: $rate/s"
"$binary" bench --server "$url" --warmup 0s -o json -c "${CLIENTS:-1024}" --mode open --rate "$rate" \
  --duration 60s "$@" >/dev/null 2>&1 &
flood=$!
most=0
for _ in $(seq 60); do
  sleep 1
  now=$(resident)
  most=$((now > most ? now : most))
done
# What the client still owes would go on long after the minute.
kill -KILL $flood
wait $flood 2>/dev/null || true
echo "resident: $most MB at most"
for second in 2 4 6 8 10; do
  echo "after $second s: $(bench --duration 2s | figures)"
done
