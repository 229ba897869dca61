package stowrs

import (
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

func TestBucketsAreHardened(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for id, bucket := range got.all("AWS::S3::Bucket") {
			for name, want := range map[string]string{
				"VersioningConfiguration":        `{"Status":"Enabled"}`,
				"PublicAccessBlockConfiguration": `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`,
				"OwnershipControls":              `{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}`,
			} {
				if text(bucket.get(name)) != want {
					t.Errorf("%s: %s is %s, want %s", id, name, text(bucket.get(name)), want)
				}
			}
			if got := text(bucket.get("LifecycleConfiguration")); !strings.Contains(got, `"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}`) {
				t.Errorf("%s: unfinished uploads stay: %s", id, got)
			}
		}
	})
}

func TestBucketsAnswerTLSOnly(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		policies := got.all("AWS::S3::BucketPolicy")
		if buckets := got.all("AWS::S3::Bucket"); len(policies) != len(buckets) {
			t.Errorf("%d policies of %d buckets", len(policies), len(buckets))
		}
		for id, policy := range policies {
			document := text(policy.get("PolicyDocument"))
			for _, condition := range []string{`{"Bool":{"aws:SecureTransport":"false"}}`, `{"NumericLessThan":{"s3:TlsVersion":1.2}}`} {
				if !strings.Contains(document, `"Action":"s3:*","Condition":`+condition+`,"Effect":"Deny","Principal":{"AWS":"*"}`) {
					t.Errorf("%s does not deny what has %s", id, condition)
				}
			}
		}
	})
}

func TestEncryptionOfBuckets(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, bucket := range got.all("AWS::S3::Bucket") {
			want := `[{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]`
			kms := strings.HasPrefix(unscoped(id), "CertificateBucket") || strings.HasPrefix(unscoped(id), "DicomBucket") && cfg.Storage.Encryption == config.KMS
			if kms {
				key := map[bool]string{true: "StorageDicomKey0E86EBE5", false: "StorageCertificateKeyBF918EAC"}[strings.HasPrefix(unscoped(id), "Dicom")]
				want = `[{"BucketKeyEnabled":true,"ServerSideEncryptionByDefault":{"KMSMasterKeyID":{"Fn::GetAtt":["` + key + `","Arn"]},"SSEAlgorithm":"aws:kms"}}]`
			}
			if strings.HasPrefix(unscoped(id), "TrailBucket") { // it has no bucket key, for which CloudTrail would need kms:Decrypt
				want = `[{"ServerSideEncryptionByDefault":{"KMSMasterKeyID":{"Fn::GetAtt":["StorageRecordsKeyF196C921","Arn"]},"SSEAlgorithm":"aws:kms"}}]`
			}
			if encryption := text(bucket.get("BucketEncryption", "ServerSideEncryptionConfiguration")); encryption != want {
				t.Errorf("%s: got %s, want %s", id, encryption, want)
			}
		}
		for id, key := range got.all("AWS::KMS::Key") {
			if key.get("EnableKeyRotation") != true {
				t.Errorf("%s does not rotate", id)
			}
		}
	})
}

func TestAccessLogs(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, bucket := range got.all("AWS::S3::Bucket") {
			want := `{"Ref":"StorageAccessLogBucket76E80A12"}`
			if cfg.Storage.ExistingLogBucket != "" {
				want = `"hospital-logs"`
			}
			if id == "StorageAccessLogBucket76E80A12" {
				want = "null"
			}
			if target := text(bucket.get("LoggingConfiguration", "DestinationBucketName")); target != want {
				t.Errorf("%s logs to %s, want %s", id, target, want)
			}
		}
	})
}

// A log file is deleted a day after LogRetentionDays, with its last version; it does not stay for the same time again.
func TestLogFilesAreGoneWhenTheirTimeIsOver(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, bucket := range got.all("AWS::S3::Bucket") {
			if name := ruleName(id); name != "AccessLogBucket" && name != "TrailBucket" {
				continue
			}
			rule := bucket.get("LifecycleConfiguration", "Rules", 0)
			want := fmt.Sprintf(`%d {"NoncurrentDays":1}`, cfg.Observability.LogRetentionDays)
			if is := text(at(rule, "ExpirationInDays")) + " " + text(at(rule, "NoncurrentVersionExpiration")); is != want || at(rule, "Status") != "Enabled" {
				t.Errorf("%s expires after %s, want %s; %v", id, is, want, at(rule, "Status"))
			}
		}
	})
}

// Only services on behalf of this account may write logs into the bucket, and no trail.
func TestLogDeliveryIsOfThisAccount(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		if cfg.Storage.ExistingLogBucket != "" {
			return // an existing bucket keeps its own policy
		}
		policy := got.one(t, "AWS::S3::BucketPolicy", "AccessLogBucket")
		for _, statement := range policy.get("PolicyDocument", "Statement").([]any) {
			if at(statement, "Effect") != "Allow" {
				continue
			}
			if account := text(at(statement, "Condition", "StringEquals", "aws:SourceAccount")); account != `{"Ref":"AWS::AccountId"}` {
				t.Errorf("any account may: %s", text(statement))
			}
			if at(statement, "Condition", "ArnLike", "aws:SourceArn") == nil {
				t.Errorf("on behalf of anything: %s", text(statement))
			}
			if service := at(statement, "Principal", "Service"); service == nil || service == "cloudtrail.amazonaws.com" {
				t.Errorf("not a service that delivers access logs: %s", text(statement))
			}
		}
	})
}

func TestArrivalsAreAnnounced(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		bucket := got.one(t, "AWS::S3::Bucket", "DicomBucket")
		if events := text(bucket.get("NotificationConfiguration", "EventBridgeConfiguration")); events != `{"EventBridgeEnabled":true}` {
			t.Errorf("EventBridge: %s", events)
		}
	}, acm, s3, mTLS, everything)
}

// There is no Lambda function and no custom resource, which somebody would have to maintain.
func TestNoFunctions(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for id, r := range got.Resources {
			if strings.HasPrefix(r.Type, "AWS::Lambda::") || strings.HasPrefix(r.Type, "Custom::") || r.Type == "AWS::CloudFormation::CustomResource" {
				t.Errorf("%s is a %s", id, r.Type)
			}
		}
	})
}

func TestVersionsAreKeptOrLocked(t *testing.T) {
	bucket := of(t, acm).one(t, "AWS::S3::Bucket", "DicomBucket")
	if rules := text(bucket.get("LifecycleConfiguration")); strings.Contains(rules, "Expiration") {
		t.Errorf("the shipped configuration deletes: %s", rules)
	}
	bucket = of(t, everything).one(t, "AWS::S3::Bucket", "DicomBucket")
	if days := text(bucket.get("LifecycleConfiguration", "Rules", 1, "NoncurrentVersionExpiration")); days != `{"NoncurrentDays":90}` {
		t.Errorf("NoncurrentVersionDays: got %s", days)
	}
	want := `[{"StorageClass":"STANDARD_IA","TransitionInDays":30},{"StorageClass":"DEEP_ARCHIVE","TransitionInDays":365}]`
	if transitions := text(bucket.get("LifecycleConfiguration", "Rules", 2, "Transitions")); transitions != want {
		t.Errorf("Transitions: got %s, want %s", transitions, want)
	}
	if lock := text(bucket.get("ObjectLockConfiguration", "Rule", "DefaultRetention")); lock != `{"Days":2192,"Mode":"GOVERNANCE"}` || bucket.get("ObjectLockEnabled") != true {
		t.Errorf("ObjectLockDays: got %s", lock)
	}
}

func TestExistingBucketIsLeftAlone(t *testing.T) {
	got := of(t, internal)
	if buckets := got.all("AWS::S3::Bucket"); len(buckets) != 1 {
		t.Errorf("got %d buckets, want that of logs", len(buckets))
	}
	if policies := got.all("AWS::S3::BucketPolicy"); len(policies) != 1 {
		t.Errorf("got %d bucket policies, want that of logs", len(policies))
	}
	if name := environment(t, got, "app")["BUCKETNAME"]; name != "hospital-archive" {
		t.Errorf("BUCKETNAME is %v", name)
	}
}

func TestCertificateBucketIsOfFromS3(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		_, there := got.Resources["StorageCertificateBucket6DE8A294"]
		if want := cfg.Certificate.CertificateMode == config.FromS3; there != want || strings.Contains(string(got.text), "ReadCertificates") != want {
			t.Errorf("certificate bucket or its grant: got %v, want %v", there, want)
		}
	})
}

func TestTrailRecordsObjects(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		trails := got.all("AWS::CloudTrail::Trail")
		if !cfg.MakesTrail() {
			if len(trails) > 0 {
				t.Error("there is a trail")
			}
			return
		}
		trail := got.one(t, "AWS::CloudTrail::Trail", "Trail")
		objects := `{"Fn::Join":["",[{"Fn::GetAtt":["StorageDicomBucket40779C1B","Arn"]},"/"]]}`
		if cfg.Certificate.CertificateMode == config.FromS3 {
			objects += `,{"Fn::Join":["",[{"Fn::GetAtt":["StorageCertificateBucket6DE8A294","Arn"]},"/"]]}`
		}
		want := `[{"DataResources":[{"Type":"AWS::S3::Object","Values":[` + objects + `]}],"IncludeManagementEvents":false,"ReadWriteType":"All"}`
		if cfg.Audit.ManagementEvents { // EventBridge sees them only if a trail records them
			want += `,{"IncludeManagementEvents":true,"ReadWriteType":"WriteOnly"}`
		}
		want += "]"
		if selectors := text(trail.get("EventSelectors")); selectors != want {
			t.Errorf("events: got %s, want %s", selectors, want)
		}
		if trail.get("EnableLogFileValidation") != true || trail.get("KMSKeyId") == nil || trail.get("CloudWatchLogsLogGroupArn") == nil {
			t.Errorf("not validated, encrypted or in CloudWatch Logs: %s", text(trail.Properties))
		}
	})
}

// DescribeKey has no encryption context: a statement that requires one never allows it.
// https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
func TestKeysCanBeDescribed(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		described := false
		for id, key := range got.all("AWS::KMS::Key") {
			for _, statement := range key.get("KeyPolicy", "Statement").([]any) {
				actions, condition := text(at(statement, "Action")), text(at(statement, "Condition"))
				if !strings.Contains(actions, "kms:DescribeKey") {
					continue
				}
				described = described || strings.Contains(text(statement), "cloudtrail.amazonaws.com")
				if strings.Contains(condition, "kms:EncryptionContext") {
					t.Errorf("%s: %s", id, text(statement))
				}
			}
		}
		if described != cfg.MakesTrail() {
			t.Errorf("CloudTrail may describe the key: %v", described)
		}
	})
}
