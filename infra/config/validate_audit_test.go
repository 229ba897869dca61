package config

import (
	"strings"
	"testing"
)

const aTrail = "arn:aws:cloudtrail:eu-west-1:210987654321:trail/organisation"

// aRole is an IAM role of the account that the tests use.
const aRole = "arn:aws:iam::123456789012:role/imaging/archivist"

// Each rule of Audit and of existing resources, alone.
func TestAuditRules(t *testing.T) {
	breakGlass := func(roles ...string) func(*Config) {
		return func(c *Config) { c.Audit.BreakGlassRoles = roles }
	}
	lock := func(days int, edit func(*Config)) func(*Config) {
		return func(c *Config) { edit(c); c.Audit.TrailLockDays = days }
	}
	administrators := func(roles ...string) func(*Config) {
		return func(c *Config) { c.Audit.KeyAdministrators = roles }
	}
	trail := func(arn string) func(*Config) {
		return func(c *Config) { c.Audit.ExistingTrailArn, c.Audit.ManagementEvents = arn, false }
	}
	nothing := func(*Config) {}
	testRules(t, map[string]rule{
		"a user":          {breakGlass("arn:aws:iam::123456789012:user/alice"), "Audit.BreakGlassRoles[0]", "is not the ARN of an IAM role\n    write arn:aws:iam::123456789012:role/NAME"},
		"a session":       {breakGlass("arn:aws:sts::123456789012:assumed-role/archivist/alice"), "Audit.BreakGlassRoles[0]", "is not the ARN of an IAM role"},
		"every role":      {breakGlass("arn:aws:iam::123456789012:role/*"), "Audit.BreakGlassRoles[0]", "no wildcards"},
		"a role of China": {breakGlass(aRole, strings.Replace(aRole, "aws", "aws-cn", 1)), "Audit.BreakGlassRoles[1]", "is not the ARN of an IAM role"},
		"a role twice":    {breakGlass(aRole, aRole), "Audit.BreakGlassRoles[1]", "is there twice"},
		"too many roles":  {breakGlass(manyRoles(21)...), "Audit.BreakGlassRoles", "21: has more than 20 roles"},
		"roles of a bucket that is there": {func(c *Config) {
			c.Storage.ExistingDicomBucket = "archive"
			breakGlass(aRole)(c)
		}, "Audit.BreakGlassRoles", "ExistingDicomBucket keeps its own"},
		"a user of keys":        {administrators("arn:aws:iam::123456789012:user/alice"), "Audit.KeyAdministrators[0]", "is not the ARN of an IAM role"},
		"the account of keys":   {administrators("arn:aws:iam::123456789012:root"), "Audit.KeyAdministrators[0]", "is not the ARN of an IAM role"},
		"too many for keys":     {administrators(manyRoles(21)...), "Audit.KeyAdministrators", "has more than 20 roles"},
		"a role of both":        {func(c *Config) { breakGlass(aRole)(c); administrators(aRole)(c) }, "Audit.KeyAdministrators[0]", "is in BreakGlassRoles as well"},
		"a role elsewhere":      {func(c *Config) { c.Account = "210987654321"; administrators(aRole)(c) }, "Audit.KeyAdministrators[0]", "is not a role of Account, 210987654321"},
		"locked before":         {lock(-1, nothing), "Audit.TrailLockDays", "-1: must lie between 0 and Observability.LogRetentionDays (2192)"},
		"locked for too long":   {lock(2193, nothing), "Audit.TrailLockDays", "could never be taken back"},
		"a lock of no trail":    {lock(1, func(c *Config) { c.Storage.CloudTrailDataEvents, c.Audit.ManagementEvents = false, false }), "Audit.TrailLockDays", "and it makes none: Storage.CloudTrailDataEvents is false"},
		"changes, and no trail": {func(c *Config) { c.Storage.CloudTrailDataEvents = false }, "Audit.ManagementEvents", "make sure that a trail of the account records management events"},
		"a trail by name":       {trail("organisation"), "Audit.ExistingTrailArn", "aws cloudtrail describe-trails --region us-east-1"},
		"a trail of China":      {trail("arn:aws-cn:cloudtrail:cn-north-1:210987654321:trail/organisation"), "Audit.ExistingTrailArn", "write arn:aws:cloudtrail:us-east-1"},
		"a trail of nothing":    {func(c *Config) { trail(aTrail)(c); c.Storage.CloudTrailDataEvents = false }, "Audit.ExistingTrailArn", "Storage.CloudTrailDataEvents is false"},
		"changes, for others":   {func(c *Config) { trail(aTrail)(c); c.Audit.ManagementEvents = true }, "Audit.ManagementEvents", "there is an ExistingTrailArn"},
		"a lock, for others":    {func(c *Config) { trail(aTrail)(c); c.Audit.TrailLockDays = 1 }, "Audit.TrailLockDays", "lock the bucket of the existing trail itself"},
		"locked and destroyed":  {lock(1, func(c *Config) { c.Storage.Retention = Destroy }), "Audit.TrailLockDays", "Retention Destroy is for trials"},
	})
}

func manyRoles(n int) []string {
	var roles []string
	for i := range n {
		roles = append(roles, aRole+strings.Repeat("x", i))
	}
	return roles
}
