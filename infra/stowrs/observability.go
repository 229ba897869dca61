package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"

	"stowrs-to-s3/infra/config"
)

// Observability records and reports.
type Observability struct {
	Trail     awss3.Bucket     // files of the trail; nil if the stack creates none
	TrailLogs awslogs.LogGroup // records of the trail; nil if the stack creates none
	Topic     awssns.ITopic    // for messages; nil if nobody gets any
	Alarms    []awscloudwatch.Alarm
}

// newObservability records who accessed which object, makes metrics from records and alarms from metrics, and shows all of them; and it reports changes
// that remove protection.
func newObservability(in constructs.Construct, cfg config.Config, storage Storage, service Service, front Front) Observability {
	scope := newScope(in, "Observability")
	var made Observability
	if cfg.MakesTrail() {
		made.TrailLogs = newLogGroup(scope, "TrailLogs", cfg, storage.RecordsKey)
		made.Trail = newTrailBucket(scope, cfg, storage.AccessLogs, storage.RecordsKey)
		newTrail(scope, cfg, storage, made)
	}
	newMetricFilters(scope, cfg, service)
	made.Topic = alarmTopic(scope, cfg, storage.RecordsKey)
	made.Alarms = newAlarms(scope, cfg, alarms(cfg, service, front), made.Topic)
	newChangeRules(scope, changes(scope, cfg, storage, made.Trail), cfg, made.Topic)
	newDashboard(scope, cfg, service, front, made.Alarms)
	return made
}
