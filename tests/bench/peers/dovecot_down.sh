#!/usr/bin/env bash
# Stops the Dovecot that dovecot_up.sh started (its mail stays) and puts the inotify limit back.
set -eu
. "$(dirname "$0")/lib.sh"
D="$PEERS_DIR/dovecot"
stop_pid "$D/run/master.pid" 30
if [ -s "$D/inotify.was" ]; then
    cat "$D/inotify.was" >/proc/sys/fs/inotify/max_user_instances 2>/dev/null || true
    rm -f "$D/inotify.was"
fi
