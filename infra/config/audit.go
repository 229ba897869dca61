package config

// AuditConfig says who may change stored data, and which changes are recorded.
type AuditConfig struct {
	// BreakGlassRoles are the ARNs of the IAM roles of this account that may write and delete objects of the new bucket for DICOM, besides
	// the tasks: to erase or restore objects by hand. Each with its path, 20 at most, no wildcards. Everybody else is denied,
	// whatever IAM allows. ExistingDicomBucket keeps its own policy. Default: none.
	BreakGlassRoles []string
	// TrailLockDays protects each file of the trail of CloudTrailDataEvents from deletion for this number of days (S3 Object Lock, compliance mode):
	// nobody can shorten it, not even the root user or AWS. 0 to Observability.LogRetentionDays, after which the files are deleted. It applies
	// to files that are written after it was set; for later files it can be changed or removed at any time. Default 0, no lock.
	TrailLockDays int
	// ManagementEvents makes the trail of CloudTrailDataEvents also record changes of resources: the management events that write, of the
	// whole account in Region. Only if a trail records them, EventBridge can tell AlarmEmail or AlarmTopic when protection is removed from keys, buckets
	// or the trail. Set it to false if a trail of the account or its organisation records them: AWS charges for a second copy.
	// Default true.
	ManagementEvents bool
	// KeyAdministrators are the ARNs of the IAM roles that may administer the KMS keys of the stack, if their IAM policies allow it: policies,
	// deletion, rotation. They may not use the keys. Besides them only CloudFormation and the root user may administer, so that the account is not locked
	// out; all others use the keys as their IAM policies allow, and do not administer them. Each with its path, 20 at most, no wildcards, and none
	// of BreakGlassRoles. Default: none, and IAM policies decide about both.
	KeyAdministrators []string
	// ExistingTrailArn is the ARN of a trail, of the account or its organisation, that already records the data events of the buckets of this
	// deployment: then the stack creates no trail, and no bucket and log group for it. Needs CloudTrailDataEvents. Default: none.
	ExistingTrailArn string
}

// MakesTrail reports whether the stack creates a trail.
func (c Config) MakesTrail() bool {
	return c.Storage.CloudTrailDataEvents && c.Audit.ExistingTrailArn == ""
}
