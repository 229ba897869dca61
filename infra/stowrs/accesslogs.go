package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// logBucket is the bucket for access logs: ExistingLogBucket, whose policy the stack does not write, or a new one.
func logBucket(scope constructs.Construct, cfg config.Config) awss3.IBucket {
	existing := cfg.Storage.ExistingLogBucket
	if existing == "" {
		return newAccessLogBucket(scope, cfg)
	}
	// docs/operations.md has the statements that CDK would have added.
	awscdk.Annotations_Of(scope).AcknowledgeWarning(jsii.String("@aws-cdk/aws-s3:accessLogsPolicyNotAdded"), jsii.String("whoever keeps the bucket writes its policy"))
	return awss3.Bucket_FromBucketName(scope, jsii.String("AccessLogBucket"), jsii.String(existing))
}

// logFolder is the folder for logs: in an existing bucket below a folder of this deployment, because others may deliver into it as well.
func logFolder(cfg config.Config, name string) *string {
	if cfg.Storage.ExistingLogBucket != "" {
		name = cfg.AppName + "/" + name
	}
	return jsii.String(name)
}

// newAccessLogBucket creates the bucket that log delivery writes into. S3 delivers access logs only into buckets that S3
// encrypts with its own keys.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
func newAccessLogBucket(scope constructs.Construct, cfg config.Config) awss3.Bucket {
	props := bucketProps(config.Retain) // log delivery continues for hours after the stack is destroyed, and a bucket that is not empty would stop the deletion
	props.Encryption = awss3.BucketEncryption_S3_MANAGED
	props.LifecycleRules = logRetention(cfg)
	return awss3.NewBucket(scope, jsii.String("AccessLogBucket"), props)
}

// logRetention deletes objects that are LogRetentionDays old.
func logRetention(cfg config.Config) *[]*awss3.LifecycleRule {
	return &[]*awss3.LifecycleRule{{
		Id:                                  jsii.String("log-retention"),
		Expiration:                          awscdk.Duration_Days(jsii.Number(cfg.Observability.LogRetentionDays)),
		NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(1)), // of what has expired: its time is over
		AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(uploadDays)),
	}}
}

// deliverLogs allows a service of AWS to write below keys, only on behalf of sourceArn in this account. An existing bucket ignores it.
func deliverLogs(bucket awss3.IBucket, service, sid, keys string, sourceArn *string) {
	statement := func(sid, action string, resource *string, equal map[string]any) {
		equal["aws:SourceAccount"] = awscdk.Stack_Of(bucket).Account()
		s := allow(sid, []string{action}, resource)
		s.AddServicePrincipal(jsii.String(service), nil)
		s.AddConditions(&map[string]any{"StringEquals": equal, "ArnLike": map[string]any{"aws:SourceArn": sourceArn}})
		bucket.AddToResourcePolicy(s)
	}
	statement(sid+"Logs", "s3:PutObject", bucket.ArnForObjects(jsii.String(keys)), map[string]any{"s3:x-amz-acl": "bucket-owner-full-control"})
	statement(sid+"LogsCheck", "s3:GetBucketAcl", bucket.BucketArn(), map[string]any{})
}

// logConnections makes the load balancer log into the bucket. It logs only connections at TLS listeners; with FromS3 the
// log of nginx is the record. CDK's own method allows the log delivery of any account, and a user of AWS that only
// application load balancers need.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/enable-access-logs.html
func logConnections(loadBalancer elb.NetworkLoadBalancer, cfg config.Config, bucket awss3.IBucket) {
	prefix := *logFolder(cfg, "nlb")
	stack := awscdk.Stack_Of(bucket)
	deliverLogs(bucket, "delivery.logs.amazonaws.com", "LoadBalancer", prefix+"/AWSLogs/"+*stack.Account()+"/*", stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("logs"), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	}))
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.enabled"), jsii.String("true"))
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.bucket"), bucket.BucketName())
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.prefix"), jsii.String(prefix))
	if policy := bucket.Policy(); policy != nil {
		loadBalancer.Node().AddDependency(policy) // it writes a test file when logging is configured
	}
}
