package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newKey is a KMS key that rotates every year, with the alias AppName/purpose. The policies of roles in this account, and services that are
// added to it, decide who may use it; KeyAdministrators, or also the policies of roles, decide who administers it.
func newKey(scope constructs.Construct, id, purpose, description string, cfg config.Config) awskms.Key {
	return awskms.NewKey(scope, jsii.String(id), &awskms.KeyProps{
		Alias:             jsii.String(cfg.AppName + "/" + purpose),
		Description:       jsii.String(description + " of " + cfg.AppName),
		Policy:            keyPolicy(scope, cfg),
		EnableKeyRotation: jsii.Bool(true),
		PendingWindow:     awscdk.Duration_Days(jsii.Number(30)), // the longest possible: with the key, all data that it encrypts are lost
		RemovalPolicy:     removalPolicy(cfg.Storage.Retention),
	})
}

// existingKey is an existing key, named by its ARN. The stack does not write its policy: additions to it have no effect.
func existingKey(scope constructs.Construct, id, arn string) awskms.IKey {
	return awskms.Key_FromKeyArn(scope, jsii.String(id), jsii.String(arn))
}

// newRecordsKey is the key of logs, the trail and alarms. Their services use it directly, each only for this
// deployment, except EventBridge, which does not identify itself. The images cannot be read with it, because another key encrypts them.
func newRecordsKey(scope constructs.Construct, cfg config.Config) awskms.IKey {
	if arn := cfg.Storage.ExistingRecordsKey; arn != "" {
		return existingKey(scope, "RecordsKey", arn)
	}
	key := newKey(scope, "RecordsKey", "records", "Logs, trail and alarms", cfg)
	stack := awscdk.Stack_Of(scope)
	allow := func(sid, service string, actions []string, conditions map[string]any) {
		statement := awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String(sid),
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(service), nil)},
			Actions:    jsii.Strings(actions...),
			Resources:  jsii.Strings("*"), // in a key's policy: this key
		})
		if conditions != nil {
			statement.AddConditions(&conditions)
		}
		key.AddToResourcePolicy(statement, nil)
	}
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
	// Names of log groups are generated, and begin with the name of the stack.
	allow("Logs", "logs."+cfg.Region+"."+*stack.UrlSuffix(), []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"},
		map[string]any{"ArnLike": map[string]any{
			"kms:EncryptionContext:aws:logs:arn": stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("logs"), Resource: jsii.String("log-group"), ResourceName: jsii.String(*stack.StackName() + "-*"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
			}),
		}})
	// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
	if cfg.MakesTrail() {
		trail := trailArn(stack, cfg.AppName)
		allow("Trail", "cloudtrail.amazonaws.com", []string{"kms:GenerateDataKey*"}, map[string]any{
			"StringEquals": map[string]any{"aws:SourceArn": trail, "kms:EncryptionContext:aws:cloudtrail:arn": trail},
		})
		allow("TrailDescribes", "cloudtrail.amazonaws.com", []string{"kms:DescribeKey"}, map[string]any{ // it has no encryption context
			"StringEquals": map[string]any{"aws:SourceArn": trail},
		})
	}
	// An alarm publishes to an encrypted topic: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
	// For EventBridge, SNS supports neither aws:SourceAccount nor aws:SourceArn here: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
	if cfg.Observability.AlarmEmail != "" {
		allow("Alarms", "cloudwatch.amazonaws.com", []string{"kms:Decrypt", "kms:GenerateDataKey*"}, map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
		})
		allow("Changes", "events.amazonaws.com", []string{"kms:Decrypt", "kms:GenerateDataKey*"}, nil)
	}
	return key
}

// removalPolicy says what CloudFormation does with a stateful resource that is removed from the stack.
func removalPolicy(retention config.Retention) awscdk.RemovalPolicy {
	if retention == config.Destroy {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE // a creation that is rolled back leaves nothing behind
}
