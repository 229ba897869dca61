#!/usr/bin/env bash
# Builds nginx of the version line that nginx/Dockerfile pins, for nginx -t, and prints its
# path: Debian's is older, and the image may be out of reach. The source is a crate.
set -euo pipefail
cd "$(dirname "$0")/.."
crate=1.28.5 # nginx 1.28.3
program=$PWD/bin/nginx-1.28/nginx
grep -q '^ARG NGINX_IMAGE=.*nginx:1\.28-' nginx/Dockerfile || { echo "nginx/Dockerfile pins another nginx than $0 builds" >&2; exit 1; }
if [ ! -x "$program" ]; then
  command -v cargo >/dev/null || { echo "no cargo: the pinned nginx is not built, and nginx -t is by Debian's alone" >&2; exit 0; }
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc make libc6-dev libssl-dev libpcre2-dev zlib1g-dev
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[dependencies]\nnginx-src = "=%s"\n' $crate >"$build/Cargo.toml"
    touch "$build/lib.rs"
    (cd "$build" && cargo vendor vendor)
    cd "$build"/vendor/nginx-src*/nginx
    chmod +x auto/configure
    auto/configure --with-http_ssl_module --with-http_auth_request_module
    make -j"$(nproc)"
  } >"$build.log" 2>&1 || { tail -20 "$build.log" >&2; exit 1; }
  mkdir -p "$(dirname "$program")"
  cp objs/nginx "$program"
fi
echo "$program"
