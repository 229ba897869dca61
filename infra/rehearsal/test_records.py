"""Who is told and what is recorded: the trail's selectors, the topic's policy and the rules of EventBridge, evaluated and not looked at."""

import pytest
from conftest import ACCOUNT
from moto.iam.access_control import PermissionResult
from test_policies import CONTEXT, deployment, text, unscoped  # noqa: F401 (deployment is a fixture)

PERMITTED = PermissionResult.PERMITTED


def records(selectors, event):
    """Whether a trail records the event. An object is one of the bucket whose ARN, with a slash, begins the object's.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DataResource.html
    """
    for selector in text(selectors):
        if selector["ReadWriteType"] not in ("All", "ReadOnly" if event["read"] else "WriteOnly"):
            continue
        if "object" not in event:
            if selector["IncludeManagementEvents"]:
                return True
        elif any(r["Type"] == "AWS::S3::Object" and event["object"].startswith(value) for r in selector.get("DataResources", []) for value in r["Values"]):
            return True
    return False


def test_the_trail_records_what_is_documented(deployment):  # noqa: F811
    trails = deployment.all("AWS::CloudTrail::Trail")
    assert bool(trails) == (deployment.name not in ("internal-nat-existing-bucket", "internal-existing-vpc"))
    if not trails:
        return
    (trail,) = trails.values()
    assert trail["IsLogging"] and trail["EnableLogFileValidation"]
    selectors = trail["EventSelectors"]
    assert len(selectors) <= 5 and sum(len(r["Values"]) for s in selectors for r in s.get("DataResources", [])) <= 250  # quotas
    for read in [True, False]:
        assert records(selectors, {"read": read, "object": f"{deployment.bucket('DicomBucket')}/1.2/3/4"})
        if certificates := deployment.bucket("CertificateBucket"):
            assert records(selectors, {"read": read, "object": f"{certificates}/certificate.key"})
        # The trail's own bucket would be recorded in itself, for ever; that of access logs fills by itself; others are not ours.
        for name in ["TrailBucket", "AccessLogBucket"]:
            assert not records(selectors, {"read": read, "object": f"{deployment.bucket(name)}/file"}), name
        for other in [f"{deployment.bucket('DicomBucket')}-2/1.2/3/4", "arn:aws:s3:::somebody-elses/1.2/3/4"]:
            assert not records(selectors, {"read": read, "object": other})
    assert records(selectors, {"read": False}) and not records(selectors, {"read": True})  # changes of resources; reads and uses of keys are many


def test_who_may_publish(deployment):  # noqa: F811
    topics = deployment.all("AWS::SNS::TopicPolicy")
    assert bool(topics) == deployment.name.endswith("everything")  # AlarmTopic is somebody else's, with a policy of his
    if not topics:
        return
    (policy,) = topics.values()
    (topic,) = map(text, policy["Topics"])
    (key,) = [k["KeyPolicy"] for n, k in deployment.all("AWS::KMS::Key").items() if unscoped(n).startswith("RecordsKey")]

    def publishes(service, **context):
        there = {**CONTEXT, **context}
        allowed = deployment.verdict(policy["PolicyDocument"], "sns:Publish", topic, there, service) == PERMITTED
        encrypted = all(deployment.verdict(key, action, "*", there, service) == PERMITTED for action in ["kms:Decrypt", "kms:GenerateDataKey"])
        return allowed and encrypted

    ours = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:stowrs-to-s3-no-task"}
    assert publishes("cloudwatch.amazonaws.com", **ours)
    # The confused deputy: CloudWatch on behalf of another account, of another alarm, or of nobody that it names.
    assert not publishes("cloudwatch.amazonaws.com", **{**ours, "aws:SourceAccount": "999999999999"})
    assert not publishes("cloudwatch.amazonaws.com", **{**ours, "aws:SourceArn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:theirs"})
    assert not publishes("cloudwatch.amazonaws.com")
    # EventBridge may say nothing of itself; what it says must be of this account and region.
    rule = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/stowrs-to-s3-KeyChanged-1"}
    assert publishes("events.amazonaws.com") and publishes("events.amazonaws.com", **rule)
    for stranger in [{"aws:SourceAccount": "999999999999"}, {"aws:SourceArn": "arn:aws:events:us-east-1:999999999999:rule/any"}, {"aws:SourceArn": ours["aws:SourceArn"]}]:
        assert not publishes("events.amazonaws.com", **{**rule, **stranger}), stranger
    for service in ["cloudwatch.amazonaws.com", "events.amazonaws.com"]:
        assert not publishes(service, **ours, **{"aws:SecureTransport": "false"})
    for somebody in ["s3.amazonaws.com", "sns.amazonaws.com", f"arn:aws:iam::{ACCOUNT}:role/admin", "arn:aws:iam::999999999999:root", "*"]:
        assert not publishes(somebody, **ours), somebody
    for service in ["cloudwatch.amazonaws.com", "events.amazonaws.com"]:  # and nothing else than publish
        for action in ["sns:Subscribe", "sns:SetTopicAttributes", "sns:DeleteTopic", "sns:AddPermission"]:
            assert deployment.verdict(policy["PolicyDocument"], action, topic, {**CONTEXT, **ours}, service) != PERMITTED, (service, action)


def test_rules_tell_the_topic_and_nobody_else(deployment):  # noqa: F811
    topics = [f"{n}" for n in deployment.all("AWS::SNS::Topic")] or ["arn:aws:sns:ca-west-1:123456789012:imaging"]
    rules = deployment.all("AWS::Events::Rule")
    assert bool(rules) == (deployment.name in ("froms3-clientauth-everything", "internal-nat-existing-bucket"))
    for name, rule in rules.items():
        (target,) = rule["Targets"]
        assert text(target["Arn"]) in topics and "RoleArn" not in target, name  # a role would not reach an encrypted topic
        assert "EventBusName" not in rule and rule.get("State", "ENABLED") == "ENABLED", name  # the bus on which AWS puts the calls of the account
        pattern = rule["EventPattern"]
        assert pattern["detail-type"] == ["AWS API Call via CloudTrail"], name
        # EventBridge does not see calls that only read: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
        assert not [call for call in pattern["detail"]["eventName"] if call.startswith(("Get", "List", "Describe"))], name


@pytest.mark.parametrize("object_, recorded", [("arn:aws:s3:::a/1", True), ("arn:aws:s3:::ab/1", False), ("arn:aws:s3:::b/1", False)])
def test_the_reading_of_selectors(object_, recorded):
    selector = {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": False, "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::a/"]}]}
    assert records([selector], {"read": False, "object": object_}) == recorded
    assert not records([selector], {"read": True, "object": object_}) and not records([selector], {"read": False})
