package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Logs are the log groups of the deployment, encrypted, kept for LogRetentionDays. Their names are generated and
// begin with the stack's, so that a stack can be made again beside the log groups that an earlier one left.
type Logs struct {
	App   awslogs.LogGroup // JSON records of the app, with the audit record of each request
	Nginx awslogs.LogGroup // JSON records of nginx and certsync
	Flows awslogs.LogGroup // flow logs of the VPC; nil with ExistingVpc
	Trail awslogs.LogGroup // of CloudTrail; nil where no trail is made
}

func newLogs(scope constructs.Construct, cfg Config, key awskms.IKey) Logs {
	group := func(id string) awslogs.LogGroup {
		group := awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
			EncryptionKey: key,
			Retention:     awslogs.RetentionDays_INFINITE, // set below: CDK has words for the numbers of days
			RemovalPolicy: removalPolicy(cfg.Storage.Retention),
		})
		resource := group.Node().DefaultChild().(awslogs.CfnLogGroup) //nolint:forcetypeassert // an L2 log group is made of it
		resource.SetRetentionInDays(jsii.Number(cfg.Observability.LogRetentionDays))
		return group
	}
	logs := Logs{App: group("AppLogs"), Nginx: group("NginxLogs")}
	if cfg.Network.ExistingVpc.VpcID == "" {
		logs.Flows = group("FlowLogs")
	}
	if cfg.makesTrail() {
		logs.Trail = group("TrailLogs")
	}
	return logs
}
