package stowrs

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aKey is the beginning of the ARN of a KMS key; the id follows.
const aKey = "arn:aws:kms:us-east-1:123456789012:key/"

// documented returns the JSON of a block below a heading in docs/operations.md, after the paragraph with these words.
func documented(t *testing.T, heading, words string) []any {
	t.Helper()
	_, after, found := strings.Cut(section(t, "../../docs/operations.md", "## AWS"), "### "+heading+"\n")
	_, after, foundWords := strings.Cut(after, words)
	start := strings.Index(after, "\n    [\n")
	if !found || !foundWords || start < 0 {
		t.Fatalf("docs/operations.md has no JSON after %q", words)
	}
	var list []any
	if err := json.NewDecoder(strings.NewReader(after[start:])).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// rendered is a value of a template, with the placeholders of docs/operations.md for what CloudFormation fills in.
func rendered(value any) any {
	switch value := value.(type) {
	case []any:
		list := []any{}
		for _, one := range value {
			list = append(list, rendered(one))
		}
		return list
	case map[string]any:
		if parts, is := at(value, "Fn::Join", 1).([]any); is {
			joined := ""
			for _, part := range parts {
				word, _ := rendered(part).(string)
				joined += word
			}
			return joined
		}
		if value["Ref"] == "AWS::AccountId" {
			return "123456789012"
		}
		if value["Ref"] == "AWS::URLSuffix" {
			return "amazonaws.com"
		}
		if topic, _ := value["Ref"].(string); strings.Contains(topic, "AlarmTopic") {
			return "arn:aws:sns:eu-central-1:123456789012:imaging"
		}
		if value["Fn::GetAtt"] != nil {
			return "arn:aws:s3:::hospital-logs"
		}
		object := map[string]any{}
		for name, one := range value {
			object[name] = rendered(one)
		}
		return object
	case string:
		return strings.ReplaceAll(value, "us-east-1", "eu-central-1")
	}
	return value
}

// statementsOf returns the statements of a policy whose Sid begins like this, by their Sid, in the form of the documents.
func statementsOf(policy any, sids ...string) []any {
	list := []any{}
	all, _ := at(policy, "Statement").([]any)
	for _, statement := range all {
		if sid, _ := at(statement, "Sid").(string); slices.Contains(sids, sid) {
			list = append(list, rendered(statement))
		}
	}
	return list
}

// The documented policy of an existing log bucket allows exactly what the stack allows in a new one, within its folder.
func TestPolicyOfAnExistingLogBucket(t *testing.T) {
	want := statementsOf(of(t, acm).one(t, "AWS::S3::BucketPolicy", "AccessLogBucket").get("PolicyDocument"), "LoadBalancerLogs", "LoadBalancerLogsCheck")
	at(want, 0).(map[string]any)["Resource"] = "arn:aws:s3:::hospital-logs/stowrs-to-s3/nlb/AWSLogs/123456789012/*"
	got := documented(t, "Existing resources", "**A bucket for access logs**")
	if diff := cmp.Diff(want, got[1:]); diff != "" {
		t.Errorf("the statements differ (-template +docs/operations.md):\n%s", diff)
	}
	s3 := text(got[0])
	for id, bucket := range of(t, existing).all("AWS::S3::Bucket") {
		prefix, _ := bucket.get("LoggingConfiguration", "LogFilePrefix").(string)
		if folder, _, _ := strings.Cut(prefix, "/s3/"); !strings.Contains(s3, `"Resource":"arn:aws:s3:::hospital-logs/`+folder+`/s3/*"`) {
			t.Errorf("%s logs to %s, where the policy lets nothing in: %s", id, prefix, s3)
		}
	}
}

// The documented policy of an existing records key allows the services exactly what the stack allows for a new key.
func TestPolicyOfAnExistingRecordsKey(t *testing.T) {
	want := statementsOf(of(t, everything).one(t, "AWS::KMS::Key", "RecordsKey").get("KeyPolicy"), "Logs", "Trail", "TrailDescribes", "Alarms", "Changes")
	if diff := cmp.Diff(want, documented(t, "Existing resources", "**Keys**")); diff != "" {
		t.Errorf("the statements differ (-template +docs/operations.md):\n%s", diff)
	}
}

// The same for the topic of the stack, and AlarmTopic.
func TestPolicyOfAnExistingTopic(t *testing.T) {
	want := statementsOf(of(t, everything).one(t, "AWS::SNS::TopicPolicy", "").get("PolicyDocument"), "Alarms", "Changes")
	if diff := cmp.Diff(want, documented(t, "Messages about changes", "**The policy of an AlarmTopic**")); diff != "" || len(want) != 2 {
		t.Errorf("the statements differ (-template +docs/operations.md):\n%s", diff)
	}
}

// Existing keys encrypt what new keys would, the tasks may use them in the same way, and the stack creates no keys.
func TestExistingKeys(t *testing.T) {
	cfg := deployments()[mTLS]
	cfg.Observability.AlarmEmail = "imaging@example.org"
	dicom, certificates, records := aKey+"11234567-89ab-cdef-0123-456789abcdef", aKey+"21234567-89ab-cdef-0123-456789abcdef", aKey+"31234567-89ab-cdef-0123-456789abcdef"
	cfg.Storage.ExistingDicomKey, cfg.Storage.ExistingCertificateKey, cfg.Storage.ExistingRecordsKey = dicom, certificates, records
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if keys := len(got.all("AWS::KMS::Key")) + len(got.all("AWS::KMS::Alias")); keys > 0 {
		t.Errorf("%d keys and aliases are made", keys)
	}
	for bucket, key := range map[string]string{"DicomBucket": dicom, "CertificateBucket": certificates, "TrailBucket": records} {
		is := got.one(t, "AWS::S3::Bucket", bucket).get("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "KMSMasterKeyID")
		if is != key {
			t.Errorf("%s is encrypted with %v, want %s", bucket, is, key)
		}
	}
	for id, group := range got.all("AWS::Logs::LogGroup") {
		if group.get("KmsKeyId") != records {
			t.Errorf("%s is encrypted with %v", id, group.get("KmsKeyId"))
		}
	}
	if trail, topic := got.one(t, "AWS::CloudTrail::Trail", "").get("KMSKeyId"), got.one(t, "AWS::SNS::Topic", "").get("KmsMasterKeyId"); trail != records || topic != records {
		t.Errorf("the trail is encrypted with %v, the topic with %v", trail, topic)
	}
	policy := text(got.one(t, "AWS::IAM::Policy", "TaskRole").get("PolicyDocument"))
	for key, actions := range map[string]string{dicom: `["kms:Decrypt","kms:GenerateDataKey"]`, certificates: `"kms:Decrypt"`} {
		if want := `{"Action":` + actions + `,"Effect":"Allow","Resource":"` + key + `"`; strings.Count(policy, want) != 1 {
			t.Errorf("the tasks have no %s, or twice: %s", want, policy)
		}
	}
	if strings.Contains(policy, records) {
		t.Error("the tasks may use the key of the logs")
	}
	if pattern := text(got.one(t, "AWS::Events::Rule", "KeyChanged").get("EventPattern")); !strings.Contains(pattern, `"ARN":["`+dicom+`","`+certificates+`","`+records+`"]`) {
		t.Errorf("other keys are watched: %s", pattern)
	}
}
