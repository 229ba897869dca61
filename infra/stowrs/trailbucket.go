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

// newTrailBucket makes the bucket for the files of the trail alone. S3 does not deliver access logs into a bucket with Object Lock, so that
// the trail cannot share the bucket of access logs and be locked. The trail names the key in each of its requests; a bucket key would ask
// CloudTrail for kms:Decrypt as well.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func newTrailBucket(scope constructs.Construct, cfg config.Config, accessLogs awss3.IBucket, key awskms.IKey) awss3.Bucket {
	props := bucketProps(config.Retain) // the trail delivers until it is gone, and a bucket that is not empty would keep the stack from going
	props.Encryption, props.EncryptionKey = awss3.BucketEncryption_KMS, key
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = accessLogs, logFolder(cfg, "s3/trail/")
	props.LifecycleRules = logRetention(cfg)
	// Object Lock without a retention locks nothing. It is there from the beginning, so that TrailLockDays can be set when the first
	// deployment has succeeded: the trail writes when it is made, and a locked file would keep a rollback from taking the bucket back.
	props.ObjectLockEnabled = jsii.Bool(true)
	if days := cfg.Audit.TrailLockDays; days > 0 {
		// Compliance, not governance: the trail is the evidence of what administrators did, so that no administrator may erase it. Images
		// are locked in governance mode, since what is stored of a patient may have to be erased.
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Compliance(awscdk.Duration_Days(jsii.Number(days)))
	}
	bucket := awss3.NewBucket(scope, jsii.String("TrailBucket"), props)

	// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
	stack := awscdk.Stack_Of(scope)
	statement := func(sid, action string, resource *string, equal map[string]any) {
		equal["aws:SourceArn"] = trailArn(stack, cfg.AppName) // which has the account
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
