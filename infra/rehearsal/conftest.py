"""An emulator of AWS on this machine, without credentials for the real one."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

HERE = Path(__file__).parent
TEMPLATES = HERE.parent / "testdata" / "templates"
ACCOUNT, REGION = "123456789012", "us-east-1"
STACK = "stowrs-to-s3"


def load(name):
    return json.loads((TEMPLATES / f"{name}.json").read_text())


def with_what_is_there(aws, text):
    """The template, in which the ids of a VPC and a hosted zone that are there already are those of some that are made for it."""
    ec2 = aws.client("ec2")
    for vpc in set(re.findall(r"\bvpc-[0-9a-f]{17}\b", text)):
        made = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        text = text.replace(vpc, made)
        for number, subnet in enumerate(sorted(set(re.findall(r"\bsubnet-[0-9a-f]{17}\b", text)))):
            zone = f"{REGION}{'ab'[number % 2]}"
            text = text.replace(subnet, ec2.create_subnet(VpcId=made, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"])
        for table in set(re.findall(r"\brtb-[0-9a-f]{17}\b", text)):
            text = text.replace(table, ec2.create_route_table(VpcId=made)["RouteTable"]["RouteTableId"])
    for zone in set(re.findall(r"\bZ0[0-9A-Z]{19}\b", text)):
        made = aws.client("route53").create_hosted_zone(Name="example.org", CallerReference=zone)["HostedZone"]["Id"]
        text = text.replace(zone, made.removeprefix("/hostedzone/"))
    return text


class Emulator:
    def __init__(self, port, log):
        self.log = log
        self.url = f"http://localhost:{port}"  # under this name moto knows buckets by their paths

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal"
        )

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        # What `cdk bootstrap` leaves.
        self.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        self.client("s3").create_bucket(Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}")
        self.client("ecr").create_repository(repositoryName=f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("emulator") / "log"
    command = [sys.executable, "-W", "ignore", str(HERE / "emulator.py"), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            running = Emulator(port, log)
            for _ in range(150):
                assert server.poll() is None, log.read_text()
                try:
                    urllib.request.urlopen(f"{running.url}/moto-api/", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield running
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
def aws(emulator):
    emulator.reset()
    return emulator


class Stack:
    """The stack, as CloudFormation sees it."""

    def __init__(self, aws):
        self.aws, self.cloudformation = aws, aws.client("cloudformation")

    def create(self, name):
        template = with_what_is_there(self.aws, json.dumps(load(name)))
        self.cloudformation.create_stack(StackName=STACK, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
        assert self.status() == "CREATE_COMPLETE"
        self.complete(name)

    def update(self, name):
        self.cloudformation.update_stack(StackName=STACK, TemplateBody=json.dumps(load(name)), Capabilities=["CAPABILITY_IAM"])
        assert self.status() == "UPDATE_COMPLETE"
        self.complete(name)

    def delete(self):
        self.cloudformation.delete_stack(StackName=STACK)
        assert not self.exists()

    def exists(self):
        return any(
            s["StackName"] == STACK and s["StackStatus"] != "DELETE_COMPLETE" for s in self.cloudformation.list_stacks()["StackSummaries"]
        )

    def status(self):
        return self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]

    def outputs(self):
        found = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
        return {o["OutputKey"]: o["OutputValue"] for o in found}

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for page in pages for r in page["StackResourceSummaries"]}

    def complete(self, name):
        """Every resource of the template is there, and every output has a value."""
        assert set(self.resources()) == set(load(name)["Resources"])
        assert set(self.outputs()) == set(load(name)["Outputs"])
        assert all(self.outputs().values())

    def buckets(self):
        return {b["Name"] for b in self.aws.client("s3").list_buckets()["Buckets"] if not b["Name"].startswith("cdk-")}

    def task(self):
        """The newest task definition, with which CloudFormation would update the service."""
        arns = self.aws.client("ecs").list_task_definitions(familyPrefix=STACK, sort="DESC")["taskDefinitionArns"]
        return self.aws.client("ecs").describe_task_definition(taskDefinition=arns[0])["taskDefinition"]

    def nginx(self):
        """The environment of nginx. After an update moto has no names of containers any more: only of new stacks."""
        nginx = next(c for c in self.task()["containerDefinitions"] if c["name"] == "nginx")
        return {pair["name"]: pair["value"] for pair in nginx["environment"]}


@pytest.fixture
def stack(aws):
    return Stack(aws)
