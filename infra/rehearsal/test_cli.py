"""The real cdk CLI deploys, compares, goes to another topology and destroys, in both folders.

Docker is a script that takes every command: the images are proved elsewhere.
"""

import os
import shutil
import subprocess

import pytest
from conftest import REGION, TEMPLATES

INFRA = TEMPLATES.parent.parent
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"


class Checkout:
    """What deployment reads, in a folder of its own."""

    def __init__(self, root, aws):
        self.root, self.aws = root, aws
        shutil.copy(INFRA.parent / "cdk.json", root)
        ignored = shutil.ignore_patterns("*_test.go", "testdata", "rehearsal", "node_modules", "cdk.out", ".venv")
        shutil.copytree(INFRA, root / "infra", symlinks=True, ignore=ignored)
        (root / "go.work").write_text("go 1.26.0\n\nuse ./infra\n")
        for image in ["app", "nginx"]:
            (root / image).mkdir()
            (root / image / "Dockerfile").write_text(f"FROM scratch\nLABEL of={image}\n")
        self.docker = root / "docker"
        self.docker.write_text(f'#!/bin/sh\necho "$@" >> {root}/docker.log\n[ "$1" != inspect ]\n')
        self.docker.chmod(0o755)

    def edit(self, *pairs):
        config = self.root / "infra" / "config.go"
        text = config.read_text()
        for before, after in pairs:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        config.write_text(text)

    def cdk(self, folder, *arguments):
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DOCKER": str(self.docker),
        }
        command = [str(INFRA / "node_modules/.bin/cdk"), *arguments, "--no-notices", "--no-color"]
        run = subprocess.run(command, cwd=self.root / folder, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr + self.aws.log.read_text()[-5000:]
        return run.stdout + run.stderr


@pytest.fixture
def checkout(tmp_path, aws):
    return Checkout(tmp_path, aws)


def changes(output):
    return [line.split() for line in output.splitlines() if line.startswith("[")]


def test_cdk(checkout, stack):
    # With a certificate of ACM, at the root of the repository.
    checkout.edit(('CertificateArn: ""', f'CertificateArn: "{ARN}"'), ('"0.0.0.0/0",', '"198.51.100.0/24",'))
    output = checkout.cdk(".", "deploy", "--require-approval", "never")
    assert "TestCommand = go run ./app send --url https://" in output
    built = (checkout.root / "docker.log").read_text()
    assert built.count("--tag") == built.count("--build-arg VERSION=1") == built.count("push ") == built.count("--platform linux/amd64") == 2, built
    assert "There were no differences" in checkout.cdk("infra", "diff", "--no-change-set")
    dicom = stack.outputs()["DicomBucketName"]

    # To one from S3 with client authentication, in infra.
    checkout.edit(("AuthMode: Anonymous,", "AuthMode: ClientAuth,"), ("CertificateMode: ACM,", "CertificateMode: FromS3,"))
    found = changes(checkout.cdk("infra", "diff", "--no-change-set"))
    assert ["[+]", "AWS::S3::Bucket", "Storage/CertificateBucket", "StorageCertificateBucket6DE8A294"] in found
    assert ["[~]", "AWS::ElasticLoadBalancingV2::TargetGroup", "Front/Targets", "FrontTargets8CBA305D", "replace"] in found
    assert sum(change[-1] == "replace" for change in found) == 2, found  # and the task definition, as always
    assert not [change for change in found if change[1:3] == ["AWS::S3::Bucket", "Storage/DicomBucket"]]
    # moto finds neither the change set of the first deployment any more, nor the default of a parameter.
    output = checkout.cdk("infra", "deploy", "--require-approval", "never", "--method", "direct", "--no-previous-parameters")
    assert "CertificateCommand = aws s3 cp . s3://stowrstos3-certs-" in output
    assert "There were no differences" in checkout.cdk(".", "diff", "--no-change-set")
    assert stack.outputs()["DicomBucketName"] == dicom

    checkout.cdk(".", "destroy", "--force")
    assert not stack.exists()
    assert dicom in stack.buckets()
