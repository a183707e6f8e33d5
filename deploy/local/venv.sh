#!/bin/sh
# The virtual environment: deploy/local/venv.sh DIRECTORY REQUIREMENTS...
#
# Makes DIRECTORY where it is missing or its Python has gone, then installs the pinned requirements, checking their hashes.
set -eu
venv="$1"
shift

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "Waypost needs Python 3.11 or later, and none is on the PATH (on Debian 12: apt-get install python3 python3-venv)." >&2
    exit 1
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python="$(find_python)"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python cannot make virtual environments (on Debian: apt-get install python3-venv)." >&2
        exit 1
    fi
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

for requirements in "$@"; do
    echo "Installing $requirements (the first time it takes a while)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --use-pep517 --require-hashes -r "$requirements"
done
