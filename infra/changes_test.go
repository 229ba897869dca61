package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// eventMatches evaluates an event pattern as EventBridge does, for what our patterns are made of.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
func eventMatches(pattern, event any) bool {
	if list, is := event.([]any); is { // any of its elements
		return slices.ContainsFunc(list, func(one any) bool { return eventMatches(pattern, one) })
	}
	if values, is := pattern.([]any); is {
		return slices.ContainsFunc(values, func(value any) bool { return text(value) == text(event) })
	}
	fields, is := event.(map[string]any)
	if !is {
		return false
	}
	for name, inner := range pattern.(map[string]any) {
		if name == "$or" {
			if !slices.ContainsFunc(inner.([]any), func(one any) bool { return eventMatches(one, event) }) {
				return false
			}
		} else if !eventMatches(inner, fields[name]) {
			return false
		}
	}
	return true
}

// Events as CloudTrail writes them, of which one rule tells or none.
func TestChangesAreTold(t *testing.T) {
	got := of(t, everything)
	const account = `{"Ref":"AWS::AccountId"}`
	events := map[string]struct{ service, detail, rule string }{
		"a key is to be deleted":       {"kms", `{"eventName":"ScheduleKeyDeletion","requestParameters":{"keyId":"1"},"resources":[{"ARN":{"Fn::GetAtt":["CertificateKeyF39219A0","Arn"]}}]}`, "KeyChanged"},
		"the records key is disabled":  {"kms", `{"eventName":"DisableKey","resources":[{"ARN":{"Fn::GetAtt":["RecordsKey31CDF3C4","Arn"]}}]}`, "KeyChanged"},
		"a policy of a key":            {"kms", `{"eventName":"PutKeyPolicy","resources":[{"ARN":{"Fn::GetAtt":["RecordsKey31CDF3C4","Arn"]}}]}`, "KeyChanged"},
		"a key is used":                {"kms", `{"eventName":"Decrypt","resources":[{"ARN":{"Fn::GetAtt":["RecordsKey31CDF3C4","Arn"]}}]}`, ""},
		"a key of somebody else":       {"kms", `{"eventName":"DisableKey","resources":[{"ARN":"arn:aws:kms:us-east-1:123456789012:key/1"}]}`, ""},
		"the policy of the archive":    {"s3", `{"eventName":"DeleteBucketPolicy","requestParameters":{"bucketName":{"Ref":"DicomBucket8578A178"}}}`, "BucketChanged"},
		"versions are given up":        {"s3", `{"eventName":"PutBucketVersioning","requestParameters":{"bucketName":{"Ref":"CertificateBucket5BE1E6F4"}}}`, "BucketChanged"},
		"files expire earlier":         {"s3", `{"eventName":"PutBucketLifecycle","requestParameters":{"bucketName":{"Ref":"TrailBucketA831CE63"}}}`, "BucketChanged"},
		"a bucket is opened":           {"s3", `{"eventName":"PutBucketPublicAccessBlock","requestParameters":{"bucketName":{"Ref":"AccessLogBucketDA470295"}}}`, "BucketChanged"},
		"a bucket is looked at":        {"s3", `{"eventName":"GetBucketPolicy","requestParameters":{"bucketName":{"Ref":"DicomBucket8578A178"}}}`, ""},
		"a bucket of somebody else":    {"s3", `{"eventName":"PutBucketPolicy","requestParameters":{"bucketName":"theirs"}}`, ""},
		"the trail is stopped":         {"cloudtrail", `{"eventName":"StopLogging","requestParameters":{"name":"stowrs-to-s3"}}`, "TrailChanged"},
		"the trail is stopped, by ARN": {"cloudtrail", `{"eventName":"StopLogging","requestParameters":{"name":{"Fn::Join":["",["arn:aws:cloudtrail:us-east-1:",` + account + `,":trail/stowrs-to-s3"]]}}}`, "TrailChanged"},
		"the trail is deleted":         {"cloudtrail", `{"eventName":"DeleteTrail","requestParameters":{"name":"stowrs-to-s3"}}`, "TrailChanged"},
		"the trail writes elsewhere":   {"cloudtrail", `{"eventName":"UpdateTrail","requestParameters":{"name":"stowrs-to-s3"}}`, "TrailChanged"},
		"the trail records less":       {"cloudtrail", `{"eventName":"PutEventSelectors","requestParameters":{"trailName":"stowrs-to-s3"}}`, "TrailChanged"},
		"another trail is stopped":     {"cloudtrail", `{"eventName":"StopLogging","requestParameters":{"name":"other"}}`, ""},
	}
	for name, event := range events {
		t.Run(name, func(t *testing.T) {
			var detail map[string]any
			if err := json.Unmarshal([]byte(event.detail), &detail); err != nil {
				t.Fatal(err)
			}
			detail["eventSource"] = event.service + ".amazonaws.com"
			told := ""
			for id, rule := range got.all("AWS::Events::Rule") {
				if eventMatches(rule.get("EventPattern"), map[string]any{"source": "aws." + event.service, "detail-type": "AWS API Call via CloudTrail", "detail": detail}) {
					told += id
				}
			}
			if told != event.rule {
				t.Errorf("told by %q, want %q", told, event.rule)
			}
		})
	}
}

// Rules are there where somebody can be told, and who is told may be.
func TestWhoIsToldOfChanges(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg Config) {
		want := map[string]bool{}
		topic := `{"Ref":"AlarmTopicD01E77F9"}`
		if cfg.Observability.AlarmTopic != "" {
			topic = text(cfg.Observability.AlarmTopic)
		}
		if cfg.Observability.AlarmTopic+cfg.Observability.AlarmEmail != "" {
			want = map[string]bool{"KeyChanged": true, "BucketChanged": true}
			if cfg.makesTrail() {
				want["TrailChanged"] = true
			}
		}
		rules := got.all("AWS::Events::Rule")
		if !slices.Equal(slices.Sorted(maps.Keys(rules)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("rules are %q, want %q", slices.Sorted(maps.Keys(rules)), slices.Sorted(maps.Keys(want)))
		}
		for id, rule := range rules {
			if target := text(rule.get("Targets", 0, "Arn")); target != topic || rule.get("Targets", 1) != nil {
				t.Errorf("%s tells %s", id, text(rule.get("Targets")))
			}
		}
		if cfg.Observability.AlarmEmail == "" {
			return
		}
		// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html: neither statement with a condition
		policy, key := text(got.one(t, "AWS::SNS::TopicPolicy", "").Properties), text(got.one(t, "AWS::KMS::Key", "RecordsKey").get("KeyPolicy"))
		if want := `{"Action":"sns:Publish","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":{"Ref":"AlarmTopicD01E77F9"}`; !strings.Contains(policy, want) {
			t.Errorf("EventBridge may not publish: %s", policy)
		}
		if want := `{"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"*"`; !strings.Contains(key, want) {
			t.Errorf("EventBridge may not use the key of the topic: %s", key)
		}
	})
}

// A bucket and keys that were there before hold the images all the same.
func TestChangesOfWhatIsThere(t *testing.T) {
	rules := of(t, internal).all("AWS::Events::Rule")
	for id, want := range map[string]string{"KeyChanged": "key/11234567-", "BucketChanged": `"hospital-archive"`} {
		if pattern := text(rules[id].get("EventPattern")); !strings.Contains(pattern, want) {
			t.Errorf("%s does not look at %s: %s", id, want, pattern)
		}
	}
}

// An existing trail is watched instead of one that the stack makes, and nothing of such a one is left.
func TestExistingTrail(t *testing.T) {
	cfg := deployments()[everything]
	cfg.Audit.ExistingTrailArn, cfg.Audit.ManagementEvents, cfg.Audit.TrailLockDays = aTrail, false, 0
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range got.Resources {
		if strings.HasPrefix(r.Type, "AWS::CloudTrail::") || strings.HasPrefix(id, "Trail") && id != "TrailChanged" {
			t.Errorf("there is %s (%s)", id, r.Type)
		}
	}
	if strings.Contains(string(got.text), `"Service": "cloudtrail.amazonaws.com"`) {
		t.Error("CloudTrail may use something of the stack")
	}
	want := `"$or":[{"requestParameters":{"name":["organisation","` + aTrail + `"]}},{"requestParameters":{"trailName":["organisation","` + aTrail + `"]}}]`
	if pattern := text(got.one(t, "AWS::Events::Rule", "TrailChanged").get("EventPattern")); !strings.Contains(pattern, want) {
		t.Errorf("another trail is watched: %s", pattern)
	}
}
