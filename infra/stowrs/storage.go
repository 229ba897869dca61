package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// Storage is the buckets and the keys that encrypt them.
type Storage struct {
	Dicom          awss3.IBucket
	DicomKey       awskms.IKey   // nil if S3 manages the keys, or the bucket existed before
	Certificates   awss3.Bucket  // nil with ACM
	CertificateKey awskms.IKey   // nil with ACM
	AccessLogs     awss3.IBucket // of the other buckets and the load balancer
	RecordsKey     awskms.IKey   // of logs, the trail and alarms
}

// uploadDays is how long a multipart upload may stay unfinished: 100 GB over a line of 2 Mbit/s take more than four
// days. The service sweeps its own uploads while it runs; this rule is for uploads that it never sees again.
const uploadDays = 7

// newStorage creates the buckets. Ids of stateful resources must not change: CloudFormation would replace them.
func newStorage(in constructs.Construct, cfg config.Config) Storage {
	scope := newScope(in, "Storage")
	storage := Storage{AccessLogs: logBucket(scope, cfg), RecordsKey: newRecordsKey(scope, cfg)}
	if existing := cfg.Storage.ExistingDicomBucket; existing != "" {
		storage.Dicom = awss3.Bucket_FromBucketName(scope, jsii.String("DicomBucket"), jsii.String(existing))
	} else {
		storage.Dicom, storage.DicomKey = newDicomBucket(scope, cfg, storage.AccessLogs)
	}
	if cfg.Certificate.CertificateMode == config.FromS3 {
		storage.Certificates, storage.CertificateKey = newCertificateBucket(scope, cfg, storage.AccessLogs)
	}
	if policy := storage.AccessLogs.Policy(); policy != nil {
		policy.ApplyRemovalPolicy(removalPolicy(config.Retain))
	}
	for _, bucket := range []awss3.IBucket{storage.Dicom, storage.Certificates} {
		if bucket != nil && bucket.Policy() != nil { // an existing bucket has no policy of the stack
			bucket.Policy().ApplyRemovalPolicy(removalPolicy(cfg.Storage.Retention)) // a bucket that remains still requires TLS
		}
	}
	return storage
}

// newDicomBucket creates the archive. Its name ends in random characters of the stack's id, so that a stack that is
// created again does not collide with the bucket that an earlier one left.
func newDicomBucket(scope constructs.Construct, cfg config.Config, logs awss3.IBucket) (awss3.IBucket, awskms.IKey) {
	props := bucketProps(cfg.Storage.Retention)
	props.BucketName = jsii.String(cfg.Storage.DicomBucket + "-" + *lastGroup(awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Aws_STACK_ID(), nil))))
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = logs, logFolder(cfg, "s3/dicom/")
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
		// Governance: someone with s3:BypassGovernanceRetention can still erase objects if necessary. The service cannot.
		props.ObjectLockEnabled = jsii.Bool(true)
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Governance(awscdk.Duration_Days(jsii.Number(days)))
	}
	var key awskms.IKey
	props.Encryption = awss3.BucketEncryption_S3_MANAGED
	if cfg.Storage.Encryption == config.KMS {
		if arn := cfg.Storage.ExistingDicomKey; arn != "" {
			key = existingKey(scope, "DicomKey", arn)
		} else {
			key = newKey(scope, "DicomKey", "dicom", "DICOM instances", cfg)
		}
		props.Encryption, props.EncryptionKey, props.BucketKeyEnabled = awss3.BucketEncryption_KMS, key, jsii.Bool(true)
	}
	bucket := awss3.NewBucket(scope, jsii.String("DicomBucket"), props)

	// To process new objects, subscribe with an EventBridge rule. The L2 property for it would add a Lambda function.
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket) //nolint:forcetypeassert // an L2 bucket is made of it
	resource.SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
		EventBridgeConfiguration: &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)},
	})
	return bucket, key
}

// newCertificateBucket creates the bucket for certificate.crt, certificate.key, truststore.crt and crl.pem, always with its own
// key, because it holds a private key. The bucket's name ends in characters of the key's id.
// Both are created again when a deployment changes to ACM and back, so that the name differs from that of the bucket that remained.
// An existing key stays the same in this case, and the bucket then has a generated name.
func newCertificateBucket(scope constructs.Construct, cfg config.Config, logs awss3.IBucket) (awss3.Bucket, awskms.IKey) {
	props := bucketProps(cfg.Storage.Retention)
	var key awskms.IKey
	if arn := cfg.Storage.ExistingCertificateKey; arn != "" {
		key = existingKey(scope, "CertificateKey", arn)
	} else {
		key = newKey(scope, "CertificateKey", "certificates", "TLS certificates", cfg)
		props.BucketName = jsii.String(cfg.Certificate.CertificateBucket + "-" + *lastGroup(key.KeyId()))
	}
	props.ServerAccessLogsBucket, props.ServerAccessLogsPrefix = logs, logFolder(cfg, "s3/certificates/")
	props.Encryption, props.EncryptionKey, props.BucketKeyEnabled = awss3.BucketEncryption_KMS, key, jsii.Bool(true)
	props.LifecycleRules = &[]*awss3.LifecycleRule{
		{Id: jsii.String("unfinished-uploads"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(uploadDays))},
	}
	return awss3.NewBucket(scope, jsii.String("CertificateBucket"), props), key
}

// bucketProps are what all buckets have in common.
func bucketProps(retention config.Retention) *awss3.BucketProps {
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
