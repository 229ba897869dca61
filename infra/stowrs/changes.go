package stowrs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// change describes calls of one service that remove protection from a resource of the stack. docs/operations.md says what to do about each.
type change struct {
	ID      string // of the rule
	Meaning string // what somebody did: the beginning of the message
	Service string // without .amazonaws.com
	Calls   []string
	Of      []map[string]any // how the event names the changed resource: one of these
}

// changes are calls that no deployment makes in everyday use. They name only keys, buckets and the trail of this stack; an existing
// bucket belongs to somebody else, but holds the images.
func changes(scope constructs.Construct, cfg config.Config, storage Storage, trail awss3.IBucket) []change {
	var keys, names []*string
	for _, key := range []awskms.IKey{storage.DicomKey, storage.CertificateKey, storage.RecordsKey} {
		if key != nil {
			keys = append(keys, key.KeyArn())
		}
	}
	for _, arn := range []string{cfg.Storage.ExistingDicomKey, cfg.Service.App.Env.KMSKeyID} { // events of other accounts are not visible
		if arn != "" && (storage.DicomKey == nil || *storage.DicomKey.KeyArn() != arn) {
			keys = append(keys, jsii.String(arn))
		}
	}
	buckets := []awss3.IBucket{storage.Dicom, storage.Certificates, trail}
	if cfg.Storage.ExistingLogBucket == "" { // an existing one serves others, and its owner must watch it
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
		names := []*string{jsii.String(trailName(cfg.AppName)), trailArn(awscdk.Stack_Of(scope), cfg.AppName)}
		if arn := cfg.Audit.ExistingTrailArn; arn != "" { // events of another account or home region are not visible
			_, name, _ := strings.Cut(arn, "/")
			names = []*string{jsii.String(name), jsii.String(arn)}
		}
		list = append(list, change{
			"TrailChanged", "The trail was stopped, deleted or changed", "cloudtrail", []string{"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"},
			[]map[string]any{{"requestParameters": map[string]any{"name": names}}, {"requestParameters": map[string]any{"trailName": names}}},
		})
	}
	return list
}

// newChangeRules notifies the topic who made a change, seconds after CloudTrail has recorded it. A rule sees a call only if a trail records the
// management events of the account: with ManagementEvents, that of the stack does. Metric filters over its log group would not be better, and
// would stop with the trail.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
func newChangeRules(scope constructs.Construct, list []change, cfg config.Config, topic awssns.ITopic) {
	if topic == nil {
		return // there is nobody to notify
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
