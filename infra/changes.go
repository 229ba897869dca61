package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// change is calls of one service that take protection away from something of the stack. docs/operations.md says what to do about each.
type change struct {
	ID      string // of the rule
	Meaning string // what somebody did: the beginning of the message
	Service string // without .amazonaws.com
	Calls   []string
	Of      []map[string]any // what the event says of the thing that was changed: one of these
}

// changes are those that no deployment makes by itself day by day. They name keys, buckets and the trail of this stack alone; an existing
// bucket belongs to somebody else, but holds the images.
func changes(scope constructs.Construct, cfg Config, storage Storage, records awskms.IKey) []change {
	var keys, names []*string
	for _, key := range []awskms.IKey{storage.DicomKey, storage.CertificateKey, records} {
		if key != nil {
			keys = append(keys, key.KeyArn())
		}
	}
	for _, arn := range []string{cfg.Storage.ExistingDicomKey, cfg.Service.App.Env.KMSKeyID} { // of other accounts nothing is seen
		if arn != "" && (storage.DicomKey == nil || *storage.DicomKey.KeyArn() != arn) {
			keys = append(keys, jsii.String(arn))
		}
	}
	buckets := []awss3.IBucket{storage.Dicom, storage.Certificates, storage.Trail}
	if cfg.Storage.ExistingLogBucket == "" { // which serves others, and is theirs to watch
		buckets = append(buckets, storage.AccessLogs)
	}
	for _, bucket := range buckets {
		if bucket != nil {
			names = append(names, bucket.BucketName())
		}
	}
	list := []change{
		{
			"KeyChanged", "A KMS key is to be deleted or was disabled, or its policy was changed", "kms", []string{"ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"},
			[]map[string]any{{"resources": map[string]any{"ARN": keys}}}, // requestParameters may have the id or the ARN
		},
		{
			// The names of CloudTrail, which are not always those of the API.
			// https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
			"BucketChanged", "Who may use a bucket, or how long it keeps what it holds, was changed", "s3", []string{
				"PutBucketPolicy", "DeleteBucketPolicy", "PutBucketLifecycle", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle", "PutBucketVersioning",
				"PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock", "PutBucketAcl", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls",
				"PutBucketEncryption", "DeleteBucketEncryption", "PutBucketObjectLockConfiguration", "PutBucketLogging", "PutBucketReplication", "DeleteBucket",
			},
			[]map[string]any{{"requestParameters": map[string]any{"bucketName": names}}},
		},
	}
	if cfg.Storage.CloudTrailDataEvents {
		trail := []*string{jsii.String(trailName(cfg.AppName)), trailArn(awscdk.Stack_Of(scope), cfg.AppName)}
		if arn := cfg.Audit.ExistingTrailArn; arn != "" { // of another account or home region nothing is seen
			_, name, _ := strings.Cut(arn, "/")
			trail = []*string{jsii.String(name), jsii.String(arn)}
		}
		list = append(list, change{
			"TrailChanged", "The trail was stopped, deleted or changed", "cloudtrail", []string{"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"},
			[]map[string]any{{"requestParameters": map[string]any{"name": trail}}, {"requestParameters": map[string]any{"trailName": trail}}},
		})
	}
	return list
}

// newChangeRules has the topic told who made a change, seconds after CloudTrail has it. A rule sees a call only where some trail records the
// management events of the account: with ManagementEvents that of the stack does. Metric filters over its log group would be no surer, and
// whoever stops the trail would stop them.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
func newChangeRules(scope constructs.Construct, cfg Config, list []change, topic awssns.ITopic) {
	if topic == nil {
		return // nobody to tell
	}
	for _, c := range list {
		var either []any
		for _, of := range c.Of {
			either = append(either, of)
		}
		detail := map[string]any{"eventSource": []string{c.Service + ".amazonaws.com"}, "eventName": c.Calls, "$or": either}
		if len(c.Of) == 1 {
			delete(detail, "$or")
			for key, value := range c.Of[0] {
				detail[key] = value
			}
		}
		awsevents.NewCfnRule(scope, jsii.String(c.ID), &awsevents.CfnRuleProps{
			Description: jsii.String(cfg.AppName + ": " + c.Meaning),
			EventPattern: map[string]any{
				"source": []string{"aws." + c.Service}, "detail-type": []string{"AWS API Call via CloudTrail"}, "detail": detail,
			},
			Targets: []any{&awsevents.CfnRule_TargetProperty{
				Id: jsii.String("AlarmTopic"), Arn: topic.TopicArn(),
				InputTransformer: &awsevents.CfnRule_InputTransformerProperty{
					InputPathsMap: map[string]string{
						"call": "$.detail.eventName", "who": "$.detail.userIdentity.arn", "from": "$.detail.sourceIPAddress", "when": "$.detail.eventTime", "event": "$.detail.eventID", "error": "$.detail.errorCode",
					},
					InputTemplate: jsii.String(`"` + cfg.AppName + ": " + c.Meaning + `: <call> by <who> from <from> at <when>, event <event> in the event history of CloudTrail. If there is an error, it was refused: <error>"`),
				},
			}},
		})
	}
}
