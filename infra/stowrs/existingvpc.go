package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// existingVpc refers to the VPC and its subnets by their ids. Nothing is looked up: synth needs no credentials, and the template is
// the same on every machine.
func existingVpc(scope constructs.Construct, cfg config.NetworkConfig) Network {
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
	// Only the routes for the S3 endpoint matter, and they are required if it is created.
	awscdk.Annotations_Of(vpc).AcknowledgeWarning(jsii.String("@aws-cdk/aws-ec2:noSubnetRouteTableId"), jsii.String("no other route is read"))
	return Network{Vpc: vpc, TaskSubnets: subnetsNamed(taskSubnets), LoadBalancerSubnets: subnetsNamed(loadBalancerSubnets)}
}
