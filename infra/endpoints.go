package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newEndpoints are the ways from the tasks to AWS that do not cross the internet: S3, ECR for the images, CloudWatch
// Logs, and ECS where Fargate needs it. Tasks must not start before they are there: they could not pull their images.
// With Egress Existing the VPC has its own ways, and none is made.
func newEndpoints(scope constructs.Construct, cfg Config, network Network, storage Storage) []constructs.IDependable {
	if cfg.Network.Egress == Existing {
		return nil
	}
	s3 := network.Vpc.AddGatewayEndpoint(jsii.String("S3Endpoint"), &awsec2.GatewayVpcEndpointOptions{
		Service: awsec2.GatewayVpcEndpointAwsService_S3(),
		Subnets: &[]*awsec2.SubnetSelection{network.TaskSubnets},
	})
	for _, statement := range append(storage.access(cfg), ecrLayers(cfg.Region)) {
		statement.AddAnyPrincipal() // an endpoint's policy: the role's policy says who
		s3.AddToPolicy(statement)
	}

	group := awsec2.NewSecurityGroup(scope, jsii.String("EndpointSecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc: network.Vpc, AllowAllOutbound: jsii.Bool(false), Description: jsii.String("VPC endpoints: in from the tasks"),
	})
	group.AddIngressRule(network.Tasks, awsec2.Port_Tcp(jsii.Number(443)), jsii.String("HTTPS from the tasks"), nil)

	type endpoint struct {
		id      string
		service awsec2.InterfaceVpcEndpointAwsService
		actions []string // none: the endpoint is the agent's of Fargate, whose account is that of AWS
	}
	endpoints := []endpoint{
		{"EcrApiEndpoint", awsec2.InterfaceVpcEndpointAwsService_ECR(), imagePull()},
		{"EcrDkrEndpoint", awsec2.InterfaceVpcEndpointAwsService_ECR_DOCKER(), imagePull()},
		{"LogsEndpoint", awsec2.InterfaceVpcEndpointAwsService_CLOUDWATCH_LOGS(), []string{"logs:CreateLogStream", "logs:PutLogEvents"}},
	}
	if needsECSEndpoints(cfg.Region) {
		endpoints = append(endpoints,
			endpoint{"EcsEndpoint", awsec2.InterfaceVpcEndpointAwsService_ECS(), nil},
			endpoint{"EcsAgentEndpoint", awsec2.InterfaceVpcEndpointAwsService_ECS_AGENT(), nil},
			endpoint{"EcsTelemetryEndpoint", awsec2.InterfaceVpcEndpointAwsService_ECS_TELEMETRY(), nil})
	}
	ready := []constructs.IDependable{s3}
	for _, e := range endpoints {
		made := network.Vpc.AddInterfaceEndpoint(jsii.String(e.id), &awsec2.InterfaceVpcEndpointOptions{
			Service:        e.service,
			Subnets:        network.TaskSubnets,
			SecurityGroups: &[]awsec2.ISecurityGroup{group},
			Open:           jsii.Bool(false), // the security group says who, not the whole VPC
		})
		if e.actions != nil {
			made.AddToPolicy(ownAccount(awscdk.Stack_Of(scope), e.actions))
		}
		ready = append(ready, made)
	}
	return ready
}

// imagePull is what pulling an image takes.
func imagePull() []string {
	return []string{"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"}
}

// ownAccount lets identities of this account do the actions: credentials of another account, brought into a task,
// could else carry data out in its logs.
func ownAccount(stack awscdk.Stack, actions []string) awsiam.PolicyStatement {
	statement := allow("OwnAccount", actions, jsii.String("*")) // the policies of the roles say on what
	statement.AddAnyPrincipal()
	statement.AddCondition(jsii.String("StringEquals"), map[string]any{"aws:PrincipalAccount": stack.Account()})
	return statement
}

// ecrLayers lets images be pulled: ECR keeps their layers in a bucket of its own, and hands out signed URLs to it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
func ecrLayers(region string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String("ImageLayers"),
		Actions:   jsii.Strings("s3:GetObject"),
		Resources: jsii.Strings("arn:" + partition(region) + ":s3:::prod-" + region + "-starport-layer-bucket/*"),
	})
}
