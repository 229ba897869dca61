package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
)

// newObservability turns records into metrics, metrics into alarms, and shows all of them.
func newObservability(scope constructs.Construct, cfg Config, logs Logs, service Service, loadBalancer LoadBalancer, key awskms.IKey) {
	newMetricFilters(scope, cfg, logs)
	made := newAlarms(scope, cfg, alarms(cfg, service, loadBalancer), key)
	newDashboard(scope, cfg, logs, service, loadBalancer, made)
}
