#!/usr/bin/env bash
# Installs the packages of the programs named that are missing, on Debian and its kin, as root; elsewhere it says what is missing.
set -euo pipefail

packages=()
for program in "$@"; do
  has() { command -v "$program" >/dev/null; }
  case $program in
    gcc) package="gcc libc6-dev" ;; # for the race detector
    npm) package="nodejs npm" ;;
    mvn) package=maven ;;
    javac) package=default-jdk-headless ;;
    dcm2json) package=dcmtk ;;
    dciodvfy) package=dicom3tools ;;
    python3) package="python3 python3-venv"; has() { python3 -c 'import ensurepip' 2>/dev/null; } ;;
    dot) package=graphviz ;;
    nginx) package=nginx-light; has() { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; } ;;
    nft) package="nftables iproute2"; has() { { command -v nft || [ -x /usr/sbin/nft ]; } && { command -v ip || [ -x /usr/sbin/ip ]; }; } >/dev/null ;;
    systemd-analyze) package=systemd ;;
    orthanc) package="orthanc orthanc-dicomweb"; has() { [ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ]; } ;;
    *) package=$program ;;
  esac
  # shellcheck disable=SC2206 # words are packages
  has || packages+=($package)
done
[ ${#packages[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${packages[*]} (names of Debian's packages): install them, or let root do it here" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
