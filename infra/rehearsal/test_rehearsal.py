"""The stack is created, taken from topology to topology, and deleted, on an emulator of CloudFormation."""

import json

import pytest
from moto.cloudformation.parsing import get_model_map
from stack import (
    MODELLED_OTHERWISE,
    NOT_DELETED,
    NOT_MODELLED,
    NOT_UPDATED,
    TEMPLATES,
    can_delete,
    can_update,
    load,
    modelled,
    types,
    updated,
)

ACM, S3, MTLS = "acm-anonymous", "froms3-anonymous", "froms3-clientauth"
DEPLOYMENTS = sorted(path.stem for path in TEMPLATES.glob("*.json"))
STACK = "stowrs-to-s3"


def test_what_is_not_modelled_is_listed():
    assert len(DEPLOYMENTS) == 5
    used = set().union(*(types(load(name)) for name in DEPLOYMENTS))
    known = set(get_model_map())
    assert used - known == set(NOT_MODELLED)
    assert set(MODELLED_OTHERWISE) <= used & known


def test_what_is_not_updated_is_listed():
    stay = set()
    for before, after in [(ACM, S3), (S3, MTLS), (MTLS, ACM)]:
        old, new = modelled(load(before))["Resources"], modelled(load(after))["Resources"]
        stay |= {new[name]["Type"] for name in new if name in old and old[name] != new[name] and not can_update(new[name]["Type"])}
    assert stay == set(NOT_UPDATED)


def test_what_is_not_deleted_is_listed():
    used = set().union(*(types(load(name)) for name in DEPLOYMENTS)) & set(get_model_map())
    assert {kind for kind in used if not can_delete(kind)} == NOT_DELETED


class Stack:
    def __init__(self, aws):
        self.aws, self.cloudformation, self.template = aws, aws.client("cloudformation"), None

    def create(self, name):
        self.template = modelled(load(name))
        self.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(self.template), Capabilities=["CAPABILITY_IAM"])
        assert self.status() == "CREATE_COMPLETE"

    def update(self, name):
        self.template = updated(self.template, modelled(load(name)))
        self.cloudformation.update_stack(StackName=STACK, TemplateBody=json.dumps(self.template), Capabilities=["CAPABILITY_IAM"])
        assert self.status() == "UPDATE_COMPLETE"

    def delete(self):
        """All but the VPC, in which moto leaves the route tables (NOT_DELETED)."""
        try:
            self.cloudformation.delete_stack(StackName=STACK)
        except self.cloudformation.exceptions.ClientError as error:
            assert "The vpc" in str(error) and "has dependencies" in str(error)
        stacks = [s for s in self.cloudformation.list_stacks()["StackSummaries"] if s["StackName"] == STACK]
        assert all(s["StackStatus"] == "DELETE_COMPLETE" for s in stacks)

    def status(self):
        return self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]

    def outputs(self):
        found = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
        return {o["OutputKey"]: o["OutputValue"] for o in found}

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for page in pages for r in page["StackResourceSummaries"]}

    def complete(self):
        """Every resource of the template is there, and every output has a value."""
        assert set(self.resources()) == set(self.template["Resources"])
        assert set(self.outputs()) == set(self.template["Outputs"])
        assert all(self.outputs().values())

    def buckets(self):
        return {b["Name"] for b in self.aws.client("s3").list_buckets()["Buckets"]}

    def task(self):
        """The newest task definition, with which CloudFormation would update the service."""
        arns = self.aws.client("ecs").list_task_definitions(familyPrefix=STACK, sort="DESC")["taskDefinitionArns"]
        return self.aws.client("ecs").describe_task_definition(taskDefinition=arns[0])["taskDefinition"]

    def nginx(self):
        """The environment of nginx. After an update moto has no names of containers any more: only of new stacks."""
        nginx = next(c for c in self.task()["containerDefinitions"] if c["name"] == "nginx")
        return {pair["name"]: pair["value"] for pair in nginx["environment"]}


def test_from_topology_to_topology(aws):
    stack = Stack(aws)

    stack.create(ACM)
    stack.complete()
    before = stack.outputs()
    dicom = before["DicomBucketName"]
    assert dicom.startswith("stowrstos3-dicom-")
    assert before["AppLogGroup"].startswith(f"{STACK}-")
    assert before["ClusterName"].startswith(f"{STACK}-") and before["ServiceName"].startswith(f"{STACK}-")
    assert before["LoadBalancerDNSName"] in before["TestCommand"]
    assert stack.nginx()["CERT_MODE"] == "ACM"
    aws.client("s3").put_object(Bucket=dicom, Key="study/series/instance", Body=b"image")

    for revision, topology in enumerate([S3, MTLS], start=2):
        stack.update(topology)
        stack.complete()
        certificates = stack.outputs()["CertificateBucketName"]
        assert certificates.startswith("stowrstos3-certs-") and certificates in stack.buckets()
        assert stack.task()["revision"] == revision

    stack.update(ACM)
    stack.complete()
    assert stack.task()["revision"] == 4
    assert not any(name.startswith("stowrstos3-certs-") for name in stack.resources().values())

    # What the tasks and the archive are known by has not moved.
    after = stack.outputs()
    for output in ["DicomBucketName", "AccessLogBucketName", "ClusterName", "ServiceName", "AppLogGroup", "NginxLogGroup", "LoadBalancerDNSName"]:
        assert after[output] == before[output], output

    stack.delete()
    assert {dicom, after["AccessLogBucketName"]} <= stack.buckets()
    assert aws.client("s3").get_object(Bucket=dicom, Key="study/series/instance")["Body"].read() == b"image"
    groups = {g["logGroupName"] for g in aws.client("logs").describe_log_groups()["logGroups"]}
    assert {after["AppLogGroup"], after["NginxLogGroup"]} <= groups
    assert aws.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert aws.client("iam").list_roles()["Roles"] == []


def test_made_again_beside_what_was_left(aws):
    stack = Stack(aws)
    stack.create(MTLS)
    certificates = stack.outputs()["CertificateBucketName"]
    assert {"AUTH_MODE": "clientauth", "CERT_MODE": "FROMS3", "CERT_BUCKETNAME": certificates}.items() <= stack.nginx().items()
    left = stack.buckets()
    stack.delete()
    assert stack.buckets() == left
    stack.create(MTLS)
    stack.complete()
    assert len(stack.buckets() - left) == len(left) == 3


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_create_and_delete(aws, deployment):
    stack = Stack(aws)
    stack.create(deployment)
    stack.complete()
    stack.delete()
    kept = 0 if "existing-bucket" in deployment else 2 if deployment == ACM else 3
    assert len(stack.buckets()) == kept
