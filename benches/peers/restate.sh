#!/usr/bin/env bash
# The three-step workflow on Restate, on this machine: one server, one service in Node, load by autocannon.
# Needs node and npm; installs into a fresh directory and removes it. SECONDS_EACH and CLIENTS can be set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${SECONDS_EACH:-10}
work=$(mktemp -d)
pids=()
stop() {
  if [ ${#pids[@]} -gt 0 ]; then
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap stop EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit @restatedev/restate-server @restatedev/restate-sdk autocannon
cp "$here/restate.mjs" .

node restate.mjs >service.log 2>&1 </dev/null &
pids+=($!)
RESTATE_LOG_FILTER=warn node_modules/.bin/restate-server --base-dir data >server.log 2>&1 </dev/null &
pids+=($!)
for _ in $(seq 100); do
  curl -sf -m 2 http://127.0.0.1:9070/health >/dev/null && break
  sleep 0.2
done
curl -sf -m 20 http://127.0.0.1:9070/deployments -H 'content-type: application/json' \
  -d '{"uri": "http://127.0.0.1:9180"}' >/dev/null
node_modules/.bin/restate-server --version
for clients in ${CLIENTS:-1 64 256}; do
  echo "== $clients clients"
  node_modules/.bin/autocannon -c "$clients" -d "$seconds" -m POST -H content-type=application/json -b '{}' \
    --json http://127.0.0.1:8080/three/run 2>/dev/null |
    node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>{const r=JSON.parse(t);
      console.log(`${r.requests.average} executions/s, p50 ${r.latency.p50} ms, p99 ${r.latency.p99} ms, errors ${r.errors + r.non2xx}`)})'
done
