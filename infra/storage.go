package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Storage is the buckets and the keys that encrypt them.
type Storage struct {
	Dicom          awss3.IBucket
	DicomKey       awskms.IKey   // nil when S3 manages the keys, or the bucket was there before
	Certificates   awss3.Bucket  // nil with ACM
	CertificateKey awskms.IKey   // nil with ACM
	AccessLogs     awss3.IBucket // of the other buckets and the load balancer
	Trail          awss3.Bucket  // files of the trail; nil where no trail is made
}

// uploadDays is how long a multipart upload may stay unfinished: 100 GB over a line of 2 Mbit/s take more than four
// days. The service sweeps its own while it runs; this rule is for those that it never sees again.
const uploadDays = 7

// newStorage makes the buckets. Ids of stateful resources must not change: CloudFormation would replace them.
func newStorage(scope constructs.Construct, cfg Config, records awskms.IKey) Storage {
	storage := Storage{AccessLogs: logBucket(scope, cfg)}
	if existing := cfg.Storage.ExistingDicomBucket; existing != "" {
		storage.Dicom = awss3.Bucket_FromBucketName(scope, jsii.String("DicomBucket"), jsii.String(existing))
	} else {
		storage.Dicom, storage.DicomKey = newDicomBucket(scope, cfg, storage.AccessLogs)
	}
	if cfg.Certificate.CertificateMode == FromS3 {
		storage.Certificates, storage.CertificateKey = newCertificateBucket(scope, cfg, storage.AccessLogs)
	}
	if cfg.makesTrail() {
		storage.Trail = newTrailBucket(scope, cfg, storage.AccessLogs, records)
	}
	if policy := storage.AccessLogs.Policy(); policy != nil {
		policy.ApplyRemovalPolicy(removalPolicy(Retain))
	}
	for _, bucket := range []awss3.IBucket{storage.Dicom, storage.Certificates} {
		if bucket != nil && bucket.Policy() != nil { // an existing bucket has none of ours
			bucket.Policy().ApplyRemovalPolicy(removalPolicy(cfg.Storage.Retention)) // a bucket that stays goes on to answer TLS only
		}
	}
	return storage
}

// newDicomBucket makes the archive. Its name ends in random characters of the stack's id, so that a stack which is
// made again does not meet the bucket that an earlier one left.
func newDicomBucket(scope constructs.Construct, cfg Config, logs awss3.IBucket) (awss3.IBucket, awskms.IKey) {
	props := bucketProps(cfg.Storage.Retention)
	props.BucketName = jsii.String(cfg.Storage.DicomBucket + "-" + *lastGroup(awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Aws_STACK_ID(), nil))))
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = logs, cfg.logFolder("s3/dicom/")
	rule := &awss3.LifecycleRule{Id: jsii.String("unfinished-uploads"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(uploadDays))}
	props.LifecycleRules = &[]*awss3.LifecycleRule{rule}
	if days := cfg.Storage.NoncurrentVersionDays; days > 0 {
		*props.LifecycleRules = append(*props.LifecycleRules, &awss3.LifecycleRule{
			Id: jsii.String("overwritten-versions"), NoncurrentVersionExpiration: awscdk.Duration_Days(jsii.Number(days)),
		})
	}
	if transitions := cfg.Storage.Transitions; len(transitions) > 0 {
		steps := []*awss3.Transition{}
		for _, t := range transitions {
			steps = append(steps, &awss3.Transition{
				StorageClass: awss3.NewStorageClass(jsii.String(t.StorageClass)), TransitionAfter: awscdk.Duration_Days(jsii.Number(t.AfterDays)),
			})
		}
		*props.LifecycleRules = append(*props.LifecycleRules, &awss3.LifecycleRule{Id: jsii.String("transitions"), Transitions: &steps})
	}
	if days := cfg.Storage.ObjectLockDays; days > 0 {
		// Governance: someone with s3:BypassGovernanceRetention can still erase what must be erased. The service cannot.
		props.ObjectLockEnabled = jsii.Bool(true)
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Governance(awscdk.Duration_Days(jsii.Number(days)))
	}
	var key awskms.IKey
	props.Encryption = awss3.BucketEncryption_S3_MANAGED
	if cfg.Storage.Encryption == KMS {
		if arn := cfg.Storage.ExistingDicomKey; arn != "" {
			key = existingKey(scope, "DicomKey", arn)
		} else {
			key = newKey(scope, "DicomKey", "dicom", "DICOM instances", cfg)
		}
		props.Encryption, props.EncryptionKey, props.BucketKeyEnabled = awss3.BucketEncryption_KMS, key, jsii.Bool(true)
	}
	bucket := awss3.NewBucket(scope, jsii.String("DicomBucket"), props)

	// Whoever wants to process what arrives subscribes with an EventBridge rule. The L2 property for it would bring a Lambda function.
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket) //nolint:forcetypeassert // an L2 bucket is made of it
	resource.SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
		EventBridgeConfiguration: &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)},
	})
	return bucket, key
}

// newCertificateBucket makes the bucket for certificate.crt, certificate.key, truststore.crt and crl.pem, with a key
// of its own whatever Encryption says: it holds a private key. The bucket's name ends in characters of the key's id.
// Both are made anew when a deployment goes to ACM and comes back, so that the name is not that of the bucket left then.
// An existing key stays the same when they come back, and the bucket has a generated name then.
func newCertificateBucket(scope constructs.Construct, cfg Config, logs awss3.IBucket) (awss3.Bucket, awskms.IKey) {
	props := bucketProps(cfg.Storage.Retention)
	var key awskms.IKey
	if arn := cfg.Storage.ExistingCertificateKey; arn != "" {
		key = existingKey(scope, "CertificateKey", arn)
	} else {
		key = newKey(scope, "CertificateKey", "certificates", "TLS certificates", cfg)
		props.BucketName = jsii.String(cfg.Certificate.CertificateBucket + "-" + *lastGroup(key.KeyId()))
	}
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = logs, cfg.logFolder("s3/certificates/")
	props.Encryption, props.EncryptionKey, props.BucketKeyEnabled = awss3.BucketEncryption_KMS, key, jsii.Bool(true)
	props.LifecycleRules = &[]*awss3.LifecycleRule{
		{Id: jsii.String("unfinished-uploads"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(uploadDays))},
	}
	return awss3.NewBucket(scope, jsii.String("CertificateBucket"), props), key
}

// bucketProps are what all buckets have in common.
func bucketProps(retention Retention) *awss3.BucketProps {
	return &awss3.BucketProps{
		Versioned:         jsii.Bool(true),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		RemovalPolicy:     removalPolicy(retention),
	}
}

// lastGroup is the last 12 hexadecimal digits of a UUID, which is random.
func lastGroup(uuid *string) *string {
	return awscdk.Fn_Select(jsii.Number(4), awscdk.Fn_Split(jsii.String("-"), uuid, nil))
}
