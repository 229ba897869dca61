package stowrs

import (
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

// Only the tasks and the break-glass roles may change objects; rehearsal/test_policies.py evaluates the policy.
func TestOnlyTheServiceWrites(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		roles := `{"Fn::GetAtt":["ServiceTaskRoleC7213793","Arn"]}`
		for _, arn := range cfg.Audit.BreakGlassRoles {
			roles += "," + text(arn)
		}
		want := `{"Action":["s3:BypassGovernanceRetention","s3:DeleteObject*","s3:PutObject*","s3:Replicate*"],"Condition":{"ArnNotEquals":{"aws:PrincipalArn":[` + roles + `]}},` +
			`"Effect":"Deny","Principal":{"AWS":"*"},"Resource":{"Fn::Join":["",[{"Fn::GetAtt":["StorageDicomBucket40779C1B","Arn"]},"/*"]]},"Sid":"OnlyTheServiceWrites"}`
		if policy := text(got.one(t, "AWS::S3::BucketPolicy", "DicomBucket").get("PolicyDocument")); !strings.Contains(policy, want) {
			t.Errorf("got  %s\nwant %s", policy, want)
		}
	}, acm, s3, mTLS, everything)
}

// The files of the trail have their own bucket, which can be locked at any time, and to which only this trail writes.
func TestTrailBucket(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		if !cfg.MakesTrail() {
			if strings.Contains(string(got.text), "TrailBucket") {
				t.Error("there is a bucket of a trail that is not made")
			}
			return
		}
		bucket := got.one(t, "AWS::S3::Bucket", "TrailBucket")
		if name := text(got.one(t, "AWS::CloudTrail::Trail", "").get("S3BucketName")); name != `{"Ref":"ObservabilityTrailBucket00FAFD95"}` {
			t.Errorf("the trail writes into %s", name)
		}
		want := "null" // Object Lock without a retention locks nothing yet
		if cfg.Audit.TrailLockDays > 0 {
			want = `{"Days":365,"Mode":"COMPLIANCE"}`
		}
		if lock := text(bucket.get("ObjectLockConfiguration", "Rule", "DefaultRetention")); lock != want || bucket.get("ObjectLockEnabled") != true {
			t.Errorf("locked by %s, want %s; Object Lock is %v", lock, want, bucket.get("ObjectLockEnabled"))
		}
		arn := `{"Fn::Join":["",["arn:aws:cloudtrail:` + cfg.Region + `:",{"Ref":"AWS::AccountId"},":trail/` + cfg.AppName + `"]]}`
		policy := text(got.one(t, "AWS::S3::BucketPolicy", "TrailBucket").get("PolicyDocument"))
		for _, want := range []string{
			`{"Action":"s3:GetBucketAcl","Condition":{"StringEquals":{"aws:SourceArn":` + arn + `}},"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Resource":{"Fn::GetAtt":["ObservabilityTrailBucket00FAFD95","Arn"]}`,
			`{"Action":"s3:PutObject","Condition":{"StringEquals":{"aws:SourceArn":` + arn + `,"s3:x-amz-acl":"bucket-owner-full-control"}},"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},` +
				`"Resource":{"Fn::Join":["",[{"Fn::GetAtt":["ObservabilityTrailBucket00FAFD95","Arn"]},"/cloudtrail/AWSLogs/",{"Ref":"AWS::AccountId"},"/*"]]}`,
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

// Without KeyAdministrators, every key has the default policy of KMS.
func TestKeysAreOfTheAccount(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		want := `{"Action":"kms:*","Effect":"Allow","Principal":{"AWS":{"Fn::Join":["",["arn:aws:iam::",{"Ref":"AWS::AccountId"},":root"]]}},"Resource":"*"}`
		for id, key := range got.all("AWS::KMS::Key") {
			if there := strings.Contains(text(key.get("KeyPolicy")), want); there != (len(cfg.Audit.KeyAdministrators) == 0) {
				t.Errorf("%s: IAM policies decide about all: %v", id, there)
			}
		}
	})
}
