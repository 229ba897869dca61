package main

// AuditConfig is what an auditor asks about: who may change what is stored.
type AuditConfig struct {
	// BreakGlassRoles are the ARNs of the IAM roles of this account that may write and delete objects of the new bucket for DICOM, besides
	// the tasks: for what has to be erased or restored by hand. Each with its path, 20 at most, no wildcards. Whoever else tries is denied,
	// whatever IAM allows. ExistingDicomBucket keeps its own policy. Default: none.
	BreakGlassRoles []string
}
