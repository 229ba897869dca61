"""`cdk diff` by the real CLI, from both folders, against a stack that is there."""

import json
import os
import shutil
import subprocess

import pytest
from stack import TEMPLATES, load, modelled

INFRA = TEMPLATES.parent.parent
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What synthesis reads, edited as the README says."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copy(INFRA.parent / "cdk.json", root)
    shutil.copytree(
        INFRA, root / "infra", symlinks=True, ignore=shutil.ignore_patterns("*_test.go", "testdata", "rehearsal", "node_modules", "cdk.out", ".venv")
    )
    config = root / "infra" / "config.go"
    text = config.read_text()
    assert text.count('CertificateArn: ""') == 1
    config.write_text(text.replace('CertificateArn: ""', f'CertificateArn: "{ARN}"'))
    (root / "go.work").write_text("go 1.26.0\n\nuse ./infra\n")
    for image in ["app", "nginx"]:
        (root / image).mkdir()
        (root / image / "Dockerfile").write_text("FROM scratch\n")
    return root


@pytest.mark.parametrize("folder", [".", "infra"])
def test_cdk_diff(aws, checkout, folder):
    template = json.dumps(modelled(load("froms3-anonymous")))
    aws.client("cloudformation").create_stack(StackName="stowrs-to-s3", TemplateBody=template)
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_REGION": "us-east-1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }
    command = [str(INFRA / "node_modules/.bin/cdk"), "diff", "--no-change-set", "--no-notices", "--no-color", "--no-path-metadata"]
    run = subprocess.run(command, cwd=checkout / folder, env=environment, capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    # From FromS3 to ACM: the bucket of certificates leaves the stack and stays, the target group is replaced, and the
    # archive is not touched.
    changes = [line.split() for line in output.splitlines() if line.startswith("[")]
    assert ["[-]", "AWS::S3::Bucket", "CertificateBucket5BE1E6F4", "orphan"] in changes
    assert ["[~]", "AWS::ElasticLoadBalancingV2::TargetGroup", "Targets", "Targets7ED976EF", "replace"] in changes
    assert not [change for change in changes if change[1:3] == ["AWS::S3::Bucket", "DicomBucket"]]
    assert sum(change[-1] == "replace" for change in changes) == 2, changes  # and the task definition, as always
