"""moto, with stand-ins for what it does not model, so that the templates go through as they are.

A stand-in is made, updated and deleted, and has an id and attributes; it does nothing. What it
stands for is asserted on the templates instead (NOT_MODELLED says how). The tests hold these lists to moto: a
type that moto learns, or a new one of ours that it does not know, fails until they say so.

    python emulator.py -H 127.0.0.1 -p PORT
"""

import sys

from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup
from moto.kms.models import Key
from moto.route53.models import HostedZoneIdentifier

# What moto does not model, and what holds it to its purpose.
NOT_MODELLED = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "assertions on the template",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "assertions on the template",
    "AWS::CertificateManager::Certificate": "assertions on the template",
    "AWS::CloudTrail::Trail": "its selectors are evaluated, cdk-nag",
    "AWS::CloudWatch::Alarm": "assertions on the template, cdk-nag",
    "AWS::EC2::SecurityGroupEgress": "assertions on the template",
    "AWS::EC2::VPCEndpointService": "assertions on the template",
    "AWS::EC2::VPCEndpointServicePermissions": "assertions on the template",
    "AWS::Logs::MetricFilter": "filters are evaluated over real records",
    "AWS::S3::BucketPolicy": "assertions on the template, cdk-nag",
    "AWS::SNS::Subscription": "assertions on the template",
    "AWS::SNS::TopicPolicy": "its policy is evaluated, cdk-nag",
}

# What moto has, but models otherwise than AWS.
MODELLED_OTHERWISE = {
    "AWS::ElasticLoadBalancingV2::Listener": "every load balancer is an application load balancer, which has neither TLS nor TCP",
}

# What moto makes and deletes, but does not update: it stays as it was made.
NOT_UPDATED = {
    "AWS::EC2::VPCEndpoint": "policies of endpoints are asserted in each template",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "access logs are asserted in each template",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "CloudFormation replaces it; it has no name, which is asserted",
}

# What moto makes, but leaves when the stack is deleted. Route tables are deleted here: the VPC cannot go before them.
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
    "AWS::ElasticLoadBalancingV2::TargetGroup",
}


def models():
    return {model.cloudformation_type(): model for model in CloudFormationModel.__subclasses__()}


def can_update(model):
    return not hasattr(model.update_from_cloudformation_json, "__isabstractmethod__")


def can_delete(model):
    return hasattr(model, "delete") or not hasattr(model.delete_from_cloudformation_json, "__isabstractmethod__")


def stand_in(kind):
    class StandIn(CloudFormationModel):
        __module__ = "moto.standin.models"  # where moto looks for the name of the service

        cloudformation_name_type = staticmethod(lambda: "")
        cloudformation_type = staticmethod(lambda: kind)
        has_cfn_attr = classmethod(lambda cls, attr: True)

        def __init__(self, name, account, region):
            self.physical_resource_id = f"arn:aws:stand-in:{region}:{account}:{kind}/{name}/of/its/parts"

        @classmethod
        def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
            return cls(resource_name, account_id, region_name)

        @classmethod
        def update_from_cloudformation_json(cls, original_resource, **kwargs):
            return original_resource

        @classmethod
        def delete_from_cloudformation_json(cls, *args, **kwargs):
            pass

        def get_cfn_attribute(self, attribute):
            return self.physical_resource_id

    return StandIn


def prepared(model, prepare):
    """The model, of which properties are made what moto understands."""
    create = model.create_from_cloudformation_json.__func__

    def create_prepared(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        prepare(cloudformation_json["Properties"])
        return create(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)

    model.create_from_cloudformation_json = classmethod(create_prepared)


def tags_of_a_key(properties):
    properties["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])]


def subnets_of_a_load_balancer(properties):
    if mappings := properties.pop("SubnetMappings", None):
        properties["Subnets"] = [mapping["SubnetId"] for mapping in mappings]


def retaining(delete):
    """moto knows DeletionPolicy when a stack is deleted, and forgets it in an update."""

    def delete_or_retain(self, resource, template):
        if template.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate"):
            self._parsed_resources.pop(resource.logical_resource_id)
        else:
            delete(self, resource, template)

    return delete_or_retain


def keeping(delete):
    """moto does not know RetainExceptOnCreate, which is Retain for a stack that was made."""

    def delete_the_rest(self):
        for resource in self._resource_json_map.values():
            if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
                resource["DeletionPolicy"] = "Retain"
        delete(self)

    return delete_the_rest


def with_outputs(execute):
    """moto shows the outputs of a stack as they were before a change set."""

    def execute_and_show(self, change_set_name, stack_name=None):
        execute(self, change_set_name, stack_name)
        for stack in self.stacks.values():
            stack._parse_template()
            stack.output_map = stack._create_output_map()

    return execute_and_show


def stand_in_for_the_rest():
    for model in models().values():
        if not can_update(model):
            model.update_from_cloudformation_json = classmethod(lambda cls, original_resource, **kwargs: original_resource)
    for kind in [*NOT_MODELLED, *MODELLED_OTHERWISE]:
        STAND_INS.append(stand_in(kind))
    prepared(Key, tags_of_a_key)
    prepared(FakeLoadBalancer, subnets_of_a_load_balancer)

    attribute = FakeLoadBalancer.get_cfn_attribute
    more = {
        "LoadBalancerFullName": lambda self: self.arn.split("loadbalancer/")[1],
        "CanonicalHostedZoneID": lambda self: self.canonical_hosted_zone_id,
    }
    FakeLoadBalancer.get_cfn_attribute = lambda self, name: more[name](self) if name in more else attribute(self, name)
    FakeTargetGroup.get_cfn_attribute = lambda self, name: self.arn.split(":")[-1]

    RouteTable.delete_from_cloudformation_json = classmethod(
        lambda cls, name, template, account, region: ec2_backends[account][region].delete_route_table(name)
    )
    generate = HostedZoneIdentifier.generate
    HostedZoneIdentifier.generate = lambda self, *args, **kwargs: "Z" + generate(self, *args, **kwargs)[1:]  # as AWS has them
    ResourceMap.delete = keeping(ResourceMap.delete)
    ResourceMap._delete_resource = retaining(ResourceMap._delete_resource)
    CloudFormationBackend.execute_change_set = with_outputs(CloudFormationBackend.execute_change_set)
    CloudFormationResponse.update_termination_protection = lambda self: (
        "<UpdateTerminationProtectionResponse><UpdateTerminationProtectionResult><StackId>stack</StackId>"
        "</UpdateTerminationProtectionResult></UpdateTerminationProtectionResponse>"
    )


STAND_INS = []  # moto finds subclasses as long as somebody holds them

if __name__ == "__main__":
    from moto.server import main

    stand_in_for_the_rest()
    main(sys.argv[1:])
