package main

// StorageConfig is the buckets, and how what they hold is kept.
type StorageConfig struct {
	// DicomBucket is the prefix of the name of the bucket for DICOM: lower case letters, digits, dots and hyphens, at
	// most 50 characters; 12 random ones follow it. Default stowrstos3-dicom. Changing it makes another bucket and
	// leaves the old one where it is.
	DicomBucket string
	// ExistingDicomBucket is the whole name of a bucket that is there already and is used instead of a new one; its
	// own settings stay as they are, and DicomBucket is ignored. Default: none. When KMS encrypts it, put the ARN of
	// its key into ExistingDicomKey.
	ExistingDicomBucket string
	// ExistingDicomKey is the ARN of the KMS key that encrypts ExistingDicomBucket: without it every store is refused. Without an
	// ExistingDicomBucket it is a key that is used for the new bucket instead of a new one, with Encryption KMS. The policy of a key of another
	// account has to let this one in, too. Default: none.
	ExistingDicomKey string
	// ExistingCertificateKey is the ARN of a KMS key in Region that encrypts the bucket for certificates instead of a new one; the bucket's name
	// is a generated one then. Ignored with ACM. Default: none.
	ExistingCertificateKey string
	// ExistingRecordsKey is the ARN of a KMS key in Region that encrypts logs, the trail and alarms instead of a new one. Its policy has to let
	// CloudWatch, CloudTrail and EventBridge use it. Default: none.
	ExistingRecordsKey string
	// ExistingLogBucket is the whole name of a bucket of this account and Region that gets the access logs of buckets and load balancer, below
	// a folder AppName, instead of a new one. Its policy has to let them be delivered; it has no Object Lock, and SSE-S3. Default: none.
	ExistingLogBucket string
	// Encryption of the bucket for DICOM is KMS (default: a key of this deployment) or S3Managed (AES256 with keys
	// of S3). Logs and certificates have KMS keys of their own in any case.
	Encryption Encryption
	// Retention says what destroying the stack does: Retain (default) leaves buckets, keys and logs, Destroy is for
	// trials and deletes them; a bucket that is not empty stops it. The bucket for access logs stays in any case: it gets
	// records for hours after the last request.
	Retention Retention
	// ObjectLockDays keeps every version of an object from deletion for that many days (S3 Object Lock, governance
	// mode), 0 to 36500. Default 0, no lock. Object Lock can never be taken from a bucket again.
	ObjectLockDays int
	// NoncurrentVersionDays deletes versions that were overwritten this many days ago, 0 to 36500. Default 0: never.
	NoncurrentVersionDays int
	// Transitions move objects to cheaper storage classes as they grow older, the youngest first. Objects below 128 KiB stay, as
	// S3 has it. Default: none.
	Transitions []Transition
	// CloudTrailDataEvents records every access to an object of the DICOM bucket in a trail: one of this deployment, or Audit.ExistingTrailArn.
	// Default true.
	CloudTrailDataEvents bool
}

// Transition moves objects to another storage class.
type Transition struct {
	// AfterDays is the age of the object, 0 to 36500; 30 at least for STANDARD_IA and ONEZONE_IA.
	AfterDays int
	// StorageClass is STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, GLACIER or DEEP_ARCHIVE: what is in the last two has to be
	// restored before it can be read.
	StorageClass string
}

// Encryption says whose keys encrypt the buckets.
type Encryption string

// Values of Encryption.
const (
	S3Managed Encryption = "S3Managed"
	KMS       Encryption = "KMS"
)

// Retention says what becomes of stored data when the stack is destroyed.
type Retention string

// Values of Retention.
const (
	Retain  Retention = "retain"
	Destroy Retention = "destroy"
)
