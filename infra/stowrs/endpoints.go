package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newEndpoints are the connections from the tasks to AWS that do not cross the internet: S3, ECR for the images, CloudWatch
// Logs, and ECS if Fargate needs it. Tasks must not start before they exist: they could not pull their images.
// With Egress Existing the VPC has its own connections, and none are created.
func newEndpoints(scope constructs.Construct, cfg config.Config, network Network, storage Storage) []constructs.IDependable {
	if cfg.Network.Egress == config.Existing {
		return nil
	}
	s3 := network.Vpc.AddGatewayEndpoint(jsii.String("S3Endpoint"), &awsec2.GatewayVpcEndpointOptions{
		Service: awsec2.GatewayVpcEndpointAwsService_S3(),
		Subnets: &[]*awsec2.SubnetSelection{network.TaskSubnets},
	})
	for _, statement := range append(storage.access(cfg), ecrLayers(cfg.Region)) {
		statement.AddAnyPrincipal() // an endpoint's policy: the policy of the role says who
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
	if config.NeedsECSEndpoints(cfg.Region) {
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
			Open:           jsii.Bool(false), // the security group says who may connect, not the whole VPC
		})
		if e.actions != nil {
			made.AddToPolicy(ownAccount(awscdk.Stack_Of(scope), e.actions))
		}
		ready = append(ready, made)
	}
	return ready
}

// imagePull are the actions for pulling an image.
func imagePull() []string {
	return []string{"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"}
}

// ownAccount allows identities of this account to do the actions: otherwise credentials of another account, brought into a task,
// could carry data out in its logs.
func ownAccount(stack awscdk.Stack, actions []string) awsiam.PolicyStatement {
	statement := allow("OwnAccount", actions, jsii.String("*")) // the policies of the roles say on what
	statement.AddAnyPrincipal()
	statement.AddCondition(jsii.String("StringEquals"), map[string]any{"aws:PrincipalAccount": stack.Account()})
	return statement
}

// ecrLayers allows images to be pulled: ECR keeps their layers in its own bucket, and returns signed URLs to it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
func ecrLayers(region string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String("ImageLayers"),
		Actions:   jsii.Strings("s3:GetObject"),
		Resources: jsii.Strings("arn:" + config.Partition(region) + ":s3:::prod-" + region + "-starport-layer-bucket/*"),
	})
}
