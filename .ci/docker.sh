# To be sourced: Docker, as the scripts here need it: a running engine, a client that builds
# with BuildKit, and Compose v2. What is missing on a Debian machine is installed, built or
# started; an engine that was started is stopped with the script.
COMPOSE_VERSION=v2.40.3
engine=

apt_install() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

start_engine() {
  docker info >/dev/null 2>&1 && return
  command -v dockerd >/dev/null || apt_install docker.io iptables
  docker_log=$(mktemp)
  dockerd >"$docker_log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && return
    kill -0 "$engine" 2>/dev/null || break
    sleep 1
  done
  tail -20 "$docker_log" >&2
  echo "the Docker engine does not start" >&2
  return 1
}

stop_engine() {
  [ -n "$engine" ] || return 0
  kill "$engine" && wait "$engine" || true
  rm -f "$docker_log"
}

# A client since 23 builds with the plugin buildx only. Debian's, 20.10, has BuildKit in it.
choose_client() {
  docker buildx version >/dev/null 2>&1 && return
  mkdir -p bin/docker
  [ -x /usr/bin/docker ] || apt_install docker.io
  ln -sf /usr/bin/docker bin/docker/docker
  PATH=$PWD/bin/docker:$PATH
}

install_compose() {
  docker compose version >/dev/null 2>&1 && return
  export DOCKER_CONFIG=$PWD/bin/docker/config
  if ! docker compose version >/dev/null 2>&1; then
    echo "building Docker Compose $COMPOSE_VERSION"
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    # Its go.mod excludes versions, which go install refuses: built as a main module.
    local source
    source=$(mktemp -d)
    cp -r "$(cd "$source" && go mod download -json "github.com/docker/compose/v2@$COMPOSE_VERSION" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')" "$source/compose"
    chmod -R u+w "$source"
    (cd "$source/compose" && CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$COMPOSE_VERSION" \
      -o "$DOCKER_CONFIG/cli-plugins/docker-compose" ./cmd)
    rm -rf "$source"
  fi
  docker compose version
}

trap stop_engine EXIT
start_engine
choose_client
install_compose
export PATH DOCKER_BUILDKIT=1
