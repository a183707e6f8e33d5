#!/usr/bin/env bash
# Runs Dovecot 2.3 from its own configuration under $PEERS_DIR/dovecot, on loopback.
#   dovecot_up.sh [--fsync always|never] [--format maildir|mdbox] [--users N] [--password TEXT] [--keep]
# Logins in a few long-lived processes, session processes used again (still one session each at a time): what
# its manual advises for a busy server. --keep keeps the mail that is there; without it all mail is removed.
# IMAP 19143, IMAPS 19993, LMTP 19024, or beside another PEERS_PORTS. Users u0000@example.test ...
set -eu
. "$(dirname "$0")/lib.sh"
FSYNC=always FORMAT=maildir USERS=2000 PASSWORD=pw KEEP=0
while [ $# -gt 0 ]; do case "$1" in
    --fsync) FSYNC="$2"; shift 2 ;; --users) USERS="$2"; shift 2 ;; --password) PASSWORD="$2"; shift 2 ;;
    --format) FORMAT="$2"; shift 2 ;; --keep) KEEP=1; shift ;; *) echo "what is $1?" >&2; exit 2 ;;
esac; done
D="$PEERS_DIR/dovecot"
[ -s "$D/run/master.pid" ] && kill -0 "$(cat "$D/run/master.pid")" 2>/dev/null && { echo "already up; dovecot_down.sh first" >&2; exit 1; }
port_free $((PORTS + 143)) $((PORTS + 993)) $((PORTS + 24))
case "$FORMAT" in maildir) PLACE="maildir:~/Maildir" ;; mdbox) PLACE="mdbox:~/mdbox" ;; *) echo "no format $FORMAT" >&2; exit 2 ;; esac
[ "$KEEP" = 1 ] || rm -rf "$D/mail"
rm -rf "$D/run"; mkdir -p "$D/run" "$D/mail" "$D/state" "$D/tls"
chown 5000:5000 "$D/mail"; chmod 755 "$PEERS_DIR" "$D" "$D/mail"
[ -s "$D/tls/key.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=localhost -keyout "$D/tls/key.pem" -out "$D/tls/cert.pem" 2>/dev/null
for ((i = 0; i < USERS; i++)); do printf 'u%04d@example.test:{PLAIN}%s\n' "$i" "$PASSWORD"; done >"$D/users"
chmod 644 "$D/users"
# every imap process wants an inotify instance; the kernel allows 128 for one uid
if [ ! -s "$D/inotify.was" ]; then cat /proc/sys/fs/inotify/max_user_instances >"$D/inotify.was"; fi
echo 8192 >/proc/sys/fs/inotify/max_user_instances 2>/dev/null || echo "note: cannot raise fs.inotify.max_user_instances; IDLE will poll past 128 sessions" >&2
cat >"$D/dovecot.conf" <<CONF
base_dir = $D/run
state_dir = $D/state
instance_name = waypost-bench
log_path = $D/dovecot.log
protocols = imap lmtp sieve
listen = 127.0.0.1
default_vsz_limit = 2G
default_client_limit = 15000
ssl = yes
ssl_cert = <$D/tls/cert.pem
ssl_key = <$D/tls/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_max_userip_connections = 100000
mail_location = $PLACE
mail_home = $D/mail/%n
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 1000
mail_fsync = $FSYNC
postmaster_address = postmaster@example.test
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $D/users
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=$D/mail/%n
}
namespace inbox {
  inbox = yes
}
service anvil {
  client_limit = 15000
}
service auth {
  unix_listener $D/run/submission {
    mode = 0666
  }
  client_limit = 15000
}
service config {
  client_limit = 15000
}
service stats {
  client_limit = 15000
}
service imap-login {
  inet_listener imap {
    port = $((PORTS + 143))
  }
  inet_listener imaps {
    port = $((PORTS + 993))
    ssl = yes
  }
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  client_limit = 10000
}
service imap {
  process_limit = 5000
  service_count = 1000
  client_limit = 1
  process_min_avail = 4
}
service managesieve-login {
  inet_listener sieve {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    port = $((PORTS + 24))
  }
  process_limit = 200
  process_min_avail = 4
  service_count = 1000
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
CONF
: >"$D/dovecot.log"
setsid /usr/sbin/dovecot -F -c "$D/dovecot.conf" >>"$D/dovecot.out" 2>&1 </dev/null &
wait_port $((PORTS + 993)) && wait_port $((PORTS + 24))
for ((i = 0; i < 100; i++)); do [ -s "$D/run/master.pid" ] && exit 0; sleep 0.1; done
echo "no $D/run/master.pid" >&2; exit 1
