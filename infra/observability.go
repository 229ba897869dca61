package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
)

// newObservability turns records into metrics, metrics into alarms, and shows all of them; and tells of changes that take protection away.
func newObservability(scope constructs.Construct, cfg Config, logs Logs, storage Storage, service Service, loadBalancer LoadBalancer, key awskms.IKey) {
	newMetricFilters(scope, cfg, logs)
	topic := alarmTopic(scope, cfg, key)
	made := newAlarms(scope, cfg, alarms(cfg, service, loadBalancer), topic)
	newChangeRules(scope, cfg, changes(scope, cfg, storage, key), topic)
	newDashboard(scope, cfg, logs, service, loadBalancer, made)
}
