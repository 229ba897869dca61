"""The stack is created, taken from topology to topology, and deleted."""

import pytest
from conftest import STACK, TEMPLATES, load
from emulator import MODELLED_OTHERWISE, NOT_DELETED, NOT_MODELLED, NOT_UPDATED, can_delete, can_update, models

ACM, S3, MTLS = "acm-anonymous", "froms3-anonymous", "froms3-clientauth"
DEPLOYMENTS = sorted(path.stem for path in TEMPLATES.glob("*.json"))


def used():
    return {resource["Type"] for name in DEPLOYMENTS for resource in load(name)["Resources"].values()}


def test_what_is_not_modelled_is_listed():
    assert len(DEPLOYMENTS) == 6
    assert used() - set(models()) == set(NOT_MODELLED)
    assert set(MODELLED_OTHERWISE) <= used() & set(models())


def test_what_is_not_updated_is_listed():
    stay = set()
    for before, after in [(ACM, S3), (S3, MTLS), (MTLS, ACM)]:
        old, new = load(before)["Resources"], load(after)["Resources"]
        changed = {new[name]["Type"] for name in new if name in old and old[name]["Properties"] != new[name]["Properties"]}
        stay |= {kind for kind in changed - set(NOT_MODELLED) - set(MODELLED_OTHERWISE) if not can_update(models()[kind])}
    assert stay == set(NOT_UPDATED)


def test_what_is_not_deleted_is_listed():
    known = used() & set(models()) - set(MODELLED_OTHERWISE)
    assert {kind for kind in known if not can_delete(models()[kind])} == NOT_DELETED


def test_from_topology_to_topology(aws, stack):
    stack.create(ACM)
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
        certificates = stack.outputs()["CertificateBucketName"]
        assert certificates.startswith("stowrstos3-certs-") and certificates in stack.buckets()
        assert stack.task()["revision"] == revision
    aws.client("s3").put_object(Bucket=certificates, Key="certificate.key", Body=b"key")

    stack.update(ACM)
    assert stack.task()["revision"] == 4
    assert certificates not in stack.resources().values() and certificates in stack.buckets()

    # What the tasks and the archive are known by has not moved.
    after = stack.outputs()
    for output in ["DicomBucketName", "AccessLogBucketName", "ClusterName", "ServiceName", "AppLogGroup", "NginxLogGroup", "LoadBalancerDNSName"]:
        assert after[output] == before[output], output

    # Going back makes another certificate bucket, beside the one that was left.
    stack.update(MTLS)
    assert stack.outputs()["CertificateBucketName"] not in ("", certificates)

    stack.delete()
    assert {dicom, certificates, after["AccessLogBucketName"]} <= stack.buckets()
    assert aws.client("s3").get_object(Bucket=dicom, Key="study/series/instance")["Body"].read() == b"image"
    groups = {g["logGroupName"] for g in aws.client("logs").describe_log_groups()["logGroups"]}
    assert {after["AppLogGroup"], after["NginxLogGroup"]} <= groups
    assert aws.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert aws.client("iam").list_roles()["Roles"] == []
    assert aws.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"] == []


def test_made_again_beside_what_was_left(stack):
    stack.create(MTLS)
    certificates = stack.outputs()["CertificateBucketName"]
    assert {"AUTH_MODE": "clientauth", "CERT_MODE": "FROMS3", "CERT_BUCKETNAME": certificates}.items() <= stack.nginx().items()
    left = stack.buckets()
    stack.delete()
    assert stack.buckets() == left
    stack.create(MTLS)
    assert len(stack.buckets() - left) == len(left) == 4


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_create_and_delete(stack, deployment):
    stack.create(deployment)
    stack.delete()
    assert len(stack.buckets()) == sum(r["Type"] == "AWS::S3::Bucket" for r in load(deployment)["Resources"].values())


def test_name_points_to_the_load_balancer(aws, stack):
    stack.create("internal-existing-vpc")
    route53 = aws.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]

    def records():
        return {r["Name"].rstrip("."): r for r in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"] if r["Type"] == "A"}

    (balancer,) = aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert records()["stow.example.org"]["AliasTarget"]["DNSName"].rstrip(".") == balancer["DNSName"]
    stack.delete()
    assert records() == {}


def test_existing_network_stays(aws, stack):
    stack.create("internal-existing-vpc")
    ec2 = aws.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
    subnets = {s["SubnetId"] for s in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]}
    (balancer,) = aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["VpcId"] == vpc["VpcId"] and {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} < subnets
    stack.delete()
    assert {s["SubnetId"] for s in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]} == subnets
