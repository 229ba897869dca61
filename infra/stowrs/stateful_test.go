package stowrs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

// The stateful resources. If a logical id changes, CloudFormation creates another resource, and leaves the old one
// with its content behind; the same applies to properties that cannot be changed in place. Do not change this list.
func statefulIDs() map[string]string {
	return map[string]string{
		"StorageAccessLogBucket76E80A12":   "AWS::S3::Bucket",
		"ServiceAppLogs089362DE":           "AWS::Logs::LogGroup",
		"StorageCertificateBucket6DE8A294": "AWS::S3::Bucket",
		"StorageCertificateKeyBF918EAC":    "AWS::KMS::Key",
		"StorageDicomBucket40779C1B":       "AWS::S3::Bucket",
		"StorageDicomKey0E86EBE5":          "AWS::KMS::Key",
		"NetworkFlowLogs2BEC3212":          "AWS::Logs::LogGroup",
		"ServiceNginxLogsA293A75E":         "AWS::Logs::LogGroup",
		"StorageRecordsKeyF196C921":        "AWS::KMS::Key",
		"ObservabilityTrailBucket00FAFD95": "AWS::S3::Bucket",
		"ObservabilityTrailLogs0E40A5E8":   "AWS::Logs::LogGroup",
	}
}

func statefulTypes() []string {
	return []string{"AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::KMS::Key"}
}

func stateful(t template) map[string]string {
	ids := map[string]string{}
	for id, r := range t.Resources {
		if slices.Contains(statefulTypes(), r.Type) {
			ids[id] = r.Type
		}
	}
	return ids
}

func TestLogicalIDsOfStatefulResources(t *testing.T) {
	if diff := cmp.Diff(statefulIDs(), stateful(of(t, mTLS))); diff != "" {
		t.Errorf("CloudFormation would replace these (-pinned +got):\n%s", diff)
	}
	each(t, func(t *testing.T, got template, _ config.Config) {
		for id, kind := range stateful(got) {
			if statefulIDs()[id] != kind {
				t.Errorf("%s (%s) is in no other topology: a change of topology would replace it", id, kind)
			}
		}
	})
}

func TestStatefulResourcesAreRetained(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		// If a first deployment fails, its buckets, keys and logs are removed.
		deletion := map[config.Retention]string{config.Retain: "RetainExceptOnCreate", config.Destroy: "Delete"}[cfg.Storage.Retention]
		replacement := map[config.Retention]string{config.Retain: "Retain", config.Destroy: "Delete"}[cfg.Storage.Retention]
		kept := got.all("AWS::S3::BucketPolicy") // bucket policies, which require TLS
		for id := range stateful(got) {
			kept[id] = got.Resources[id]
		}
		for id, r := range kept {
			deletion, replacement := deletion, replacement
			if strings.HasPrefix(unscoped(id), "AccessLogBucket") || strings.HasPrefix(unscoped(id), "TrailBucket") { // they receive logs until after the stack is deleted, and would prevent this if they were not retained
				deletion, replacement = "RetainExceptOnCreate", "Retain"
			}
			if r.DeletionPolicy != deletion || r.UpdateReplacePolicy != replacement {
				t.Errorf("%s: DeletionPolicy %s, UpdateReplacePolicy %s, want %s, %s", id, r.DeletionPolicy, r.UpdateReplacePolicy, deletion, replacement)
			}
		}
	})
}

// The names of the buckets: CloudFormation replaces a bucket whose name changes. The prefix is in the configuration, and the
// rest does not change while the stack exists. The shipped prefixes are fixed: another prefix in a new version would
// give all users of the default an empty bucket.
func TestBucketNamesArePinned(t *testing.T) {
	want := map[string]string{
		"StorageDicomBucket40779C1B":       `{"Fn::Join":["",["stowrstos3-dicom-",{"Fn::Select":[4,{"Fn::Split":["-",{"Fn::Select":[2,{"Fn::Split":["/",{"Ref":"AWS::StackId"}]}]}]}]}]]}`,
		"StorageCertificateBucket6DE8A294": `{"Fn::Join":["",["stowrstos3-certs-",{"Fn::Select":[4,{"Fn::Split":["-",{"Ref":"StorageCertificateKeyBF918EAC"}]}]}]]}`,
		"StorageAccessLogBucket76E80A12":   `null`, // generated from the stack's name
		"ObservabilityTrailBucket00FAFD95": `null`,
	}
	got := map[string]string{}
	for id, bucket := range of(t, mTLS).all("AWS::S3::Bucket") {
		got[id] = text(bucket.get("BucketName"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CloudFormation would replace these (-pinned +got):\n%s", diff)
	}
}

// A changed prefix replaces the bucket, as its name shows; nothing else in the stack changes.
func TestChangedPrefixReplacesTheBucket(t *testing.T) {
	cfg := deployments()[mTLS]
	cfg.Storage.DicomBucket, cfg.Certificate.CertificateBucket = "other-dicom", "other-certs"
	changed, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := of(t, mTLS)
	for id, r := range changed.Resources {
		moved := text(r) != text(before.Resources[id])
		isBucket := id == "StorageDicomBucket40779C1B" || id == "StorageCertificateBucket6DE8A294"
		if moved != isBucket {
			t.Errorf("%s: changed %v, want %v", id, moved, isBucket)
		}
		if isBucket && !strings.Contains(text(r.get("BucketName")), `"other-`) {
			t.Errorf("%s: the name does not begin with the new prefix: %s", id, text(r.get("BucketName")))
		}
	}
	if got, want := slices.Sorted(maps.Keys(changed.Resources)), slices.Sorted(maps.Keys(before.Resources)); !slices.Equal(got, want) {
		t.Errorf("resources: got %q, want %q", got, want)
	}
}

func TestTerminationProtection(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		attributes := got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").attributes("LoadBalancerAttributes")
		if want := text(cfg.Protection); attributes["deletion_protection.enabled"] != want {
			t.Errorf("deletion protection of the load balancer is %v, want %s", attributes["deletion_protection.enabled"], want)
		}
	})
}
