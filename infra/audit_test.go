package main

import (
	"strings"
	"testing"
)

// aRole is an IAM role of the account in which tests deploy.
const aRole = "arn:aws:iam::123456789012:role/imaging/archivist"

// Each rule of Audit and of what is there already, alone.
func TestAuditRules(t *testing.T) {
	breakGlass := func(roles ...string) func(*Config) {
		return func(c *Config) { c.Audit.BreakGlassRoles = roles }
	}
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
	})
}

func manyRoles(n int) []string {
	var roles []string
	for i := range n {
		roles = append(roles, aRole+strings.Repeat("x", i))
	}
	return roles
}

// The tasks and the break-glass roles change objects, and nobody else; rehearsal/test_policies.py evaluates what it means.
func TestOnlyTheServiceWrites(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg Config) {
		roles := `{"Fn::GetAtt":["TaskRole30FC0FBB","Arn"]}`
		for _, arn := range cfg.Audit.BreakGlassRoles {
			roles += "," + text(arn)
		}
		want := `{"Action":["s3:BypassGovernanceRetention","s3:DeleteObject*","s3:PutObject*","s3:Replicate*"],"Condition":{"ArnNotEquals":{"aws:PrincipalArn":[` + roles + `]}},` +
			`"Effect":"Deny","Principal":{"AWS":"*"},"Resource":{"Fn::Join":["",[{"Fn::GetAtt":["DicomBucket8578A178","Arn"]},"/*"]]},"Sid":"OnlyTheServiceWrites"}`
		if policy := text(got.one(t, "AWS::S3::BucketPolicy", "DicomBucket").get("PolicyDocument")); !strings.Contains(policy, want) {
			t.Errorf("got  %s\nwant %s", policy, want)
		}
	}, acm, s3, mTLS, everything)
}
