#!/usr/bin/env bash
# Where no container registry can be reached: stand-ins for the base images, under the
# names that the Dockerfiles use. A Debian by debootstrap, with this machine's Go, CA
# certificates and package sources, and Debian's nginx (1.22). With a registry it does nothing.
# A stand-in cannot have the digest that a Dockerfile pins, so it is named without: the output is
# the flags with which docker build uses it.
set -euo pipefail
cd "$(dirname "$0")/.."

go_image=$(sed -n 's/^ARG GO_IMAGE=//p' app/Dockerfile)
nginx_image=$(sed -n 's/^ARG NGINX_IMAGE=//p' nginx/Dockerfile)

present() { docker image inspect "$1" >/dev/null 2>&1 || timeout 60 docker pull -q "$1" >/dev/null 2>&1; }

if present "$go_image" && present "$nginx_image"; then
  exit 0
fi
go_image=${go_image%%@*} nginx_image=${nginx_image%%@*}
echo "--build-arg GO_IMAGE=$go_image --build-arg NGINX_IMAGE=$nginx_image"
if docker image inspect "$go_image" "$nginx_image" >/dev/null 2>&1; then # made by a run before
  exit 0
fi
echo "no registry: making stand-ins for $go_image and $nginx_image" >&2
command -v debootstrap >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null; }
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.log"' EXIT
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
  awk '/^URIs:/ {print $2} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /^http/) print $i}' | head -1)
debootstrap --variant=minbase --include=ca-certificates,nginx-light bookworm "$root" "$mirror" >"$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
path=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
tar -C "$root" -c . | docker import -c "ENV PATH=$path" -c 'CMD ["nginx", "-g", "daemon off;"]' - "$nginx_image" >/dev/null
cp -a "$(go env GOROOT)" "$root/usr/local/go"
tar -C "$root" -c . | docker import -c "ENV PATH=$path GOTOOLCHAIN=local" -c 'CMD ["bash"]' - "$go_image" >/dev/null
