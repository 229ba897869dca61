package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// Network is the VPC: a task subnet in every zone, and a public one for an internet-facing load balancer or for NAT; or the
// existing VPC.
type Network struct {
	Vpc                 awsec2.IVpc
	DefaultGroup        *string // id of the default security group of a VPC that the stack creates; nil with ExistingVpc
	TaskSubnets         *awsec2.SubnetSelection
	LoadBalancerSubnets *awsec2.SubnetSelection  // the public ones, or the tasks' own when Scheme is Internal and ExistingVpc has none
	Tasks               awsec2.SecurityGroup     // of the tasks; nothing may connect until the load balancer is allowed
	Endpoints           []constructs.IDependable // connections to AWS that the stack creates; without them no task starts
	FlowLogs            awslogs.LogGroup         // nil with ExistingVpc
}

const (
	taskSubnets   = "Tasks"
	publicSubnets = "Public"
)

// newNetwork creates the VPC, or uses the existing one, and creates the security group of the tasks and their connections to AWS.
func newNetwork(in constructs.Construct, cfg config.Config, storage Storage) Network {
	scope := newScope(in, "Network")
	var network Network
	if cfg.Network.ExistingVpc.VpcID != "" {
		network = existingVpc(scope, cfg.Network)
	} else {
		logs := newLogGroup(scope, "FlowLogs", cfg, storage.RecordsKey)
		network = newVpc(scope, cfg.Network, cfg.LoadBalancer.Scheme, logs)
		network.FlowLogs = logs
	}
	network.Tasks = awsec2.NewSecurityGroup(scope, jsii.String("TaskSecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc: network.Vpc, AllowAllOutbound: jsii.Bool(false), Description: jsii.String("Tasks: in from the load balancer, out to HTTPS"),
	})
	// To S3, which has public addresses behind its gateway endpoint (their prefix list cannot be known without a look-up), and to
	// the interface endpoints. Without NAT there is no route to any other address; an ExistingVpc has the routes that it has.
	network.Tasks.AddEgressRule(awsec2.Peer_AnyIpv4(), awsec2.Port_Tcp(jsii.Number(443)), jsii.String("HTTPS to S3 and to VPC endpoints"), nil)
	network.Endpoints = newEndpoints(scope, cfg, network, storage)
	return network
}

// newVpc creates the VPC. Tasks have no public address, and without NAT no route out of it. The subnets of the tasks
// come first, so that they keep their addresses when public ones are added or removed.
func newVpc(scope constructs.Construct, cfg config.NetworkConfig, scheme config.Scheme, flowLogs awslogs.ILogGroup) Network {
	mask := jsii.Number(cfg.SubnetBits())
	taskSubnetType, natGateways := awsec2.SubnetType_PRIVATE_ISOLATED, 0
	if cfg.Egress == config.NAT {
		taskSubnetType, natGateways = awsec2.SubnetType_PRIVATE_WITH_EGRESS, cfg.Zones() // one per zone: a zone that fails does not affect others
	}
	subnets := []*awsec2.SubnetConfiguration{{Name: jsii.String(taskSubnets), SubnetType: taskSubnetType, CidrMask: mask}}
	loadBalancerSubnets := taskSubnets
	if scheme == config.InternetFacing {
		loadBalancerSubnets = publicSubnets
	}
	if scheme == config.InternetFacing || cfg.Egress == config.NAT {
		subnets = append(subnets, &awsec2.SubnetConfiguration{
			Name: jsii.String(publicSubnets), SubnetType: awsec2.SubnetType_PUBLIC, CidrMask: mask, MapPublicIpOnLaunch: jsii.Bool(false),
		})
	}
	props := &awsec2.VpcProps{
		IpAddresses:         awsec2.IpAddresses_Cidr(jsii.String(cfg.VpcCIDR)),
		NatGateways:         jsii.Number(natGateways),
		SubnetConfiguration: &subnets,
		// Emptying it would need a Lambda function. Nothing is in this group, and an output has the command that empties it.
		RestrictDefaultSecurityGroup: jsii.Bool(false),
	}
	zones := jsii.Strings(cfg.AvailabilityZones...)
	if len(*zones) == 0 {
		for n := range cfg.Zones() {
			*zones = append(*zones, awscdk.Fn_Select(jsii.Number(n), awscdk.Fn_GetAzs(nil))) // CloudFormation fills them in
		}
	}
	props.AvailabilityZones = zones
	vpc := awsec2.NewVpc(scope, jsii.String("Vpc"), props)
	vpc.AddFlowLog(jsii.String("FlowLog"), &awsec2.FlowLogOptions{
		Destination: awsec2.FlowLogDestination_ToCloudWatchLogs(flowLogs, newFlowLogRole(scope)),
		TrafficType: awsec2.FlowLogTrafficType_ALL,
	})
	return Network{Vpc: vpc, DefaultGroup: vpc.VpcDefaultSecurityGroup(), TaskSubnets: subnetsNamed(taskSubnets), LoadBalancerSubnets: subnetsNamed(loadBalancerSubnets)}
}

// lookUpNoZones prevents CDK from asking for the zones of a stack whose account and region it knows, for which it would need
// credentials: newVpc says which zones it uses.
func lookUpNoZones(stack awscdk.Stack, cfg config.Config) {
	if cfg.Account == "" || len(*stack.Node().Children()) > 0 { // a stack that already has children accepts no context, and looks its zones up
		return
	}
	zones := []any{"not looked up"}
	for n, zone := range cfg.Network.AvailabilityZones {
		zones = append(zones[:n], zone)
	}
	stack.Node().SetContext(jsii.String("availability-zones:account="+cfg.Account+":region="+cfg.Region), zones)
}

// subnetsNamed are those of taskSubnets or publicSubnets, one in every zone.
func subnetsNamed(name string) *awsec2.SubnetSelection {
	return &awsec2.SubnetSelection{SubnetGroupName: jsii.String(name)}
}

// newFlowLogRole is the role that writes flow logs of this account; CDK adds its permissions.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
func newFlowLogRole(scope constructs.Construct) awsiam.Role {
	stack := awscdk.Stack_Of(scope)
	return awsiam.NewRole(scope, jsii.String("FlowLogRole"), &awsiam.RoleProps{
		Description: jsii.String("Flow logs of the VPC: write their log group"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("vpc-flow-logs.amazonaws.com"), &awsiam.ServicePrincipalOpts{Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
			"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("ec2"), Resource: jsii.String("vpc-flow-log"), ResourceName: jsii.String("*"),
			})},
		}}),
	})
}
