"""sandbox.sh: its dry run without an account, and its way through the emulator.

On the emulator the cdk CLI deploys, the AWS CLI puts, looks and deletes as it would in an account. Two things are
scripts: Docker, and the sender, since nothing listens there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REGION, TEMPLATES

INFRA = TEMPLATES.parent.parent
SCRIPT = INFRA / "sandbox.sh"
# What the service would do: it puts three objects, or refuses who shows no certificate, or everybody while the certificate bucket is empty.
SENDER = """#!/bin/sh
dicom=$(aws s3api list-buckets --query "Buckets[?contains(Name, '-dicom-')].Name | [0]" --output text)
certs=$(aws s3api list-buckets --query "Buckets[?contains(Name, '-certs-')].Name | [0]" --output text)
aws s3api head-object --bucket "$certs" --key certificate.key >/dev/null 2>&1 || { echo "HTTP 503"; exit 1; }
case $dicom in *mtls*) case $* in *--cert*--key*) ;; *) echo "no client certificate was sent"; exit 1 ;; esac ;; esac
for key in 1 2 3; do aws s3api put-object --bucket "$dicom" --key "study/series/$key" >/dev/null || exit 1; done
echo "3 instances stored"
"""


@pytest.fixture
def sandbox(tmp_path, aws):
    """Runs the script. What it starts finds the emulator, a sender and a Docker of ours first."""
    zone = aws.client("route53").create_hosted_zone(Name="example.org", CallerReference="sandbox")["HostedZone"]["Id"]
    programs = tmp_path / "programs"
    programs.mkdir()

    def program(name, text):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    program("sender", SENDER)
    program("go", f'#!/bin/sh\n[ "$1" != build ] || exec cp {programs}/sender "$3"\nexec {shutil.which("go")} "$@"\n')
    program("docker", '#!/bin/sh\n[ "$1" != inspect ]\n')
    program("curl", "#!/bin/sh\necho 198.51.100.7\n")
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_REGION": REGION,
        "CDK_DOCKER": str(programs / "docker"),
    }

    def run(*arguments, answer="", **more):
        command = ["bash", str(SCRIPT), "--domain", "stow.example.org", "--zone", zone.removeprefix("/hostedzone/"), *arguments]
        done = subprocess.run(command, env={**environment, **more}, input=answer, capture_output=True, text=True, check=False, timeout=900)
        assert not list(tmp_path.glob("tmp.*")), "the copy of the repository is left"
        return done.returncode, done.stdout + done.stderr

    run.program = program
    return run


def test_shell():
    subprocess.run([Path(sys.executable).parent / "shellcheck", SCRIPT], check=True)


def test_dry_run(sandbox):
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    status, output = sandbox("--dry-run", **nobody)
    assert status == 0, output
    synthesised = re.findall(r"cdk synth: (\d+) resources in the template of stowrs-try-(\w+)", output)
    assert [name for _, name in synthesised] == ["acm", "mtls", "internal", "internal", "existing"]  # internal with both schemes
    assert all(int(count) > 50 for count, _ in synthesised)
    for wanted in [
        "stowrs-try-mtls: ClientAuth FromS3 InternetFacing, Protection false",
        "Protection true, ImageRevision 2",
        "+ stowrs send --url https://stow.example.org/studies",
        "+ openssl req -x509",
        "+ aws cloudformation delete-stack --stack-name stowrs-try-existing",
        "+ aws ce get-cost-and-usage",
    ]:
        assert wanted in output


@pytest.mark.parametrize("topology, puts", [("mtls", 2), ("existing", 1)])  # put, and renewed
def test_through_topologies_with_certificates(sandbox, aws, stack, topology, puts):
    status, output = sandbox("--yes", "--topology", topology)
    assert status == 0, output + aws.log.read_text()[-3000:]
    assert output.count(f"certificate.key to s3://stowrs-try-{topology}-certs-") == puts
    if topology == "mtls":
        assert "refused: 503" in output and "refused: no client certificate" in output
        assert re.search(r"tagged .*: arn:aws:ec2:.*flow-log", output)  # moto leaves it
    assert re.search(rf"stowrs-try-{topology} stood for \d+ min: about 0\.\d\d USD", output)
    assert stack.buckets() == set()
    assert "  stack: none" in output and "  bucket: none" in output and "  log group: none" in output and "  load balancer: none" in output


def test_nothing_without_an_answer(sandbox, stack):
    status, output = sandbox("--topology", "mtls", answer="no\n")
    assert status == 1 and "nothing was done" in output
    assert stack.buckets() == set() and not stack.cloudformation.list_stacks()["StackSummaries"]


def test_leaves_alone_what_others_made(sandbox, aws, stack):
    template = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    stack.cloudformation.create_stack(StackName="stowrs-try-mtls", TemplateBody=template)
    aws.client("s3").create_bucket(Bucket="stowrs-try-of-others")
    status, output = sandbox("--yes", "--topology", "mtls")
    assert status == 1 and "without the tag sandbox: not of this script" in output
    assert stack.cloudformation.describe_stacks(StackName="stowrs-try-mtls")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    # They are reported, and with them the report fails.
    status, output = sandbox("--report")
    assert status == 1 and "  bucket: stowrs-try-of-others" in output and re.search(r"  stack: stowrs-try-mtls\s+CREATE_COMPLETE", output)
    assert stack.buckets() == {"stowrs-try-of-others"}


def test_takes_away_what_failed(sandbox, stack):
    sandbox.program("sender", "#!/bin/sh\nkill $(cat $TMPDIR/tmp.*/pid)\n")  # as somebody who interrupts it
    status, output = sandbox("--yes", "--topology", "mtls")
    assert status == 130, output
    assert "taking away stowrs-try-mtls" in output and "stowrs-try-mtls is gone" in output
    assert stack.buckets() == set()
