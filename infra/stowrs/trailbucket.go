package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// trailPrefix is the folder of the trail's files in its bucket.
const trailPrefix = "cloudtrail"

// newTrailBucket creates the bucket for the files of the trail. S3 does not deliver access logs into a bucket with Object Lock, so
// the trail needs a separate bucket that can be locked. The trail names the key in each of its requests; with a bucket key,
// CloudTrail would also need kms:Decrypt.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func newTrailBucket(scope constructs.Construct, cfg config.Config, accessLogs awss3.IBucket, key awskms.IKey) awss3.Bucket {
	props := bucketProps(config.Retain) // the trail delivers until it is deleted, and a bucket that is not empty would prevent the deletion of the stack
	props.Encryption, props.EncryptionKey = awss3.BucketEncryption_KMS, key
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = accessLogs, logFolder(cfg, "s3/trail/")
	props.LifecycleRules = logRetention(cfg)
	// Object Lock without a retention locks nothing. It is on from the beginning, so that TrailLockDays can be set after the first
	// deployment has succeeded: a new trail writes a file at once, and if this were locked, a rollback could not delete the bucket.
	props.ObjectLockEnabled = jsii.Bool(true)
	if days := cfg.Audit.TrailLockDays; days > 0 {
		// Compliance, not governance: the trail records what administrators did, so no administrator may delete it. Images
		// are locked in governance mode, because images of a patient may have to be deleted.
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Compliance(awscdk.Duration_Days(jsii.Number(days)))
	}
	bucket := awss3.NewBucket(scope, jsii.String("TrailBucket"), props)

	// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
	stack := awscdk.Stack_Of(scope)
	statement := func(sid, action string, resource *string, equal map[string]any) {
		equal["aws:SourceArn"] = trailArn(stack, cfg.AppName) // the ARN contains the account
		s := allow(sid, []string{action}, resource)
		s.AddPrincipals(awsiam.NewServicePrincipal(jsii.String("cloudtrail.amazonaws.com"), nil))
		s.AddConditions(&map[string]any{"StringEquals": equal})
		bucket.AddToResourcePolicy(s)
	}
	statement("TrailFilesCheck", "s3:GetBucketAcl", bucket.BucketArn(), map[string]any{})
	statement("TrailFiles", "s3:PutObject", bucket.ArnForObjects(jsii.String(trailPrefix+"/AWSLogs/"+*stack.Account()+"/*")),
		map[string]any{"s3:x-amz-acl": "bucket-owner-full-control"})
	bucket.Policy().ApplyRemovalPolicy(removalPolicy(config.Retain))
	return bucket
}
