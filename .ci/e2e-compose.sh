#!/usr/bin/env bash
# compose.yaml with each of its profiles, and real clients against it.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/docker.sh

scratch=$(mktemp -d)
export COMPOSE_PROJECT_NAME=stowrs-e2e ENV_FILE=$scratch/env
compose() { docker compose --env-file "$ENV_FILE" "$@"; }
cleanup() {
  status=$?
  [ $status -eq 0 ] || compose --profile '*' logs --tail 30 || true
  compose --profile '*' down --volumes --timeout 20 >/dev/null 2>&1 || true
  rm -rf "$scratch"
  stop_engine
}
trap cleanup EXIT

step() { echo "== $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
closed() { ! (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
http=127.0.0.1:18080 https=127.0.0.1:18443 admin=127.0.0.1:19090 nginx_admin=127.0.0.1:18081

# environment PROFILES [VARIABLE…]: an .env made of .env.example, as a user would
environment() {
  local profiles=$1
  shift
  cp .env.example "$ENV_FILE"
  for variable in COMPOSE_PROFILES="$profiles" BUCKETNAME=dicom AWS_ENDPOINT_URL_S3=http://s3:9000 \
    AWS_ACCESS_KEY_ID=trial AWS_SECRET_ACCESS_KEY=trial-secret-key CERTS_FOLDER="$scratch/certs" CERT_REFRESH=1s \
    HTTP_PORT=$http HTTPS_PORT=$https ADMIN_PORT=$admin NGINX_ADMIN_PORT=$nginx_admin "$@"; do
    sed -i "/^#\?${variable%%=*}=/d" "$ENV_FILE"
    echo "$variable" >>"$ENV_FILE"
  done
}

up() { compose up --detach --wait --wait-timeout 90 --quiet-pull >"$scratch/up" 2>&1 || { cat "$scratch/up"; fail "compose up"; }; }
down() { compose --profile '*' down --volumes --timeout 130 >"$scratch/down" 2>&1 || { cat "$scratch/down"; fail "compose down"; }; }

# stored: the bucket has the three samples, byte for byte, and nothing else
stored() {
  rm -rf "$scratch/bucket"
  docker cp "$(compose ps -q s3):/data/dicom" "$scratch/bucket" >/dev/null
  local objects sample found
  objects=$(find "$scratch/bucket" -type f | wc -l)
  [ "$objects" -eq 3 ] || fail "$objects objects in the bucket, want 3"
  for sample in dcm-samples/*.dcm; do
    found=
    for object in "$scratch"/bucket/*/*/*; do cmp -s "$sample" "$object" && found=$object; done
    [ -n "$found" ] || fail "$sample is not in the bucket, byte for byte"
  done
  echo "the bucket has the 3 samples, byte for byte"
}

send() { bin/stowrs send --max-wait 0s "$@" dcm-samples 2>&1 | tail -1; }
# refused WORDS FLAG…: stowrs send fails, and says why
refused() {
  local words=$1 output
  shift
  output=$(bin/stowrs send --max-wait 0s "$@" dcm-samples/slice-1.dcm 2>&1) && fail "stowrs send $* is accepted: $output"
  case $output in *"$words"*) echo "refused: $words" ;; *) fail "stowrs send $* says: $output" ;; esac
}
eventually() { for _ in $(seq 100); do "$@" && return; sleep 0.2; done; fail "not within 20 s: $*"; }
health_has() { curl -s "http://$nginx_admin/health" | grep -q "$1"; }

hardened() {
  local id
  for id in $(compose ps -q); do
    docker inspect -f '{{.Name}} read_only={{.HostConfig.ReadonlyRootfs}} restart={{.HostConfig.RestartPolicy.Name}} memory={{.HostConfig.Memory}} cap_drop={{.HostConfig.CapDrop}} log={{.HostConfig.LogConfig.Config}}' "$id"
  done >"$scratch/hardened"
  if grep -v 'read_only=true restart=unless-stopped memory=[1-9].* cap_drop=\[ALL\] log=map\[max-file:10 max-size:10m\]' "$scratch/hardened"; then
    fail "a container is not hardened"
  fi
}

step "profiles plain and local-s3"
environment plain,local-s3
compose config --quiet
up
send --url "http://$http"
stored
hardened
[ "$(compose ps --format '{{.Service}}' | sort | xargs)" = "plain s3" ] || fail "other services run: $(compose ps)"
down

step "credentials in a mounted ~/.aws, of its owner"
mkdir -p "$scratch/aws"
printf '[hospital]\naws_access_key_id = trial\naws_secret_access_key = trial-secret-key\n' >"$scratch/aws/credentials"
chmod 700 "$scratch/aws" && chmod 600 "$scratch/aws/credentials" && chown -R 1234:1234 "$scratch/aws" && chmod 755 "$scratch"
environment plain,local-s3 AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= AWS_FOLDER="$scratch/aws" AWS_PROFILE=hospital RUN_UID=1234 RUN_GID=1234
printf 'services: {s3: {environment: {ROOT_ACCESS_KEY_ID: trial, ROOT_SECRET_ACCESS_KEY: trial-secret-key}}}\n' >"$scratch/keys.yaml"
COMPOSE_FILE=compose.yaml:$scratch/keys.yaml up
send --url "http://$http"
stored
down

step "profiles tls and local-s3, anonymous"
mkdir -p "$scratch/certs"
(
  cd "$scratch" # the commands of the README
  openssl req -x509 -nodes -newkey rsa:2048 -days 365 -subj "/CN=Test CA" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.crt
  openssl req -x509 -nodes -newkey rsa:2048 -days 365 -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" \
    -addext "basicConstraints=critical,CA:FALSE" -CA ca.crt -CAkey ca.key -keyout server.key -out server.crt
  openssl req -x509 -nodes -newkey rsa:2048 -days 365 -subj "/CN=modality-1" -addext "basicConstraints=critical,CA:FALSE" \
    -CA ca.crt -CAkey ca.key -keyout client.key -out client.crt
) 2>/dev/null
put() { cp "$scratch/$1" "$scratch/certs/.new" && chown 65532:65532 "$scratch/certs/.new" && mv "$scratch/certs/.new" "$scratch/certs/$2"; }
ca=(--url "https://$https" --cacert "$scratch/ca.crt")
client=("${ca[@]}" --cert "$scratch/client.crt" --key "$scratch/client.key")
environment tls,local-s3 AUTH_MODE=anonymous
up
health_has '"degraded":true' || fail "without certificates it is not degraded"
refused 'certificate' "${ca[@]}" # a self-signed one
put server.crt certificate.crt
cp "$scratch/server.key" "$scratch/certs/certificate.key" && chmod 600 "$scratch/certs/certificate.key" # of root
eventually health_has 'permission denied","remedy":"let user 65532'
put server.key certificate.key
eventually health_has '"degraded":false'
send "${ca[@]}"
stored
hardened
step "the service itself is not reachable beside nginx"
send --url "http://$http" >/dev/null && fail "HTTP is published" || true
[ -z "$(compose ps --format '{{.Ports}}' | grep -E '(^|[ ,:>])8080' || true)" ] || fail "8080 is published: $(compose ps)"
closed 127.0.0.1 18080 || fail "18080 is open"
network=$(docker network ls -q --filter "name=${COMPOSE_PROJECT_NAME}_default")
probe() { docker run --rm --network "$network" --entrypoint bash stowrs-nginx -c "exec 3<>/dev/tcp/stowrs/$1" 2>/dev/null; }
probe 8443 || fail "another container does not reach nginx: the test of 8080 proves nothing"
probe 8080 && fail "another container reaches the service" || true
echo "8080 is not published, and closed from the network of compose"
down

step "profiles tls and local-s3, client certificates"
rm -f "$scratch"/certs/*
environment tls,local-s3 AUTH_MODE=clientauth
up
refused 503 --insecure --url "https://$https" --cert "$scratch/client.crt" --key "$scratch/client.key"
put server.crt certificate.crt
put server.key certificate.key
put ca.crt truststore.crt
eventually health_has '"refusing":false'
eventually health_has '"degraded":false'
send "${client[@]}"
stored
refused 'no client certificate was sent' "${ca[@]}"
(
  cd "$scratch" # of another CA of the same name: a client shows no certificate of a CA that nginx does not name
  openssl req -x509 -nodes -newkey rsa:2048 -subj "/CN=Test CA" -keyout other.key -out other.crt
  openssl req -x509 -nodes -newkey rsa:2048 -subj "/CN=modality-1" -addext "basicConstraints=critical,CA:FALSE" \
    -CA other.crt -CAkey other.key -keyout stranger.key -out stranger.crt
) 2>/dev/null
refused 'the client certificate was not verified' "${ca[@]}" --cert "$scratch/stranger.crt" --key "$scratch/stranger.key"
grep -q '"client_dn":"CN=modality-1"' <(compose logs --no-log-prefix app) || fail "the audit record does not name the client"

step "a new certificate is served without a restart"
started() { docker inspect -f '{{.State.StartedAt}}' "$(compose ps -q nginx)"; }
before=$(started)
(cd "$scratch" && openssl req -x509 -nodes -newkey rsa:2048 -days 365 -subj "/CN=renewed" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" \
  -addext "basicConstraints=critical,CA:FALSE" -CA ca.crt -CAkey ca.key -keyout renewed.key -out renewed.crt) 2>/dev/null
put renewed.crt certificate.crt
put renewed.key certificate.key
serves() { openssl s_client -connect "$https" </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q "$1"; }
eventually serves renewed
send "${client[@]}"
[ "$(started)" = "$before" ] || fail "nginx was restarted"

step "each container can be restarted"
for service in app nginx; do
  compose restart --timeout 130 $service >/dev/null 2>&1
  live() { [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$nginx_admin/health")" = 200 ]; }
  eventually live
  send "${client[@]}"
done

step "monitoring"
environment tls,local-s3,monitoring AUTH_MODE=clientauth
compose config --quiet
command -v promtool >/dev/null || apt_install prometheus
promtool check config monitoring/prometheus/prometheus.yml >/dev/null
sed "s/stowrs:9090/$admin/; s/nginx:8081/$nginx_admin/; s/15s/1s/" monitoring/prometheus/prometheus.yml >"$scratch/prometheus.yml"
cp monitoring/prometheus/alerts.yml "$scratch"
prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/tsdb" --web.listen-address=127.0.0.1:19091 >"$scratch/prometheus.log" 2>&1 &
prometheus=$!
query() { curl -s --get --data-urlencode "query=$1" http://127.0.0.1:19091/api/v1/query; }
both_up() { [ "$(query 'sum(up)' | python3 -c 'import json,sys; print([r["value"][1] for r in json.load(sys.stdin)["data"]["result"]])' 2>/dev/null)" = "['2']" ]; }
eventually both_up
sleep 3
python3 - >"$scratch/expressions" <<'PYTHON'
import json
for panel in json.load(open("monitoring/grafana/dashboards/stowrs.json"))["panels"]:
    for target in panel["targets"]:
        print(target["expr"].replace("[5m]", "[1m]"))
PYTHON
while read -r expression; do
  query "$expression" | grep -q '"status":"success"' || fail "Prometheus does not take $expression"
done <"$scratch/expressions"
curl -s http://127.0.0.1:19091/api/v1/rules | grep -q CertificateProblem || fail "the alerts are not loaded"
kill $prometheus && wait $prometheus || true
echo "Debian's Prometheus scrapes both, takes the alerts and all $(wc -l <"$scratch/expressions") expressions of the dashboard"
echo "not run: the images of Prometheus and Grafana, which need a registry"

step "the end"
environment tls,local-s3 AUTH_MODE=clientauth
ids=$(compose ps -q app nginx)
compose stop --timeout 130 >/dev/null 2>&1
for id in $ids; do
  [ "$(docker inspect -f '{{.State.ExitCode}}' "$id")" = 0 ] || fail "$(docker inspect -f '{{.Name}} exits {{.State.ExitCode}}' "$id"), want 0"
done
down
echo "compose: all good"
