#!/usr/bin/env bash
# Three nodes on this machine, and what can happen to them. `cluster/run.sh help` says what it takes.
#
# Node N: settings cluster/nodeN.toml, data cluster/data/nodeN, process id cluster/data/nodeN.pid,
# log cluster/data/nodeN.log, public port 800N, port for other nodes 900N.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODES=(1 2 3)
readonly DATA=cluster/data
# Seconds until a node has to be ready, or gone. Generous: debug builds on a busy machine.
readonly WAIT=${EVERSTEP_CLUSTER_WAIT:-60}

usage() {
  cat <<'END'
cluster/run.sh               start what does not run, wait until all three are ready
cluster/run.sh start [N]     start one or all, and wait until each is ready
cluster/run.sh stop [N]      ask one or all to stop (SIGTERM), and wait for the end
cluster/run.sh kill N|all    kill (SIGKILL): no chance to write anything
cluster/run.sh pause N       freeze (SIGSTOP): alive, but silent
cluster/run.sh continue N    go on after a pause (SIGCONT)
cluster/run.sh status        each node: process, ready or not, and which partitions it leads
cluster/run.sh wipe N|all    delete the data and the log of a node that does not run

The binary: $EVERSTEP_BIN, else target/release/everstep, else it is built.
$EVERSTEP_CLUSTER_WAIT: seconds until a node has to be ready or gone; 60 if not set.
END
}

die() {
  echo "run.sh: $*" >&2
  exit 1
}

address() { echo "http://127.0.0.1:800$1"; }
pid_file() { echo "$DATA/node$1.pid"; }
log_file() { echo "$DATA/node$1.log"; }

# The process of node $1, if it lives. A process id alone proves nothing: after a restart of the machine
# it may belong to anybody, so the command line has to fit.
pid_of() {
  local pid
  pid=$(cat "$(pid_file "$1")" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  [[ $(ps -o stat= -p "$pid" 2>/dev/null) =~ ^[^Z] ]] || return 1
  [[ $(ps -ww -o args= -p "$pid" 2>/dev/null) == *" serve --config cluster/node$1.toml"* ]] || return 1
  echo "$pid"
}

# running, paused or stopped.
state_of() {
  local pid
  if ! pid=$(pid_of "$1"); then
    echo stopped
  elif [[ $(ps -o stat= -p "$pid") == T* ]]; then
    echo paused
  else
    echo running
  fi
}

is_ready() { curl -sf -o /dev/null --max-time 1 "$(address "$1")/readyz"; }

how_many_run() {
  local node count=0
  for node in "${NODES[@]}"; do
    [ "$(state_of "$node")" != running ] || count=$((count + 1))
  done
  echo "$count"
}

find_binary() {
  if [ -n "${EVERSTEP_BIN:-}" ]; then
    [ -x "$EVERSTEP_BIN" ] || die "EVERSTEP_BIN=$EVERSTEP_BIN is no program (paths are relative to $PWD)"
    echo "$EVERSTEP_BIN"
    return
  fi
  local binary=${CARGO_TARGET_DIR:-target}/release/everstep
  if [ ! -x "$binary" ]; then
    command -v cargo >/dev/null || die "no $binary, and no cargo to build it: set EVERSTEP_BIN"
    echo "no $binary yet: building it, which takes minutes" >&2
    cargo build --release --locked --bin everstep >&2 || die "the build failed"
  fi
  echo "$binary"
}

# Starts node $1, unless it runs, with the binary $2. Does not wait.
launch() {
  local node=$1 binary=$2 log
  case $(state_of "$node") in
    running) echo "node $node runs already" && return ;;
    paused) die "node $node is paused: cluster/run.sh continue $node" ;;
  esac
  log=$(log_file "$node")
  echo "== $(date -u +%FT%TZ) cluster/run.sh starts node $node" >>"$log"
  # A process group of its own, so that Ctrl-C here does not end it.
  set -m
  nohup "$binary" serve --config "cluster/node$node.toml" >>"$log" 2>&1 </dev/null &
  echo $! >"$(pid_file "$node")"
  set +m
  # It becomes the node only now: until then others would take it for a stranger.
  while kill -0 $! 2>/dev/null && ! pid_of "$node" >/dev/null; do sleep 0.01; done
  disown 2>/dev/null || true
}

# Waits until node $1 is ready; a node that ended says why in its log.
await_ready() {
  local node=$1 until=$((SECONDS + WAIT))
  until is_ready "$node"; do
    [ "$(state_of "$node")" != stopped ] || fell_over "$node"
    [ "$SECONDS" -lt "$until" ] || die "node $node is not ready after $WAIT s: see $(log_file "$node")"
    sleep 0.1
  done
  echo "node $node is ready: $(address "$node")"
}

fell_over() {
  local log
  log=$(log_file "$1")
  echo "run.sh: node $1 ended; the end of $log:" >&2
  # Of this start only.
  awk '/^== .* cluster\/run.sh starts node/ { lines = ""; next } { lines = lines "  " $0 "\n" } END { printf "%s", lines }' \
    "$log" | tail -n 8 >&2
  rm -f "$(pid_file "$1")"
  exit 1
}

start() {
  local node binary
  binary=$(find_binary)
  cluster/certs.sh "$DATA/tls" "${NODES[@]}" | { grep -v '^kept' || true; }
  for node in "$@"; do
    launch "$node" "$binary"
  done
  if [ "$(how_many_run)" -lt 2 ]; then
    sleep 0.5
    [ "$(state_of "$1")" != stopped ] || fell_over "$1"
    echo "node $1 runs, and is ready once a second node is; the first time all three have to meet"
    return
  fi
  for node in "$@"; do
    await_ready "$node"
  done
}

# Waits until node $1 has ended.
await_end() {
  local node=$1 until=$((SECONDS + WAIT))
  while pid_of "$node" >/dev/null; do
    [ "$SECONDS" -lt "$until" ] || die "node $node has not ended after $WAIT s: cluster/run.sh kill $node"
    sleep 0.05
  done
  rm -f "$(pid_file "$node")"
}

# Sends signal $1 to the nodes that follow, then waits for the end of each; $2 says what happened to them.
finish() {
  local signal=$1 word=$2 node pid
  shift 2
  local ending=()
  for node in "$@"; do
    if ! pid=$(pid_of "$node"); then
      rm -f "$(pid_file "$node")"
      echo "node $node does not run"
      continue
    fi
    kill "-$signal" "$pid" 2>/dev/null || true
    # A frozen process hears nothing but SIGKILL until it goes on.
    kill -CONT "$pid" 2>/dev/null || true
    ending+=("$node")
  done
  for node in ${ending[@]+"${ending[@]}"}; do
    await_end "$node"
    echo "node $node $word"
  done
}

# Sends signal $1 to the node $2 and waits until its state is $3.
freeze_or_go_on() {
  local signal=$1 node=$2 wanted=$3 pid until=$((SECONDS + WAIT))
  pid=$(pid_of "$node") || die "node $node does not run: cluster/run.sh start $node"
  kill "-$signal" "$pid"
  until [ "$(state_of "$node")" = "$wanted" ]; do
    [ "$SECONDS" -lt "$until" ] || die "node $node is still not $wanted"
    sleep 0.02
  done
  echo "node $node is $wanted"
}

wipe() {
  local node
  for node in "$@"; do
    [ "$(state_of "$node")" = stopped ] || die "node $node runs: stop it before its data goes"
  done
  for node in "$@"; do
    rm -rf "$DATA/node$node"
    rm -f "$(pid_file "$node")" "$(log_file "$node")"
    echo "node $node is wiped"
  done
  if [ $# -eq 1 ]; then
    echo "its id is spent: a cluster that was formed with the lost disk refuses an empty one, as what it had" >&2
    echo "acknowledged is gone; \`wipe all\` begins a new cluster" >&2
  fi
}

# The partitions that the node leads whose /api/health is on stdin.
led() {
  tr -d ' \n' | grep -oE '"partition":[0-9]+,"leading":true' | grep -oE '[0-9]+' | tr '\n' ' ' || true
}

status() {
  local node pid state ready health leads all=' ' partitions='' partition
  printf '%-5s %-8s %-8s %-6s %-12s %s\n' node pid process ready leads address
  for node in "${NODES[@]}"; do
    pid=$(pid_of "$node") || pid=-
    state=$(state_of "$node") ready=- leads=-
    if [ "$state" = running ]; then
      ready=no
      ! is_ready "$node" || ready=yes
      health=$(curl -s --max-time 1 "$(address "$node")/api/health") || health=
      leads=$(led <<<"$health")
      all+=$leads
      partitions=$(grep -oE '"partition": *[0-9]+' <<<"$health" | grep -oE '[0-9]+' || echo "$partitions")
    fi
    printf '%-5s %-8s %-8s %-6s %-12s %s\n' "$node" "$pid" "$state" "$ready" "${leads:--}" "$(address "$node")"
  done
  for partition in $partitions; do
    [[ $all == *" $partition "* ]] || echo "partition $partition is led by no node that answers"
  done
}

# Puts what $1 names into `nodes` of the caller.
choose() {
  case $1 in
    all) nodes=("${NODES[@]}") ;;
    [123]) nodes=("$1") ;;
    '') die "which node? 1, 2, 3 or all" ;;
    *) die "\`$1\` is no node of this cluster: 1, 2, 3 or all" ;;
  esac
}

main() {
  local command=${1:-up} nodes=()
  [ $# -le 2 ] || die "too much: $*; cluster/run.sh help says what it takes"
  command -v curl >/dev/null || die "curl is missing (Debian: apt-get install curl)"
  command -v ps >/dev/null || die "ps is missing (Debian: apt-get install procps)"
  (umask 077 && mkdir -p "$DATA")
  case $command in
    start | stop) choose "${2:-all}" ;;
    kill | wipe) choose "${2:-}" ;;
    pause | continue)
      [ "${2:-}" != all ] || die "one node at a time: 1, 2 or 3"
      choose "${2:-}"
      ;;
    *) [ $# -le 1 ] || die "\`$command\` takes nothing" ;;
  esac
  case $command in
    up) start "${NODES[@]}" ;;
    start) start "${nodes[@]}" ;;
    stop) finish TERM "has stopped" "${nodes[@]}" ;;
    kill) finish KILL "is dead" "${nodes[@]}" ;;
    pause) freeze_or_go_on STOP "${nodes[0]}" paused ;;
    continue) freeze_or_go_on CONT "${nodes[0]}" running ;;
    status) status ;;
    wipe) wipe "${nodes[@]}" ;;
    help | -h | --help) usage ;;
    *)
      usage >&2
      die "\`$command\` is not among them"
      ;;
  esac
}

main "$@"
