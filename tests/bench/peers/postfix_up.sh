#!/usr/bin/env bash
# A private Postfix on 127.0.0.1:19025 (or another PEERS_PORTS + 25) that takes mail for example.test and hands it by
# LMTP to the port below. At 19465 it takes mail for everybody from people who signed in (at the Dovecot that is up),
# and sends it where TRANSPORTS (transport(5)) says.   postfix_up.sh USERS TRANSPORTS
# Everything of it is under $PEERS_DIR/postfix.
# Its queue is durable as always with Postfix (fsync of each queue file before the 250).
set -eu
. "$(dirname "$0")/lib.sh"
USERS="${1:-2000}" TRANSPORTS="$2"
P="$PEERS_DIR/postfix"
if [ -s "$P/queue/pid/master.pid" ] && kill -0 "$(tr -dc 0-9 <"$P/queue/pid/master.pid")" 2>/dev/null; then
    echo "already up; postfix_down.sh first" >&2; exit 1; fi
port_free $((PORTS + 25)) $((PORTS + 465))
rm -rf "$P"; mkdir -p "$P/etc" "$P/queue" "$P/data" "$P/log"
chown postfix "$P/data"; chmod 755 "$PEERS_DIR" "$P"
for ((i = 0; i < USERS; i++)); do printf 'u%04d@example.test ok\n' "$i"; done >"$P/etc/users"
cp "$TRANSPORTS" "$P/etc/transports"
cat >"$P/etc/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $P/queue
data_directory = $P/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = $P/log
maillog_file = $P/log/postfix.log
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:$P/etc/users
virtual_transport = lmtp:inet:127.0.0.1:$((PORTS + 24))
transport_maps = texthash:$P/etc/transports
smtpd_sasl_type = dovecot
smtpd_sasl_path = $PEERS_DIR/dovecot/run/submission
smtpd_tls_chain_files = $PEERS_DIR/dovecot/tls/key.pem, $PEERS_DIR/dovecot/tls/cert.pem
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
in_flow_delay = 0
default_process_limit = 100
lmtp_destination_concurrency_limit = 20
lmtp_destination_recipient_limit = 1
lmtp_host_lookup = native
lmtp_dns_support_level = disabled
initial_destination_concurrency = 20
bounce_queue_lifetime = 0
biff = no
smtpd_tls_security_level = none
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ
CONF
cat >"$P/etc/master.cf" <<CONF
127.0.0.1:$((PORTS + 25)) inet n - n - - smtpd
127.0.0.1:$((PORTS + 465)) inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
CONF
for f in postfix-files dynamicmaps.cf; do [ -e "/etc/postfix/$f" ] && cp "/etc/postfix/$f" "$P/etc/"; done
mkdir -p "$P/etc/postfix-files.d" "$P/etc/dynamicmaps.cf.d"
postfix -c "$P/etc" start >"$P/log/start.out" 2>&1 || { cat "$P/log/start.out" >&2; exit 1; }
wait_port $((PORTS + 25)) && wait_port $((PORTS + 465))
