# Sourced by the other scripts: where the peers live, and waiting for them.
PORTS="${PEERS_PORTS:-19000}" # doors are at that + 143, 993, 25, 465, 24
PEERS_DIR="${PEERS_DIR:-${TMPDIR:-/tmp}/waypost-bench/peers}"
mkdir -p "$PEERS_DIR"
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

# stop_pid PIDFILE SECONDS: TERM one process that we started, by its id, and wait for it.
stop_pid() {
    local file="$1" seconds="${2:-20}" pid i
    [ -s "$file" ] || { echo "no $file"; return 0; }
    pid="$(tr -dc 0-9 <"$file")"
    kill -TERM "$pid" 2>/dev/null || { rm -f "$file"; return 0; }
    for ((i = 0; i < seconds * 10; i++)); do
        kill -0 "$pid" 2>/dev/null || { rm -f "$file"; return 0; }
        sleep 0.1
    done
    echo "pid $pid is still there after ${seconds}s" >&2
    return 1
}

# wait_port PORT SECONDS
wait_port() {
    local i
    for ((i = 0; i < ${2:-15} * 10; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    return 1
}

# port_free PORT...: fails if something already listens there (someone else's server).
port_free() {
    local port
    for port in "$@"; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "port $port is taken" >&2; return 1; fi
    done
}
