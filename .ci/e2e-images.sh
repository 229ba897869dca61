#!/usr/bin/env bash
# What the images promise: size, version, user, architectures, the bytes that make build gives.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/docker.sh

version=$(make -s version)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; stop_engine' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
want() { [ "$2" = "$3" ] || fail "$1 is '$2', want '$3'"; echo "$1: $2"; }

# extract IMAGE PATH: the file, on this machine
extract() {
  local container
  container=$(docker create "$1" none)
  docker cp -q "$container:$2" "$scratch/file" 2>/dev/null || docker cp "$container:$2" "$scratch/file" >/dev/null
  docker rm "$container" >/dev/null
}

want 'version of stowrs' "$(docker run --rm stowrs --version)" "$version"
want 'version of certsync' "$(docker run --rm stowrs-nginx version)" "$version"

bytes=$(docker image inspect -f '{{.Size}}' stowrs)
[ "$bytes" -lt 25000000 ] || fail "the image stowrs has $bytes bytes, want less than 25,000,000"
echo "image stowrs: $bytes bytes"
extract stowrs-nginx /certsync
bytes=$(stat -c %s "$scratch/file")
[ "$bytes" -lt 15000000 ] || fail "certsync has $bytes bytes, want less than 15,000,000"
echo "certsync: $bytes bytes"

for image in stowrs stowrs-nginx stowrs-s3; do
  want "user of $image" "$(docker image inspect -f '{{.Config.User}}' $image)" 65532:65532
  [ -n "$(docker image inspect -f '{{.Config.Healthcheck.Test}}' $image)" ] || fail "$image has no health check"
done
want 'volume of stowrs-nginx' "$(docker image inspect -f '{{range $path, $_ := .Config.Volumes}}{{$path}}{{end}}' stowrs-nginx)" /run/certsync
want 'owner of the volume' "$(docker run --rm --entrypoint stat stowrs-nginx -c %u:%g /run/certsync)" 65532:65532
extract stowrs /etc/ssl/certs/ca-certificates.crt
grep -q 'BEGIN CERTIFICATE' "$scratch/file" || fail "stowrs has no CA certificates"
certificate=$(docker run --rm --user 0 --entrypoint find stowrs-nginx / -xdev '(' -name 'certificate.*' -o -name '*.key' ')')
want 'keys in the image stowrs-nginx' "$certificate" ''

# The same sources and compiler make the same binary, in an image as in make build.
for folder in app nginx; do
  name=stowrs; [ $folder = nginx ] && name=certsync
  image=stowrs; [ $folder = nginx ] && image=stowrs-nginx
  extract $image /$name
  compiler=$(go version -m "$scratch/file" | sed -n '1s/.*: //p')
  if [ "$compiler" = "$(go version -m bin/$name | sed -n '1s/.*: //p')" ]; then
    cmp "$scratch/file" bin/$name || fail "the binary of the image $image is not that of make build"
    echo "binary of $image: that of make build"
  else
    echo "not compared: the image $image is of $compiler, make build of $(go version)"
  fi
done
# One for the other architecture. The two Dockerfiles cross-compile by the same lines: the smaller program shows it.
docker build -q ${BUILD_FLAGS:-} --platform linux/arm64 --build-arg VERSION="$version" --target build -t stowrs-e2e-build nginx >/dev/null
extract stowrs-e2e-build /certsync
want "architecture of certsync for arm64" "$(go version -m "$scratch/file" | awk '$2 ~ /^GOARCH=/ {print $2}')" GOARCH=arm64
docker image rm -f stowrs-e2e-build >/dev/null

# A container that cannot start says why and ends.
refusal=$(docker run --rm -e AUTH_MODE=clientauth -e CERT_MODE=ACM stowrs-nginx 2>&1) && fail "ACM with clientauth is accepted"
case $refusal in *"cannot work with CERT_MODE=ACM"*) echo "refused: ACM with clientauth" ;; *) fail "$refusal" ;; esac

# It adapts to a low limit of open files, and complains of nothing.
container=$(docker run -d --read-only --cap-drop ALL --ulimit nofile=2048:2048 -e AUTH_MODE=anonymous -e CERT_MODE=ACM stowrs-nginx)
for _ in $(seq 50); do docker logs "$container" 2>&1 | grep -q '"msg":"serving"' && break; sleep 0.2; done
docker stop "$container" >/dev/null
records=$(docker logs "$container" 2>&1)
code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
docker rm "$container" >/dev/null
case $records in *ERROR*) fail "$records" ;; *'"msg":"serving"'*) ;; *) fail "it does not serve: $records" ;; esac
want 'exit status after docker stop' "$code" 0
