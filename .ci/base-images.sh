#!/usr/bin/env bash
# Where no container registry can be reached: stand-ins for the base images, under the
# names that the Dockerfiles use. A Debian by debootstrap, with this machine's Go, CA
# certificates and package sources, and Debian's nginx. With a registry it does nothing.
set -euo pipefail

go_image=docker.io/library/golang:1.26-bookworm
nginx_image=docker.io/library/nginx:1.28-bookworm

present() { docker image inspect "$1" >/dev/null 2>&1 || timeout 60 docker pull -q "$1" >/dev/null 2>&1; }

if present "$go_image" && present "$nginx_image"; then
  exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.log"' EXIT
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
  awk '/^URIs:/ {print $2} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /^http/) print $i}' | head -1)
debootstrap --variant=minbase --include=ca-certificates,nginx-light bookworm "$root" "$mirror" >"$root.log" 2>&1 || { tail "$root.log"; exit 1; }
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root"/var/cache/apt/archives/*.deb
tar -C "$root" -c . | docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  -c 'ENTRYPOINT ["/bin/sh", "-c"]' -c 'CMD ["exec nginx -g \"daemon off;\""]' - "$nginx_image" >/dev/null

context=$(mktemp -d)
cp -a "$(go env GOROOT)" "$context/go"
cat >"$context/Dockerfile" <<DOCKERFILE
FROM $nginx_image
COPY go /usr/local/go
ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
ENTRYPOINT []
DOCKERFILE
DOCKER_BUILDKIT=1 docker build -q -t "$go_image" "$context"
rm -rf "$context"
