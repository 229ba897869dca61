package main

import (
	"strings"
	"testing"
)

const aTrail = "arn:aws:cloudtrail:eu-west-1:210987654321:trail/organisation"

// aRole is an IAM role of the account in which tests deploy.
const aRole = "arn:aws:iam::123456789012:role/imaging/archivist"

// Each rule of Audit and of what is there already, alone.
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

// The files of the trail have a bucket of their own, which can be locked at any time, and into which this trail alone writes.
func TestTrailBucket(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg Config) {
		if !cfg.makesTrail() {
			if strings.Contains(string(got.text), "TrailBucket") {
				t.Error("there is a bucket of a trail that is not made")
			}
			return
		}
		bucket := got.one(t, "AWS::S3::Bucket", "TrailBucket")
		if name := text(got.one(t, "AWS::CloudTrail::Trail", "").get("S3BucketName")); name != `{"Ref":"TrailBucketA831CE63"}` {
			t.Errorf("the trail writes into %s", name)
		}
		want := "null" // Object Lock that locks nothing yet
		if cfg.Audit.TrailLockDays > 0 {
			want = `{"Days":365,"Mode":"COMPLIANCE"}`
		}
		if lock := text(bucket.get("ObjectLockConfiguration", "Rule", "DefaultRetention")); lock != want || bucket.get("ObjectLockEnabled") != true {
			t.Errorf("locked by %s, want %s; Object Lock is %v", lock, want, bucket.get("ObjectLockEnabled"))
		}
		if days, want := text(bucket.get("LifecycleConfiguration", "Rules", 0, "ExpirationInDays")), text(cfg.Observability.LogRetentionDays); days != want {
			t.Errorf("files are deleted after %s days, want %s", days, want)
		}
		arn := `{"Fn::Join":["",["arn:aws:cloudtrail:` + cfg.Region + `:",{"Ref":"AWS::AccountId"},":trail/` + cfg.AppName + `"]]}`
		policy := text(got.one(t, "AWS::S3::BucketPolicy", "TrailBucket").get("PolicyDocument"))
		for _, want := range []string{
			`{"Action":"s3:GetBucketAcl","Condition":{"StringEquals":{"aws:SourceArn":` + arn + `}},"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Resource":{"Fn::GetAtt":["TrailBucketA831CE63","Arn"]}`,
			`{"Action":"s3:PutObject","Condition":{"StringEquals":{"aws:SourceArn":` + arn + `,"s3:x-amz-acl":"bucket-owner-full-control"}},"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},` +
				`"Resource":{"Fn::Join":["",[{"Fn::GetAtt":["TrailBucketA831CE63","Arn"]},"/cloudtrail/AWSLogs/",{"Ref":"AWS::AccountId"},"/*"]]}`,
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy is %s, and has no %s", policy, want)
			}
		}
		if n := strings.Count(policy, `"Effect":"Allow"`); n != 2 {
			t.Errorf("the policy allows %d things, want two", n)
		}
	})
}

// Without KeyAdministrators every key has the policy that KMS gives it by default.
func TestKeysAreOfTheAccount(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg Config) {
		want := `{"Action":"kms:*","Effect":"Allow","Principal":{"AWS":{"Fn::Join":["",["arn:aws:iam::",{"Ref":"AWS::AccountId"},":root"]]}},"Resource":"*"}`
		for id, key := range got.all("AWS::KMS::Key") {
			if there := strings.Contains(text(key.get("KeyPolicy")), want); there != (len(cfg.Audit.KeyAdministrators) == 0) {
				t.Errorf("%s: IAM policies decide about all: %v", id, there)
			}
		}
	})
}
