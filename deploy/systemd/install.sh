#!/bin/sh
# Puts Waypost's account, directories and systemd units on this host; a second run changes what is out of date and
# nothing else. It starts nothing.
#
#   deploy/systemd/install.sh [--root DIR]    DIR: an image or a container's root instead of /
#
# The code is expected at /opt/waypost with its .venv (docs/operations.md).
set -eu

root=""
if [ "${1:-}" = --root ]; then
    root="${2:?--root needs a directory}"
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

put() { # source, target, mode
    install -D -m "$3" "$here/$1" "$root$2"
}

for role in imap smtp web outbound upkeep; do
    put waypost-role@.service "/etc/systemd/system/waypost-$role@.service" 0644
done
put waypost.target /etc/systemd/system/waypost.target 0644
put waypost.sysusers /usr/lib/sysusers.d/waypost.conf 0644
put waypost.tmpfiles /usr/lib/tmpfiles.d/waypost.conf 0644
systemd-sysusers ${root:+--root="$root"} waypost.conf
systemd-tmpfiles ${root:+--root="$root"} --create waypost.conf
if [ ! -e "$root/etc/waypost/waypost.toml" ]; then
    put waypost.toml /etc/waypost/waypost.toml 0640
    if [ -z "$root" ]; then chgrp waypost /etc/waypost/waypost.toml; fi
    echo "Now edit /etc/waypost/waypost.toml, then go on as docs/operations.md says."
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
