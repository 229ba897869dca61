package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudtrail"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newTrail records who read or wrote which object in the buckets with images and private keys and, with ManagementEvents, who changed which resource of
// the account. Without these events, EventBridge would not see changes of keys, buckets and the trail, unless another trail records them. Reads, and uses
// of keys, are not recorded as changes. The CDK class Trail would allow the trails of any account to write into the bucket.
func newTrail(scope constructs.Construct, cfg config.Config, storage Storage, of Observability) {
	// The trust policy has no condition, as AWS documents it: CloudTrail sends no aws:SourceAccount or aws:SourceArn when it assumes
	// the role, and CreateTrail would fail with one. The role may only write to this one log group.
	// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
	role := awsiam.NewRole(scope, jsii.String("TrailRole"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("cloudtrail.amazonaws.com"), nil),
		Description: jsii.String("Trail of " + cfg.AppName + ": write its log group"),
	})
	write := of.TrailLogs.GrantWrite(role)

	objects := []*string{jsii.String(*storage.Dicom.BucketArn() + "/")}
	if storage.Certificates != nil {
		objects = append(objects, jsii.String(*storage.Certificates.BucketArn()+"/"))
	}
	selectors := []any{&awscloudtrail.CfnTrail_EventSelectorProperty{
		IncludeManagementEvents: jsii.Bool(false), ReadWriteType: jsii.String("All"),
		DataResources: []any{&awscloudtrail.CfnTrail_DataResourceProperty{Type: jsii.String("AWS::S3::Object"), Values: &objects}},
	}}
	if cfg.Audit.ManagementEvents {
		selectors = append(selectors, &awscloudtrail.CfnTrail_EventSelectorProperty{IncludeManagementEvents: jsii.Bool(true), ReadWriteType: jsii.String("WriteOnly")})
	}
	trail := awscloudtrail.NewCfnTrail(scope, jsii.String("Trail"), &awscloudtrail.CfnTrailProps{
		TrailName:                  jsii.String(trailName(cfg.AppName)),
		IsLogging:                  jsii.Bool(true),
		S3BucketName:               of.Trail.BucketName(),
		S3KeyPrefix:                jsii.String(trailPrefix),
		KmsKeyId:                   storage.RecordsKey.KeyArn(),
		EnableLogFileValidation:    jsii.Bool(true), // shows a file that was changed or removed
		CloudWatchLogsLogGroupArn:  of.TrailLogs.LogGroupArn(),
		CloudWatchLogsRoleArn:      role.RoleArn(),
		IncludeGlobalServiceEvents: jsii.Bool(false),
		IsMultiRegionTrail:         jsii.Bool(false),
		EventSelectors:             selectors,
	})
	write.ApplyBefore(trail)
	trail.Node().AddDependency(of.Trail.Policy()) // a new trail first writes a file, as a test
}

// trailName is known before the trail is created: the policy of its key contains it.
func trailName(appName string) string { return appName }

func trailArn(stack awscdk.Stack, appName string) *string {
	return stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("cloudtrail"), Resource: jsii.String("trail"), ResourceName: jsii.String(trailName(appName)), ArnFormat: awscdk.ArnFormat_SLASH_RESOURCE_NAME,
	})
}
