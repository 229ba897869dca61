package config

// StorageConfig is the buckets, and how their data are kept.
type StorageConfig struct {
	// DicomBucket is the prefix of the name of the bucket for DICOM: lower case letters, digits, dots and hyphens, at
	// most 50 characters; 12 random ones follow it. Default stowrstos3-dicom. If it changes, a new bucket is created and
	// the old one remains where it is.
	DicomBucket string
	// ExistingDicomBucket is the whole name of an existing bucket that is used instead of a new one; its
	// settings do not change, and DicomBucket is ignored. Default: none. If KMS encrypts it, put the ARN of
	// its key into ExistingDicomKey.
	ExistingDicomBucket string
	// ExistingDicomKey is the ARN of the KMS key that encrypts ExistingDicomBucket: without it every store is refused. Without an
	// ExistingDicomBucket it is a key to use for the new bucket instead of a new one, with Encryption KMS. The policy of a key of another
	// account must also allow this one. Default: none.
	ExistingDicomKey string
	// ExistingCertificateKey is the ARN of a KMS key in Region that encrypts the bucket for certificates instead of a new one; the bucket's name
	// is then generated. Ignored with ACM. Default: none.
	ExistingCertificateKey string
	// ExistingRecordsKey is the ARN of a KMS key in Region that encrypts logs, the trail and alarms instead of a new one. Its policy must allow
	// CloudWatch, CloudTrail and EventBridge to use it. Default: none.
	ExistingRecordsKey string
	// ExistingLogBucket is the whole name of a bucket of this account and Region that gets the access logs of buckets and load balancer, below
	// a folder AppName, instead of a new one. Its policy must allow their delivery; it must have no Object Lock, and use SSE-S3. Default: none.
	ExistingLogBucket string
	// Encryption of the bucket for DICOM is KMS (default: a key of this deployment) or S3Managed (AES256 with keys
	// of S3). Logs and certificates have KMS keys of their own in any case.
	Encryption Encryption
	// Retention says what happens when the stack is destroyed: Retain (default) keeps buckets, keys and logs; Destroy is for
	// trials and deletes them, and a bucket that is not empty stops the deletion. The buckets of access logs and of the trail remain in any case: they get
	// records for hours after the last request.
	Retention Retention
	// ObjectLockDays protects every version of an object from deletion for this number of days (S3 Object Lock, governance
	// mode), 0 to 36500. Default 0, no lock. Object Lock can never be removed from a bucket.
	ObjectLockDays int
	// NoncurrentVersionDays deletes versions that were overwritten this many days ago, 0 to 36500. Default 0: never.
	NoncurrentVersionDays int
	// Transitions move objects to cheaper storage classes as they grow older, the youngest first. S3 does not move objects below
	// 128 KiB. Default: none.
	Transitions []Transition
	// CloudTrailDataEvents records every access to an object of the DICOM bucket in a trail: one of this deployment, or Audit.ExistingTrailArn.
	// Default true.
	CloudTrailDataEvents bool
}

// Transition moves objects to another storage class.
type Transition struct {
	// AfterDays is the age of the object, 0 to 36500; 30 at least for STANDARD_IA and ONEZONE_IA.
	AfterDays int
	// StorageClass is STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, GLACIER or DEEP_ARCHIVE: objects in the last two must be
	// restored before they can be read.
	StorageClass string
}

// Encryption says whose keys encrypt the buckets.
type Encryption string

// Values of Encryption.
const (
	S3Managed Encryption = "S3Managed"
	KMS       Encryption = "KMS"
)

// Retention says what happens to stored data when the stack is destroyed.
type Retention string

// Values of Retention.
const (
	Retain  Retention = "retain"
	Destroy Retention = "destroy"
)
