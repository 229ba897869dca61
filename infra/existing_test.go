package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented is the JSON of a block of "What is there already" in docs/operations.md, after some words of its paragraph.
func documented(t *testing.T, words string) []any {
	t.Helper()
	_, after, found := strings.Cut(section(t, "../docs/operations.md", "## AWS"), "### What is there already\n")
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

// rendered is a value of a template, with what CloudFormation fills in as docs/operations.md has it.
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

// statementsOf are those of a policy that begin so, by their Sid, as the documents have them.
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

// What the load balancer may do in a bucket that the stack makes is what the policy of an existing one has to let it do, in its folder.
func TestPolicyOfAnExistingLogBucket(t *testing.T) {
	want := statementsOf(of(t, acm).one(t, "AWS::S3::BucketPolicy", "AccessLogBucket").get("PolicyDocument"), "LoadBalancerLogs", "LoadBalancerLogsCheck")
	at(want, 0).(map[string]any)["Resource"] = "arn:aws:s3:::hospital-logs/stowrs-to-s3/nlb/AWSLogs/123456789012/*"
	got := documented(t, "**A bucket for access logs**")
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
