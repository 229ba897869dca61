package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newLogGroup creates an encrypted log group, kept for LogRetentionDays. Its name is generated and begins with that of the stack, so that a stack can
// be created again beside the log groups of an earlier one.
func newLogGroup(scope constructs.Construct, id string, cfg config.Config, key awskms.IKey) awslogs.LogGroup {
	group := awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
		EncryptionKey: key,
		Retention:     awslogs.RetentionDays_INFINITE, // set below: CDK has words for the numbers of days
		RemovalPolicy: removalPolicy(cfg.Storage.Retention),
	})
	resource := group.Node().DefaultChild().(awslogs.CfnLogGroup) //nolint:forcetypeassert // an L2 log group is made of it
	resource.SetRetentionInDays(jsii.Number(cfg.Observability.LogRetentionDays))
	return group
}
