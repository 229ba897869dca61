#!/usr/bin/env bash
# Tries the deployment in a sandbox account of AWS, and takes it away again.
#
#   infra/sandbox.sh --domain stow.example.org --zone Z0123456789ABCDEFGHIJ [--topology acm,mtls]
#   infra/sandbox.sh --dry-run --domain … --zone …   print every command, and run cdk synth, without an account
#   infra/sandbox.sh --report  --domain … --zone …   only what is left, and what it has cost
#
# --topology  of acm, mtls, internal, existing; default all four, one after the other
# --peer      who may connect, a CIDR; default the public address of this machine
# --yes       do not ask before it starts
# --keep      leave a topology that has failed, to look at it; the next run goes on with it
#
# It needs credentials of the account and AWS_REGION, a public hosted zone that the internet sees, in which the
# domain has no record yet, and what docs/aws.md names: Go, Node.js, Docker, the AWS CLI; curl and openssl.
# config.go is left alone: the deployments are described in sandbox.go of a temporary copy of this repository.
# Stacks have names that begin with stowrs-try- and the tag sandbox; nothing without both is changed or deleted.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
names=stowrs-try- tag=infra-sandbox
domain='' zone='' topologies=acm,mtls,internal,existing peer='' yes='' dry='' keep='' only_report=''
usage() { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --domain | --zone | --topology | --peer)
      [ $# -ge 2 ] || usage
      case $1 in --domain) domain=$2 ;; --zone) zone=$2 ;; --topology) topologies=$2 ;; --peer) peer=$2 ;; esac
      shift ;;
    --yes) yes=1 ;; --dry-run) dry=1 ;; --keep) keep=1 ;; --report) only_report=1 ;;
    *) usage ;;
  esac
  shift
done
[ -n "$domain" ] && [ -n "$zone" ] || usage
for topology in ${topologies//,/ }; do
  case $topology in acm | mtls | internal | existing) ;; *) echo "there is no topology $topology" >&2; usage ;; esac
done
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
[ -n "$region" ] || { [ -n "$dry" ] && region=us-east-1; } || { echo "set AWS_REGION" >&2; exit 2; }
export AWS_REGION=$region AWS_DEFAULT_REGION=$region CDK_DEFAULT_REGION=$region AWS_PAGER='' GOWORK=off CDK_DISABLE_CLI_TELEMETRY=true JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1
[ -z "$dry" ] || export AWS_EC2_METADATA_DISABLED=true

work=$(mktemp -d)
echo $$ >"$work/pid"
exec 3>&1 4>&2
app='' stood='' failed='' synthesised=''
step() { printf '\n%s == %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
show() {
  local word
  printf '+'
  for word; do case $word in '' | *[!a-zA-Z0-9_./:=,@%+-]*) printf ' %s' "${word@Q}" ;; *) printf ' %s' "$word" ;; esac; done
  echo
}
run() { show "$@"; [ -n "$dry" ] || "$@"; }
# ask DEFAULT COMMAND…: what the command answers; in a dry run the command is shown, and the answer is the default
ask() {
  local default=$1
  shift
  show "$@" >&2
  if [ -n "$dry" ]; then echo "$default"; else "$@"; fi
}
if [ -n "$dry" ]; then
  aws() { show aws "$@" >&2; }
fi
# within SECONDS COMMAND…: tries until it succeeds
within() {
  local until=$((SECONDS + $1))
  echo "until it succeeds, for $1 s at most: $2"
  shift
  if [ -n "$dry" ]; then "$@" || true; return 0; fi
  until "$@" >"$work/try" 2>&1; do
    [ $SECONDS -lt $until ] || { tail -5 "$work/try" >&2; fail "not in time: $*"; }
    sleep 5
  done
  tail -1 "$work/try"
}

# --- the deployment: its configuration, cdk, and what CloudFormation knows of it ---

# prepare TOPOLOGY: as it is deployed first
prepare() {
  app=$names$1 protection=false revision=1 scheme=InternetFacing network=''
  case $1 in
    acm) auth=Anonymous mode=ACM ;;
    mtls) auth=ClientAuth mode=FromS3 ;;
    internal) auth=Anonymous mode=ACM scheme=Internal ;;
    existing) auth=Anonymous mode=FromS3 ;;
  esac
}
configure() {
  cat >"$work/copy/infra/sandbox.go" <<GO
package main

import . "stowrs-to-s3/infra/config"

func sandbox() map[string]Config {
	c := configuration()
	c.AppName, c.Region, c.Account, c.Protection = "$app", "$region", "", $protection // the account is that of the credentials
	c.ResourceTags = map[string]string{"sandbox": "$tag"}
	c.Certificate = CertificateConfig{AuthMode: $auth, CertificateMode: $mode, CertificateBucket: "$app-certs"}
	c.LoadBalancer = LoadBalancerConfig{
		AllowedPeers: []string{"$peer"}, Scheme: $scheme, TLSPolicy: c.LoadBalancer.TLSPolicy, DrainSeconds: 60,
		DomainName: "$domain", HostedZone: HostedZone{ID: "$zone", Name: "$zone_name"},
	}
	c.Network = NetworkConfig{VpcCIDR: "10.0.0.0/16", AvailabilityZones: []string{"${zones%% *}", "${zones##* }"}, Egress: Endpoints}
	c.Storage = StorageConfig{DicomBucket: "$app-dicom", Encryption: KMS, Retention: Destroy, CloudTrailDataEvents: true} // never an archive that is there
	c.Service.ImageRevision = "$revision"
	c.Observability.LogRetentionDays = 1
	$network
	return map[string]Config{"sandbox": c}
}
GO
}
cdk() { (cd "$work/copy/infra" && "$root/infra/node_modules/.bin/cdk" "$@" --no-notices --no-color --ci); }
deploy() {
  configure
  echo "+ cdk deploy --require-approval never    # $app: $auth $mode $scheme, Protection $protection, ImageRevision $revision"
  if [ -n "$dry" ]; then
    [ "$synthesised" != "$app $scheme" ] || return 0
    synthesised="$app $scheme"
    cdk synth --quiet 2>"$work/try" || { cat "$work/try" >&2; fail "cdk synth of $app"; }
    echo "cdk synth: $(grep -c '^   "Type": "AWS::' "$work/copy/infra/cdk.out/$app.template.json") resources in the template of $app"
  else
    cdk deploy --require-approval never || { failures; fail "cdk deploy of $app"; }
  fi
}
failures() {
  aws cloudformation describe-stack-events --stack-name "$app" --output text \
    --query "StackEvents[?ends_with(ResourceStatus, '_FAILED')].[LogicalResourceId, ResourceStatusReason]" || true
}
stack() { aws cloudformation describe-stacks --stack-name "$app" --output text --query "Stacks[0].$1" 2>/dev/null; }
output() { if [ -n "$dry" ]; then echo "<$1>"; else stack "Outputs[?OutputKey=='$1'].OutputValue | [0]"; fi; }
resources() { if [ -n "$dry" ]; then echo "<$1>"; return; fi; aws cloudformation list-stack-resources --stack-name "$app" --output text --query "StackResourceSummaries[?ResourceType=='$1' && ResourceStatus!='DELETE_COMPLETE'].PhysicalResourceId"; }
# ours: the stack is there, and of this script
ours() {
  [ -z "$dry" ] || return 0
  local status
  status=$(stack StackStatus) || return 1
  [ "$(stack "Tags[?Key=='sandbox'].Value | [0]")" = "$tag" ] || fail "the stack $app ($status) is there without the tag sandbox: not of this script"
}
healthy() {
  local group states
  for group in $(resources AWS::ElasticLoadBalancingV2::TargetGroup); do
    states=$(aws elbv2 describe-target-health --target-group-arn "$group" --output text --query 'TargetHealthDescriptions[].TargetHealth.State')
    case " $states " in *healthy*) ;; *) return 1 ;; esac
    case " $states " in *unhealthy*) return 1 ;; esac
  done
}

# bucket_is_ours BUCKET: by its name, which CloudFormation may have cut behind the first letters, and its tags
bucket_is_ours() {
  [ -z "$dry" ] || return 0
  case $1 in "$names"*) ;; *) return 1 ;; esac
  aws s3api get-bucket-tagging --bucket "$1" --output text --query "TagSet[?Key=='sandbox'].Value" 2>/dev/null | grep -qx "$tag"
}
# shellcheck disable=SC2016 # the backquotes are of the query
empty() {
  bucket_is_ours "$1" || { echo "$1 is left alone: it has no tag of this script"; return 0; }
  aws s3api delete-bucket-policy --bucket "$1"
  while aws s3api list-object-versions --bucket "$1" --max-items 500 --output json \
    --query '{Quiet: `true`, Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}' >"$work/versions" && grep -q '"Key"' "$work/versions"; do
    aws s3api delete-objects --bucket "$1" --delete "file://$work/versions" >/dev/null
  done
}
remove() {
  ours || return 0
  local all bucket balancer
  all=$(resources AWS::S3::Bucket)
  aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name "$app" >/dev/null
  for balancer in $(resources AWS::ElasticLoadBalancingV2::LoadBalancer); do
    aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$balancer" --attributes Key=deletion_protection.enabled,Value=false >/dev/null
  done
  for bucket in $all; do empty "$bucket"; done
  aws cloudformation delete-stack --stack-name "$app"
  aws cloudformation wait stack-delete-complete --stack-name "$app" || { failures; fail "$app is not deleted"; }
  for bucket in $all; do # those of access logs and of the trail stay with every stack
    if bucket_is_ours "$bucket"; then empty "$bucket" && aws s3api delete-bucket --bucket "$bucket" || echo "$bucket stays: run again later"; fi
  done
  [ -n "$dry" ] || echo "$app is gone"
}

# --- what is expected of it ---

send() {
  show stowrs send --url "https://$domain/studies" "$@" dcm-samples
  [ -n "$dry" ] || "$work/stowrs" send --url "https://$domain/studies" "$@" "$root/dcm-samples"
}
# refused WORDS FLAG…: nothing is stored, and the answer says why
refused() {
  local words=$1
  shift
  if [ -n "$dry" ]; then send --attempts 1 "$@"; return; fi
  ! send --attempts 1 "$@" >"$work/refused" 2>&1 && grep -q "$words" "$work/refused" && echo "refused: $words"
}
three_objects() { [ "$(aws s3 ls --recursive "s3://$(output DicomBucketName)" | wc -l)" -eq 3 ]; }
scheme_is() { [ "$(aws elbv2 describe-load-balancers --load-balancer-arns "$(resources AWS::ElasticLoadBalancingV2::LoadBalancer)" --output text --query 'LoadBalancers[0].Scheme')" = "$1" ]; }
new_version() { # the records of nginx say that one has started with revision 2
  aws logs filter-log-events --log-group-name "$(output NginxLogGroup)" \
    --filter-pattern '{ $.msg = "serving" && $.version = "2" }' --output text --query 'events[].[eventId]' | grep -q .
}
certificates() {
  step "certificates of docs/aws.md, put by CertificateCommand"
  mkdir -p "$work/certs"
  local command
  command=$(output CertificateCommand)
  (
    cd "$work/certs"
    run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$domain" -addext "subjectAltName=DNS:$domain" -keyout certificate.key -out certificate.crt 2>/dev/null
    run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=modality-1 -keyout client.key -out client.crt 2>/dev/null
    run cp client.crt truststore.crt
    run bash -c "$command"
  )
}
client=(--cacert "$work/certs/certificate.crt" --cert "$work/certs/client.crt" --key "$work/certs/client.key")

try_acm() {
  within 1800 send && within 60 three_objects
  step "Protection: the stack cannot be deleted"
  protection=true
  deploy
  ! run aws cloudformation delete-stack --stack-name "$app" || [ -n "$dry" ] || fail "the stack can be deleted in spite of Protection"
  step "another ImageRevision is rolled out while instances are sent"
  revision=2
  touch "$work/rolling"
  send # and again and again
  [ -n "$dry" ] || (while [ -e "$work/rolling" ]; do send >"$work/rolling.send" 2>&1 || cat "$work/rolling.send" >>"$work/rolling.failed"; sleep 1; done) &
  local sender=$!
  deploy
  within 600 new_version
  rm -f "$work/rolling"
  wait $sender
  [ ! -e "$work/rolling.failed" ] || { cat "$work/rolling.failed"; fail "instances failed while tasks were replaced"; }
  step "Protection is taken away"
  protection=false
  deploy
}
try_mtls() {
  step "without certificates everybody is refused"
  within 1800 refused 503 --insecure
  certificates
  within 300 send "${client[@]}" && within 60 three_objects
  within 60 refused 'no client certificate' --cacert "$work/certs/certificate.crt"
  certificates # renewed, under the same names, without a restart
  within 300 send "${client[@]}"
}
try_internal() {
  within 900 healthy
  within 60 scheme_is internal
  step "Scheme becomes InternetFacing, which is another load balancer"
  scheme=InternetFacing
  deploy
  within 60 scheme_is internet-facing
  within 1800 send && within 60 three_objects
}
try_existing() {
  certificates
  within 1800 send --cacert "$work/certs/certificate.crt" && within 60 three_objects
}

# A VPC for the topology existing: a stack of its own.
vpc() {
  local app=${names}vpc id=0123456789abcdef
  if [ -z "$dry" ] && stack StackStatus >/dev/null; then ours; fi
  run aws cloudformation deploy --stack-name "$app" --template-file "$root/infra/sandbox-vpc.yaml" --tags "sandbox=$tag" \
    --parameter-overrides "Zone0=${zones%% *}" "Zone1=${zones##* }" --no-fail-on-empty-changeset
  out() { if [ -n "$dry" ]; then echo "$2"; else output "$1"; fi; }
  network="c.Network.VpcCIDR = \"\"
	c.Network.ExistingVpc = ExistingVpc{VpcID: \"$(out Vpc vpc-${id}0)\", TaskSubnets: []string{\"$(out Tasks0 subnet-${id}0)\", \"$(out Tasks1 subnet-${id}1)\"}}
	c.Network.ExistingVpc.TaskRouteTables = []string{\"$(out TaskTable rtb-${id}0)\", \"$(out TaskTable rtb-${id}0)\"}
	c.Network.ExistingVpc.LoadBalancerSubnets = []string{\"$(out Public0 subnet-${id}2)\", \"$(out Public1 subnet-${id}3)\"}"
}

# --- what is left, and what it has cost ---

# left WHAT COMMAND…: shows what the command finds
left() {
  local what=$1 found
  shift
  show "$@"
  [ -z "$dry" ] || return 0
  found=$("$@" --output text) || { echo "  $what: cannot be looked up"; failed=1; return 0; }
  if [ -z "$found" ] || [ "$found" = None ]; then echo "  $what: none"; return 0; fi
  printf '%s\n' "$found" | sed "s/^/  $what: /"
  case $what in stack | bucket | 'log group' | 'load balancer') failed=1 ;; esac
}
report() {
  step "what is left in $region"
  failed=''
  left stack aws cloudformation list-stacks --query "StackSummaries[?starts_with(StackName, '$names') && StackStatus!='DELETE_COMPLETE'].[StackName, StackStatus]"
  left bucket aws s3api list-buckets --query "Buckets[?starts_with(Name, '$names')].[Name]"
  left 'log group' aws logs describe-log-groups --log-group-name-prefix "$names" --query 'logGroups[].[logGroupName]'
  left 'load balancer' aws elbv2 describe-load-balancers --query "LoadBalancers[?starts_with(LoadBalancerName, '$names')].[LoadBalancerName]"
  left 'tagged (for a while also what is gone; keys are until their 30 days are over)' aws resourcegroupstaggingapi get-resources --tag-filters "Key=sandbox,Values=$tag" --query 'ResourceTagMappingList[].[ResourceARN]'
  left 'record (that of the validation of certificates stays, and can be deleted)' aws route53 list-resource-record-sets --hosted-zone-id "$zone" --query "ResourceRecordSets[?ends_with(Name, '$domain.')].[Name, Type]"
  echo "  images and templates of the deployments stay in the repository and bucket of cdk bootstrap: npx cdk gc"
  step "what it has cost"
  [ -z "$stood" ] || printf '%s' "$stood" | awk '{printf "  %s stood for %d min: about %.2f USD, at 0.24 an hour (docs/operations.md, Costs)\n", $1, $2 / 60, $2 / 3600 * 0.24}'
  # Of the whole account, a day late; the question costs 0.01 USD. By the tag it would need a cost allocation tag.
  aws ce get-cost-and-usage --granularity DAILY --metrics UnblendedCost --group-by Type=DIMENSION,Key=SERVICE --output text \
    --time-period "Start=$(date -u -d '7 days ago' +%F),End=$(date -u -d tomorrow +%F)" \
    --query "ResultsByTime[].Groups[?Metrics.UnblendedCost.Amount!='0'][].[Keys[0], Metrics.UnblendedCost.Amount]" | sed 's/^/  /' ||
    echo "  Cost Explorer is not to be asked with these credentials"
}

finish() {
  local status=$?
  trap - EXIT
  exec >&3 2>&4    # it may have been interrupted while the output went to a file
  trap '' INT TERM # what is taken away is taken away whole
  rm -f "$work/rolling"
  [ -z "$dry" ] || app=''
  if [ $status -ne 0 ] && [ -n "$app" ] && [ -z "$keep" ]; then
    step "taking away $app, which has failed"
    for app in "$app" ${names}vpc; do (remove) || echo "$app is not gone"; done
  fi
  [ $status -eq 0 ] || [ -z "$app" ] || report
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- the way through ---

account=$(ask 123456789012 aws sts get-caller-identity --query Account --output text)
if [ -n "$only_report" ]; then report; [ -z "$failed" ]; exit; fi
zone_name=$(ask "${domain#*.}." aws route53 get-hosted-zone --id "$zone" --query HostedZone.Name --output text)
zone_name=${zone_name%.}
# Two zones, without those in which Fargate or an endpoint is missing (regions.go).
zones=$(ask "${region}a ${region}b" aws ec2 describe-availability-zones --filters Name=opt-in-status,Values=opt-in-not-required --output text \
  --query "AvailabilityZones[?!contains(['use1-az3', 'usw1-az2', 'apne1-az3'], ZoneId)].ZoneName | [0:2] | join(' ', @)")
[ -n "$peer" ] || peer=$(ask 198.51.100.7 curl -fsS https://checkip.amazonaws.com)
case $peer in */*) ;; *) peer=$peer/32 ;; esac
echo "Account $account, $region: the topologies $topologies under https://$domain, for $peer alone."
echo "Each takes about 40 minutes and, while it stands, some 0.24 USD an hour. All of it is taken away again."
if [ -z "$yes$dry" ]; then
  read -r -p "Type the number of the account to go on: " answer
  [ "$answer" = "$account" ] || { echo "nothing was done"; exit 1; }
fi

step "tools, and a copy of the repository in $work/copy"
[ -x "$root/infra/node_modules/.bin/cdk" ] || (cd "$root/infra" && npm install --silent --no-audit --no-fund --no-package-lock)
mkdir "$work/copy"
tar -C "$root" --exclude=node_modules --exclude=.venv --exclude=cdk.out -c app nginx infra cdk.json | tar -C "$work/copy" -x
sed -i 's/^\treturn map\[string\]Config{"default": configuration()}$/\treturn sandbox()/' "$work/copy/infra/config.go"
grep -q '^	return sandbox()$' "$work/copy/infra/config.go" || fail "environments() in config.go is another one than this script knows"
[ -n "$dry" ] || "${CDK_DOCKER:-docker}" info >/dev/null || fail "Docker does not run"
[ -n "$dry" ] || (cd "$root/app" && go build -o "$work/stowrs" .)
if [ -z "$dry" ] && ! aws ssm get-parameter --name /cdk-bootstrap/hnb659fds/version >/dev/null 2>&1; then
  cdk bootstrap --app '' "aws://$account/$region" # it stays: CDKToolkit
fi
for topology in ${topologies//,/ }; do
  step "$topology: what is there"
  prepare "$topology"
  if [ -z "$dry" ] && ours; then # of a run before
    case $(stack StackStatus) in ROLLBACK_* | *_FAILED | REVIEW_IN_PROGRESS) remove ;; esac
  fi
  record=$(ask '' aws route53 list-resource-record-sets --hosted-zone-id "$zone" --output text --query "ResourceRecordSets[?Name=='$domain.'].Type")
  [ -z "$record" ] || ours || { app='' && fail "$domain has a record already"; }
  [ "$topology" != existing ] || vpc
  step "$topology: deploy"
  began=$SECONDS
  deploy
  step "$topology: prove it"
  "try_$topology"
  step "$topology: take it away"
  remove
  stood+="$app $((SECONDS - began))"$'\n'
  if [ "$topology" = existing ]; then app=${names}vpc && remove; fi
  app=''
done
report
[ -z "$failed" ] || fail "something is left that should not be"
step "all good"
