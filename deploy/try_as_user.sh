#!/bin/sh
# `make up` on a fresh copy of the last commit, as a user without rights who is made for it; then the doors are tried from
# outside, and nothing may be left after `make down`. Needs root, and curl, swaks and python3.
set -eu
cd "$(dirname "$0")/.."

user=waypost-try
base="${WAYPOST_PORT_BASE:-14000}"
if [ "$(id -u)" != 0 ]; then echo "deploy/try_as_user.sh makes a user: run it as root." >&2; exit 1; fi
made_user=""
if ! id "$user" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/sh "$user"
    made_user=yes
fi

directory="$(mktemp -d /tmp/waypost-try.XXXXXX)"
chown "$user" "$directory"
as_user() {
    runuser -u "$user" -- env -i -C "$directory" HOME="$(getent passwd "$user" | cut -d: -f6)" PATH="$PATH" \
        LANG=C.UTF-8 WAYPOST_PORT_BASE="$base" "$@"
}
supervisor=""
clean_up() {
    if [ -n "$supervisor" ]; then as_user make down >/dev/null 2>&1 || true; wait "$supervisor" 2>/dev/null || true; fi
    rm -rf "$directory"
    if [ -n "$made_user" ]; then userdel --remove "$user" 2>/dev/null; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

git -c safe.directory='*' archive HEAD | as_user tar -x
began="$(date +%s)"
as_user make up >"$directory.log" 2>&1 &
supervisor="$!"
endpoints="$directory/var/endpoints.json"
while [ ! -e "$endpoints" ]; do
    if ! kill -0 "$supervisor" 2>/dev/null; then cat "$directory.log" >&2; echo "make up ended." >&2; exit 1; fi
    if [ "$(($(date +%s) - began))" -gt 300 ]; then cat "$directory.log" >&2; echo "make up took over 300 s." >&2; exit 1; fi
    sleep 0.2
done
echo "make up as $user: $(($(date +%s) - began)) s with a new virtual environment"
rm -f "$directory.log"

told() { python3 -c "import json, sys; told = json.load(open('$endpoints')); print($1)"; }
reader="$(told "told['logins'][1]['address']")"
password="$(told "told['logins'][1]['password']")"
sent="tried-$began"
swaks --silent 2 --server "127.0.0.1:$(told "told['smtp']['port']")" --from somebody@example.org --to "$reader" \
    --header "Subject: $sent"
curl --silent --show-error --cacert "$(told "told['ca']")" --user "$reader:$password" \
    "imaps://localhost:$(told "told['imaps']['port']")/INBOX" -X "SEARCH SUBJECT $sent" | grep -q 'SEARCH [0-9]'
echo "a message came in by SMTP and is there by IMAP"

as_user make down
wait "$supervisor"
supervisor=""
if pgrep -u "$user" >/dev/null; then
    echo "left behind:" >&2
    pgrep -u "$user" -a >&2
    exit 1
fi
echo "nothing was left behind"
