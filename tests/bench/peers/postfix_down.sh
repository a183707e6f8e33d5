#!/usr/bin/env bash
# Stops the Postfix that postfix_up.sh started.
set -eu
. "$(dirname "$0")/lib.sh"
P="$PEERS_DIR/postfix"
cp "$P/queue/pid/master.pid" "$P/pid" 2>/dev/null || { echo "not up"; exit 0; }
stop_pid "$P/pid" 30
