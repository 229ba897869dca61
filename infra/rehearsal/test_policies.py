"""Policies, evaluated for each call that the service makes, and for what it must not do: role, bucket, key and endpoint together.

Of moto is how a statement matches an action and a resource; what conditions say, and how policies add up, is here
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
"""

import fnmatch
import json
import re

import pytest
from conftest import TEMPLATES
from moto.iam.access_control import IAMPolicyStatement, PermissionResult

ACCOUNT = "123456789012"
CONTEXT = {"aws:PrincipalAccount": ACCOUNT, "aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
DEPLOYMENTS = sorted(path.stem for path in TEMPLATES.glob("*.json"))


def text(value):
    """A value of a template with names in place of what CloudFormation fills in."""
    match value:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return f"arn:{name}"
        case {"Fn::GetAtt": [name, *_]} | {"Ref": name}:
            return {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}.get(name, name)
        case {"Fn::Sub": template}:
            for name, value in {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": "us-east-1"}.items():
                template = template.replace("${" + name + "}", value)
            return template
        case {"Fn::Join": [separator, parts]}:
            return separator.join(text(part) for part in parts)
        case list():
            return [text(item) for item in value]
        case dict():
            return {key: text(item) for key, item in value.items()}
    return value


def holds(condition, context):
    """Whether the condition of a statement is met. An operator that is not known here fails the test."""
    operators = {
        "StringEquals": lambda actual, wanted: actual == wanted,
        "ArnEquals": fnmatch.fnmatchcase,
        "ArnLike": lambda actual, wanted: fnmatch.fnmatchcase(actual, wanted),
        "Bool": lambda actual, wanted: actual == wanted,
        "NumericLessThan": lambda actual, wanted: float(actual) < float(wanted),
    }
    for operator, keys in condition.items():
        optional = operator.endswith("IfExists")
        operator = operator.removesuffix("IfExists")
        positive = operator.replace("NotEquals", "Equals")
        for key, wanted in keys.items():
            if optional and key not in context:
                continue
            met = key in context and any(operators[positive](context[key], str(one)) for one in (wanted if isinstance(wanted, list) else [wanted]))
            if met != (operator == positive):  # a negated operator is also met by a key that is not there
                return False
    return True


def unscoped(name):
    """A logical id without the part that the resource belongs to."""
    return re.sub("^(Storage|Network|Front|Service|Observability)(?=[A-Z])", "", name)


class Deployment:
    def __init__(self, name):
        self.name = name
        self.resources = json.loads((TEMPLATES / f"{name}.json").read_text())["Resources"]

    def all(self, kind):
        return {name: resource["Properties"] for name, resource in self.resources.items() if resource["Type"] == kind}

    def verdict(self, document, action, resource, context, principal=None):
        results = set()
        for statement in text(document)["Statement"]:
            who = statement.pop("Principal", None)
            if principal and not self.names(who, principal) or not holds(statement.pop("Condition", {}), context):
                continue
            results.add(IAMPolicyStatement(statement).is_action_permitted(action, resource))
        return PermissionResult.DENIED if PermissionResult.DENIED in results else PermissionResult.PERMITTED if PermissionResult.PERMITTED in results else None

    @staticmethod
    def names(who, principal):
        one = who if isinstance(who, str) else next(iter(who.values()))
        return "*" in one or principal in one

    def role_allows(self, role, action, resource):
        """The policies of a role of this stack."""
        documents = [p["PolicyDocument"] for p in self.all("AWS::IAM::Policy").values() if any(unscoped(text(r)).startswith(role) for r in p["Roles"])]
        assert documents
        return any(self.verdict(d, action, resource, CONTEXT) == PermissionResult.PERMITTED for d in documents)

    def role(self, name):
        return next(f"arn:{n}" for n in self.all("AWS::IAM::Role") if unscoped(n).startswith(name))

    def resource_denies(self, action, resource, context):
        """The policy of a bucket, which may deny what the role allows."""
        return any(
            self.verdict(p["PolicyDocument"], action, resource, context, "somebody") == PermissionResult.DENIED
            for p in self.all("AWS::S3::BucketPolicy").values()
            if resource.startswith("arn:" + text(p["Bucket"]))
        )

    def endpoint_allows(self, service, action, resource, context=CONTEXT):
        for endpoint in self.all("AWS::EC2::VPCEndpoint").values():
            if text(endpoint["ServiceName"]).endswith(service):
                return "PolicyDocument" not in endpoint or self.verdict(endpoint["PolicyDocument"], action, resource, context, "*") == PermissionResult.PERMITTED
        raise AssertionError(f"no endpoint of {service}")

    def allows(self, action, resource, context=CONTEXT):
        """What a task can do in S3: by its role, through the endpoint, and past the bucket's policy."""
        context = {**context, "aws:PrincipalArn": self.role("TaskRole")}
        return self.role_allows("TaskRole", action, resource) and self.endpoint_allows(".s3", action, resource, context) and not self.resource_denies(action, resource, context)

    def bucket(self, name):
        found = [f"arn:{n}" for n in self.all("AWS::S3::Bucket") if unscoped(n).startswith(name)]
        return found[0] if found else "arn:aws:s3:::hospital-archive" if name == "DicomBucket" else None


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request):
    d = Deployment(request.param)
    d.prefix = "instance1/" if request.param.endswith("everything") else ""
    return d


# HeadBucket is s3:ListBucket, HeadObject s3:GetObject, and a multipart upload s3:PutObject (package comment of app/s3store).
ON_OBJECTS = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
ON_THE_BUCKET = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]


def test_the_service_may_do_all_that_it_does(deployment):
    dicom = deployment.bucket("DicomBucket")
    for action in ON_OBJECTS:
        assert deployment.allows(action, f"{dicom}/{deployment.prefix}1.2/3/4"), action
    for action in ON_THE_BUCKET:
        assert deployment.allows(action, dicom), action
    for name in deployment.all("AWS::KMS::Key"):
        wanted = {"DicomKey": ["kms:GenerateDataKey", "kms:Decrypt"], "CertificateKey": ["kms:Decrypt"], "RecordsKey": []}[unscoped(name)[:-8]]
        for action in ["kms:GenerateDataKey", "kms:Decrypt"]:
            assert deployment.role_allows("TaskRole", action, f"arn:{name}") == (action in wanted), (name, action)
    if certificates := deployment.bucket("CertificateBucket"):
        for file in ["certificate.crt", "certificate.key", "truststore.crt", "crl.pem"]:
            assert deployment.allows("s3:GetObject", f"{certificates}/{file}"), file
        assert deployment.allows("s3:ListBucket", certificates)


def test_the_service_may_do_nothing_else(deployment):
    dicom, certificates = deployment.bucket("DicomBucket"), deployment.bucket("CertificateBucket")
    for action in ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObjectVersion", "s3:PutObjectAcl", "s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectTagging"]:
        assert not deployment.allows(action, f"{dicom}/{deployment.prefix}1.2/3/4"), action
    for action in ["s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning"]:
        assert not deployment.allows(action, dicom), action
    if deployment.prefix:
        assert not deployment.allows("s3:PutObject", f"{dicom}/elsewhere/1.2/3/4")
    if certificates:
        assert not deployment.allows("s3:PutObject", f"{certificates}/truststore.crt")
        assert not deployment.allows("s3:GetObject", f"{certificates}/other")
    for other in ["arn:aws:s3:::somebody-elses", deployment.bucket("AccessLogBucket") or "arn:aws:s3:::hospital-logs"]:
        for action in ON_OBJECTS:
            assert not deployment.allows(action, f"{other}/1.2/3/4"), (other, action)
    for action in ["kms:ScheduleKeyDeletion", "iam:PassRole", "sts:AssumeRole", "logs:DeleteLogGroup"]:
        assert not deployment.role_allows("TaskRole", action, "*"), action


# Whatever IAM allows them: the policy of the bucket has the last word.
OTHERS = ["role/admin", "role/imaging/archivist-2", "role/archivist", "role/cdk-hnb659fds-cfn-exec-role-123456789012-us-east-1", "user/alice", "root"]
CHANGES = ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateObject", "s3:ReplicateDelete", "s3:BypassGovernanceRetention"]


def test_nobody_else_changes_the_archive(deployment):
    dicom = deployment.bucket("DicomBucket")
    if dicom.startswith("arn:aws"):
        return  # an existing bucket has its own policy
    break_glass = ["role/imaging/archivist", "role/imaging/restore"]
    named = break_glass if deployment.name.endswith("everything") else []
    for who in [f"arn:aws:iam::{ACCOUNT}:{name}" for name in [*OTHERS, *break_glass]] + [deployment.role("ExecutionRole"), "arn:aws:iam::999999999999:role/imaging/archivist", None]:
        context = {**CONTEXT, **({"aws:PrincipalArn": who} if who else {})}  # None: S3 does not know who it is
        for action in CHANGES:
            assert deployment.resource_denies(action, f"{dicom}/{deployment.prefix}1.2/3/4", context) == (who not in [f"arn:aws:iam::{ACCOUNT}:{n}" for n in named]), (who, action)
        # Nobody is kept from reading, from ending unfinished uploads, or from the bucket's own settings: no lock without a way out.
        for action in ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionForReplication", "s3:AbortMultipartUpload"]:
            assert not deployment.resource_denies(action, f"{dicom}/1.2/3/4", context), (who, action)
        for action in ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:ListBucket"]:
            assert not deployment.resource_denies(action, dicom, context), (who, action)


def test_nothing_without_tls(deployment):
    dicom = deployment.bucket("DicomBucket")
    if dicom.startswith("arn:aws"):
        return  # an existing bucket has its own policy
    for context in [{**CONTEXT, "aws:SecureTransport": "false"}, {**CONTEXT, "s3:TlsVersion": "1.1"}]:
        assert not deployment.allows("s3:PutObject", f"{dicom}/{deployment.prefix}1.2/3/4", context), context


def test_tasks_start(deployment):
    resources = next(s["Resource"] for p in deployment.all("AWS::IAM::Policy").values() for s in p["PolicyDocument"]["Statement"] if "ecr:BatchGetImage" in s["Action"])
    for repository in map(text, resources if isinstance(resources, list) else [resources]):
        for action in ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]:
            assert deployment.role_allows("ExecutionRole", action, repository) and deployment.endpoint_allows(".ecr.api", action, repository)
    assert deployment.role_allows("ExecutionRole", "ecr:GetAuthorizationToken", "*")
    for group in ["AppLogs", "NginxLogs"]:
        arn = next(f"arn:{n}" for n in deployment.all("AWS::Logs::LogGroup") if unscoped(n).startswith(group))
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"]:
            assert deployment.role_allows("ExecutionRole", action, arn) and deployment.endpoint_allows(".logs", action, arn)
    strangers = {**CONTEXT, "aws:PrincipalAccount": "999999999999"}
    assert not deployment.endpoint_allows(".logs", "logs:PutLogEvents", "arn:theirs", strangers)
    assert not deployment.role_allows("ExecutionRole", "s3:GetObject", f"{deployment.bucket('DicomBucket')}/1.2/3/4")
    layers = next(s for p in deployment.all("AWS::EC2::VPCEndpoint").values() if text(p["ServiceName"]).endswith(".s3") for s in p["PolicyDocument"]["Statement"] if s.get("Sid") == "ImageLayers")
    assert deployment.endpoint_allows(".s3", "s3:GetObject", text(layers["Resource"]).replace("*", "layer"))


def test_the_trail_writes(deployment):
    trails = deployment.all("AWS::CloudTrail::Trail")
    if not trails:
        return
    trail = next(iter(trails.values()))
    source = {"aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{trail['TrailName']}", "aws:SourceAccount": ACCOUNT}
    bucket = text(trail["S3BucketName"])
    policy = next(p["PolicyDocument"] for p in deployment.all("AWS::S3::BucketPolicy").values() if text(p["Bucket"]) == bucket)
    write = {**CONTEXT, **source, "s3:x-amz-acl": "bucket-owner-full-control"}
    key = f"arn:{bucket}/cloudtrail/AWSLogs/{ACCOUNT}/CloudTrail/file"
    assert deployment.verdict(policy, "s3:PutObject", key, write, "cloudtrail.amazonaws.com") == PermissionResult.PERMITTED
    assert deployment.verdict(policy, "s3:GetBucketAcl", f"arn:{bucket}", {**CONTEXT, **source}, "cloudtrail.amazonaws.com") == PermissionResult.PERMITTED
    other = {**write, "aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/another"}
    assert deployment.verdict(policy, "s3:PutObject", key, other, "cloudtrail.amazonaws.com") != PermissionResult.PERMITTED
    records = next(p["KeyPolicy"] for n, p in deployment.all("AWS::KMS::Key").items() if unscoped(n).startswith("RecordsKey"))
    encrypts = {**CONTEXT, **source, "kms:EncryptionContext:aws:cloudtrail:arn": source["aws:SourceArn"]}
    assert deployment.verdict(records, "kms:GenerateDataKey", "*", encrypts, "cloudtrail.amazonaws.com") == PermissionResult.PERMITTED
    assert deployment.verdict(records, "kms:DescribeKey", "*", {**CONTEXT, **source}, "cloudtrail.amazonaws.com") == PermissionResult.PERMITTED  # which has no encryption context


ADMINISTRATION = ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:DisableKey", "kms:DisableKeyRotation", "kms:RevokeGrant", "kms:CreateAlias"]
USE = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom"]


def test_administrators_of_keys_do_not_use_them(deployment):
    """What the policy of a key leaves to the IAM policies of somebody in the account, whatever those say."""
    apart = deployment.name.endswith("everything")
    for key in deployment.all("AWS::KMS::Key").values():

        def leaves(who, action):
            return deployment.verdict(key["KeyPolicy"], action, "*", {**CONTEXT, "aws:PrincipalArn": who}, f"arn:aws:iam::{ACCOUNT}:root") == PermissionResult.PERMITTED

        administrator, root = f"arn:aws:iam::{ACCOUNT}:role/security/keys", f"arn:aws:iam::{ACCOUNT}:root"
        deploys = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-us-east-1"
        for action in ADMINISTRATION:
            for who in [administrator, root, deploys]:  # nobody is locked out, and a deployment can change the policy again
                assert leaves(who, action), (who, action)
            for who in [deployment.role("TaskRole"), f"arn:aws:iam::{ACCOUNT}:role/admin", f"arn:aws:iam::{ACCOUNT}:user/alice"]:
                assert leaves(who, action) == (not apart), (who, action)
        for action in USE:
            for who in [deployment.role("TaskRole"), f"arn:aws:iam::{ACCOUNT}:role/imaging/archivist", root]:
                assert leaves(who, action), (who, action)
            assert leaves(administrator, action) == (not apart), action
        for who in [administrator, f"arn:aws:iam::{ACCOUNT}:role/admin"]:  # a grant would be a way to use it
            assert leaves(who, "kms:CreateGrant") == (not apart), who
