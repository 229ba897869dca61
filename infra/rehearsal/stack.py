"""The synthesised templates, as far as an emulator of CloudFormation models them."""

import json
from pathlib import Path

from moto.cloudformation.parsing import get_model_map

TEMPLATES = Path(__file__).parent.parent / "testdata" / "templates"

# What moto does not model, and what holds it to its purpose instead. A type that moto learns,
# or a new one of ours that it does not know, fails a test until this list says so.
NOT_MODELLED = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "assertions on the template",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "assertions on the template",
    "AWS::CloudTrail::Trail": "assertions on the template, cdk-nag",
    "AWS::CloudWatch::Alarm": "assertions on the template, cdk-nag",
    "AWS::EC2::SecurityGroupEgress": "assertions on the template",
    "AWS::Logs::MetricFilter": "filters are evaluated over real records",
    "AWS::S3::BucketPolicy": "assertions on the template, cdk-nag",
    "AWS::SNS::Subscription": "assertions on the template",
    "AWS::SNS::TopicPolicy": "assertions on the template, cdk-nag",
}

# What moto has, but models otherwise than AWS.
MODELLED_OTHERWISE = {
    "AWS::ElasticLoadBalancingV2::Listener": "moto makes an application load balancer of every one, which has no TLS and no TCP",
}

# Properties that moto stumbles over although CloudFormation takes them.
NOT_UNDERSTOOD = {
    ("AWS::KMS::Key", "Tags"): "moto expects TagKey and TagValue, CloudFormation has Key and Value",
}

# Attributes that moto does not answer.
NOT_ANSWERED = {
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerFullName"): "the dashboard names the load balancer by it",
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupFullName"): "the dashboard names the target group by it",
}

# What moto makes and deletes, but cannot update: it stays as it was made.
NOT_UPDATED = {
    "AWS::EC2::VPCEndpoint": "policies of endpoints are asserted in each template",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "access logs are asserted in each template",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "CloudFormation replaces it; it has no name, which is asserted",
}

# What moto makes, but leaves when the stack is deleted. Without the route tables, the VPC does not go either.
NOT_DELETED = {
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::NatGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
}


def load(name):
    return json.loads((TEMPLATES / f"{name}.json").read_text())


def types(template):
    return {resource["Type"] for resource in template["Resources"].values()}


def modelled(template):
    """The template without what moto does not model; references to it become words."""
    known = set(get_model_map()) - set(MODELLED_OTHERWISE)
    resources = {name: r for name, r in template["Resources"].items() if r["Type"] in known}
    for resource in resources.values():
        for kind, field in NOT_UNDERSTOOD:
            if resource["Type"] == kind:
                resource.get("Properties", {}).pop(field, None)
        if mappings := resource.get("Properties", {}).pop("SubnetMappings", None):  # moto knows Subnets only
            resource["Properties"]["Subnets"] = [mapping["SubnetId"] for mapping in mappings]
        if "DependsOn" in resource:
            resource["DependsOn"] = [name for name in resource["DependsOn"] if name in resources]
    absent = set(template["Resources"]) - set(resources)
    unanswered = {
        (name, attribute) for name, r in resources.items() for kind, attribute in NOT_ANSWERED if r["Type"] == kind
    }
    return _without({**template, "Resources": resources}, absent, unanswered)


def _without(node, absent, unanswered):
    if isinstance(node, list):
        return [_without(child, absent, unanswered) for child in node]
    if not isinstance(node, dict):
        return node
    if node.get("Ref") in absent:
        return f"arn:not-modelled/{node['Ref']}/of/its/parts"
    if "Fn::GetAtt" in node and (node["Fn::GetAtt"][0] in absent or tuple(node["Fn::GetAtt"]) in unanswered):
        return "arn:not-modelled/{}/{}".format(*node["Fn::GetAtt"])
    return {key: _without(child, absent, unanswered) for key, child in node.items()}


def can_update(kind):
    return not hasattr(get_model_map()[kind].update_from_cloudformation_json, "__isabstractmethod__")


def updated(before, after):
    """after, where resources that moto can make and delete, but not update, stay as they were made."""
    resources = {
        name: before["Resources"][name] if name in before["Resources"] and not can_update(resource["Type"]) else resource
        for name, resource in after["Resources"].items()
    }
    return {**after, "Resources": resources}


def can_delete(kind):
    model = get_model_map()[kind]
    return hasattr(model, "delete") or not hasattr(model.delete_from_cloudformation_json, "__isabstractmethod__")
