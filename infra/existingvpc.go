package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// existingVpc names the VPC and its subnets by their ids. Nothing is looked up: no credentials are needed at synth, and the template is
// the same on every machine.
func existingVpc(scope constructs.Construct, cfg NetworkConfig) Network {
	existing := cfg.ExistingVpc
	attributes := &awsec2.VpcAttributes{
		VpcId:               jsii.String(existing.VpcID),
		AvailabilityZones:   jsii.Strings(cfg.AvailabilityZones...),
		IsolatedSubnetIds:   jsii.Strings(existing.TaskSubnets...), // whatever routes they have: the type is a word of CDK
		IsolatedSubnetNames: jsii.Strings(taskSubnets),
	}
	if len(existing.TaskRouteTables) > 0 {
		attributes.IsolatedSubnetRouteTableIds = jsii.Strings(existing.TaskRouteTables...)
	}
	loadBalancerSubnets := taskSubnets
	if len(existing.LoadBalancerSubnets) > 0 {
		loadBalancerSubnets = publicSubnets // whether they are or not
		attributes.PublicSubnetIds, attributes.PublicSubnetNames = jsii.Strings(existing.LoadBalancerSubnets...), jsii.Strings(publicSubnets)
	}
	vpc := awsec2.Vpc_FromVpcAttributes(scope, jsii.String("Vpc"), attributes)
	// Of routes only those of the S3 endpoint are asked for, and where it is made they are required.
	awscdk.Annotations_Of(vpc).AcknowledgeWarning(jsii.String("@aws-cdk/aws-ec2:noSubnetRouteTableId"), jsii.String("no other route is read"))
	return Network{Vpc: vpc, TaskSubnets: subnetsNamed(taskSubnets), LoadBalancerSubnets: subnetsNamed(loadBalancerSubnets)}
}
