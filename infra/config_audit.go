package main

// AuditConfig is what an auditor asks about: who may change what is stored, and what records that somebody did.
type AuditConfig struct {
	// BreakGlassRoles are the ARNs of the IAM roles of this account that may write and delete objects of the new bucket for DICOM, besides
	// the tasks: for what has to be erased or restored by hand. Each with its path, 20 at most, no wildcards. Whoever else tries is denied,
	// whatever IAM allows. ExistingDicomBucket keeps its own policy. Default: none.
	BreakGlassRoles []string
	// TrailLockDays keeps each file of the trail of CloudTrailDataEvents from deletion for that many days (S3 Object Lock, compliance mode):
	// nobody can shorten it, the root user and AWS included. 0 to Observability.LogRetentionDays, after which the files are deleted. It holds
	// for files that come after it was set, and can be set, changed and taken back for those to come at any time. Default 0, no lock.
	TrailLockDays int
	// ManagementEvents has the trail of CloudTrailDataEvents record changes of resources as well: the management events that write, of the
	// whole account in Region. EventBridge tells AlarmEmail or AlarmTopic of those that take protection away from keys, buckets and the trail
	// only where a trail records them. Set it to false where a trail of the account or its organisation does: AWS charges for a second copy.
	// Default true.
	ManagementEvents bool
	// KeyAdministrators are the ARNs of the IAM roles that may administer the KMS keys of the stack, as far as their IAM policies say so: policies,
	// deletion, rotation. They may not use them. Besides them only CloudFormation and the root user may, which keeps the account from being locked
	// out; all others use the keys as their IAM policies say, and do not administer them. Each with its path, 20 at most, no wildcards, and none
	// that is in BreakGlassRoles. Default: none, and IAM policies decide about both.
	KeyAdministrators []string
	// ExistingTrailArn is the ARN of a trail, of the account or its organisation, that records the data events of the buckets of this deployment
	// already: none is made then, with no bucket and log group of its own. Needs CloudTrailDataEvents. Default: none.
	ExistingTrailArn string
}

// makesTrail reports whether the stack has a trail of its own.
func (c Config) makesTrail() bool {
	return c.Storage.CloudTrailDataEvents && c.Audit.ExistingTrailArn == ""
}
