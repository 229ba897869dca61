package stowrs

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

// eventMatches evaluates an event pattern like EventBridge, as far as our patterns need it.
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

// Events in the form of CloudTrail: each is matched by one rule or by none.
func TestChangesAreTold(t *testing.T) {
	got := of(t, everything)
	const account = `{"Ref":"AWS::AccountId"}`
	events := map[string]struct{ service, detail, rule string }{
		"a key is to be deleted":       {"kms", `{"eventName":"ScheduleKeyDeletion","requestParameters":{"keyId":"1"},"resources":[{"ARN":{"Fn::GetAtt":["StorageCertificateKeyBF918EAC","Arn"]}}]}`, "KeyChanged"},
		"the records key is disabled":  {"kms", `{"eventName":"DisableKey","resources":[{"ARN":{"Fn::GetAtt":["StorageRecordsKeyF196C921","Arn"]}}]}`, "KeyChanged"},
		"a policy of a key":            {"kms", `{"eventName":"PutKeyPolicy","resources":[{"ARN":{"Fn::GetAtt":["StorageRecordsKeyF196C921","Arn"]}}]}`, "KeyChanged"},
		"a key is used":                {"kms", `{"eventName":"Decrypt","resources":[{"ARN":{"Fn::GetAtt":["StorageRecordsKeyF196C921","Arn"]}}]}`, ""},
		"a key of somebody else":       {"kms", `{"eventName":"DisableKey","resources":[{"ARN":"arn:aws:kms:us-east-1:123456789012:key/1"}]}`, ""},
		"the policy of the archive":    {"s3", `{"eventName":"DeleteBucketPolicy","requestParameters":{"bucketName":{"Ref":"StorageDicomBucket40779C1B"}}}`, "BucketChanged"},
		"versions are given up":        {"s3", `{"eventName":"PutBucketVersioning","requestParameters":{"bucketName":{"Ref":"StorageCertificateBucket6DE8A294"}}}`, "BucketChanged"},
		"files expire earlier":         {"s3", `{"eventName":"PutBucketLifecycle","requestParameters":{"bucketName":{"Ref":"ObservabilityTrailBucket00FAFD95"}}}`, "BucketChanged"},
		"a bucket is opened":           {"s3", `{"eventName":"PutBucketPublicAccessBlock","requestParameters":{"bucketName":{"Ref":"StorageAccessLogBucket76E80A12"}}}`, "BucketChanged"},
		"a bucket is looked at":        {"s3", `{"eventName":"GetBucketPolicy","requestParameters":{"bucketName":{"Ref":"StorageDicomBucket40779C1B"}}}`, ""},
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
					told += ruleName(id)
				}
			}
			if told != event.rule {
				t.Errorf("told by %q, want %q", told, event.rule)
			}
		})
	}
}

// Rules exist only if there is a topic, and the topic allows their messages.
func TestWhoIsToldOfChanges(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		want := map[string]bool{}
		topic := `{"Ref":"ObservabilityAlarmTopicF724909D"}`
		if cfg.Observability.AlarmTopic != "" {
			topic = text(cfg.Observability.AlarmTopic)
		}
		if cfg.Observability.AlarmTopic+cfg.Observability.AlarmEmail != "" {
			want = map[string]bool{"KeyChanged": true, "BucketChanged": true}
			if cfg.MakesTrail() {
				want["TrailChanged"] = true
			}
		}
		rules := changeRules(got)
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
		// AWS does not document which condition keys EventBridge sends to a topic, so the conditions apply only if it sends them. For the key, SNS supports none.
		// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
		policy, key := text(got.one(t, "AWS::SNS::TopicPolicy", "").Properties), text(got.one(t, "AWS::KMS::Key", "RecordsKey").get("KeyPolicy"))
		if want := `{"Action":"sns:Publish","Condition":{"ArnLikeIfExists":{"aws:SourceArn":{"Fn::Join":["",["arn:aws:events:us-east-1:",{"Ref":"AWS::AccountId"},":rule/*"]]}},` +
			`"StringEqualsIfExists":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":{"Ref":"ObservabilityAlarmTopicF724909D"}`; !strings.Contains(policy, want) {
			t.Errorf("EventBridge may not publish: %s", policy)
		}
		if want := `{"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"*"`; !strings.Contains(key, want) {
			t.Errorf("EventBridge may not use the key of the topic: %s", key)
		}
	})
}

// Changes of an existing bucket and of existing keys are reported as well.
func TestChangesOfWhatIsThere(t *testing.T) {
	rules := changeRules(of(t, internal))
	for id, want := range map[string]string{"KeyChanged": "key/11234567-", "BucketChanged": `"hospital-archive"`} {
		if pattern := text(rules[id].get("EventPattern")); !strings.Contains(pattern, want) {
			t.Errorf("%s does not look at %s: %s", id, want, pattern)
		}
	}
}

// An existing trail is watched instead of a new one, and the stack creates nothing for a trail.
func TestExistingTrail(t *testing.T) {
	cfg := deployments()[everything]
	cfg.Audit.ExistingTrailArn, cfg.Audit.ManagementEvents, cfg.Audit.TrailLockDays = aTrail, false, 0
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range got.Resources {
		if strings.HasPrefix(r.Type, "AWS::CloudTrail::") || strings.HasPrefix(unscoped(id), "Trail") && ruleName(id) != "TrailChanged" {
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

// changeRules returns the rules of EventBridge by their names in changes.go.
func changeRules(got template) map[string]resource {
	rules := map[string]resource{}
	for id, rule := range got.all("AWS::Events::Rule") {
		rules[ruleName(id)] = rule
	}
	return rules
}

// ruleName is the logical id of a single resource, without the name of its part and the 8 digits of the hash.
func ruleName(id string) string { return unscoped(id)[:len(unscoped(id))-8] }
