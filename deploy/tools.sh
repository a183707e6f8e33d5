#!/bin/sh
# The Debian packages that tests and benchmarks use.
#
#   deploy/tools.sh           installs what is missing; asks first unless CI=true
#   deploy/tools.sh --check   says what is missing, and fails then
#
# No service is started by the packages: while they install, policy-rc.d answers 101 (action forbidden).
set -eu

PACKAGES="swaks libnet-ssleay-perl curl isync mutt offlineimap3 getmail6 fetchmail thunderbird xvfb chromium openssl procps iproute2 util-linux
    systemd postgresql-15
    dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d dovecot-sieve dovecot-managesieved postfix"

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "make tools knows Debian's packages only; install by hand what these are called here:" $PACKAGES >&2
    exit 1
fi

missing=""
for package in $PACKAGES; do
    is_installed "$package" || missing="$missing $package"
done

if [ -z "$missing" ]; then
    [ "${1:-}" = --check ] || echo "All tools are installed."
    exit 0
fi
if [ "${1:-}" = --check ]; then
    echo "Programs that the tests use are missing:$missing" >&2
    echo "Install them with: make tools" >&2
    exit 1
fi

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo"
else
    echo "Installing$missing needs root: run make tools as root." >&2
    exit 1
fi

if [ "${CI:-}" != true ]; then
    echo "To be installed from Debian (no service will be started):$missing"
    printf "Go on? [y/N] "
    read -r answer || answer=""
    case "$answer" in
        y | Y | yes) ;;
        *) echo "Nothing was installed." >&2; exit 1 ;;
    esac
fi

policy=/usr/sbin/policy-rc.d
made_policy=""
forbid_no_more() {
    if [ -n "$made_policy" ]; then $as_root rm -f "$policy"; fi
}
trap forbid_no_more EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

case "$missing" in
    *" postfix"*)
        if command -v debconf-set-selections >/dev/null 2>&1; then
            echo "postfix postfix/main_mailer_type select No configuration" | $as_root debconf-set-selections
        fi
        ;;
esac
apt="$as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
$apt update
# shellcheck disable=SC2086 (a list of words is meant)
$apt install -y --no-install-recommends $missing >/dev/null
echo "Installed:$missing"
