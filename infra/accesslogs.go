package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// logBucket is where access logs go: ExistingLogBucket, whose policy is not ours to write, or a new one.
func logBucket(scope constructs.Construct, cfg Config) awss3.IBucket {
	existing := cfg.Storage.ExistingLogBucket
	if existing == "" {
		return newAccessLogBucket(scope, cfg)
	}
	// docs/operations.md has the statements that CDK would have added.
	awscdk.Annotations_Of(scope).AcknowledgeWarning(jsii.String("@aws-cdk/aws-s3:accessLogsPolicyNotAdded"), jsii.String("whoever keeps the bucket writes its policy"))
	return awss3.Bucket_FromBucketName(scope, jsii.String("AccessLogBucket"), jsii.String(existing))
}

// logFolder is where logs are put: in an existing bucket below a folder of this deployment, since others may deliver into it as well.
func (c Config) logFolder(name string) *string {
	if c.Storage.ExistingLogBucket != "" {
		name = c.AppName + "/" + name
	}
	return jsii.String(name)
}

// newAccessLogBucket makes the bucket that log delivery writes into. S3 delivers access logs into buckets that S3
// encrypts with its own keys only.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
func newAccessLogBucket(scope constructs.Construct, cfg Config) awss3.Bucket {
	props := bucketProps(Retain) // log delivery goes on for hours after the stack is gone, and a bucket that is not empty would keep it from going
	props.Encryption = awss3.BucketEncryption_S3_MANAGED
	props.LifecycleRules = logRetention(cfg)
	return awss3.NewBucket(scope, jsii.String("AccessLogBucket"), props)
}

// logRetention deletes what is LogRetentionDays old.
func logRetention(cfg Config) *[]*awss3.LifecycleRule {
	return &[]*awss3.LifecycleRule{{
		Id:                                  jsii.String("log-retention"),
		Expiration:                          awscdk.Duration_Days(jsii.Number(cfg.Observability.LogRetentionDays)),
		NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(1)), // of what has expired: its time is over
		AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(uploadDays)),
	}}
}

// deliverLogs lets a service of AWS write below keys, on behalf of what has sourceArn in this account only. An existing bucket ignores it.
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

// logConnections has the load balancer log into the bucket. It logs what arrives at TLS listeners only; with FromS3 the
// log of nginx is the record. CDK's own method lets any account's log delivery in, and a user of AWS that only
// application load balancers need.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/enable-access-logs.html
func logConnections(loadBalancer elb.NetworkLoadBalancer, cfg Config, bucket awss3.IBucket) {
	prefix := *cfg.logFolder("nlb")
	stack := awscdk.Stack_Of(bucket)
	deliverLogs(bucket, "delivery.logs.amazonaws.com", "LoadBalancer", prefix+"/AWSLogs/"+*stack.Account()+"/*", stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("logs"), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	}))
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.enabled"), jsii.String("true"))
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.bucket"), bucket.BucketName())
	loadBalancer.SetAttribute(jsii.String("access_logs.s3.prefix"), jsii.String(prefix))
	if policy := bucket.Policy(); policy != nil {
		loadBalancer.Node().AddDependency(policy) // it writes when it is told to log, to show that it can
	}
}
