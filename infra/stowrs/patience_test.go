package stowrs

import (
	"strconv"
	"testing"

	"stowrs-to-s3/infra/config"
)

// A task that is busy for some time does not lose its uploads: the load balancer stops using it after a minute, and keeps its
// connections; ECS ends it after more than two minutes.
func TestBusyTasksArePatientlyChecked(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		targets := got.one(t, "AWS::ElasticLoadBalancingV2::TargetGroup", "")
		if seconds := number(t, targets.get("HealthCheckIntervalSeconds")) * number(t, targets.get("UnhealthyThresholdCount")); seconds < 60 {
			t.Errorf("the load balancer gives up after %v s", seconds)
		}
		for _, name := range []string{"app", "nginx"} {
			check := at(container(t, got, name), "HealthCheck")
			if seconds := number(t, at(check, "Interval")) * number(t, at(check, "Retries")); seconds < 150 {
				t.Errorf("ECS kills %s after %v s", name, seconds)
			}
			// A check that starts a program is slow on a busy processor.
			if timeout := number(t, at(check, "Timeout")); timeout < 20 || timeout > number(t, at(check, "Interval")) {
				t.Errorf("%s has %v s for an answer", name, timeout)
			}
		}
	})
}

// number is a numeric property, which CDK writes as a number or as text.
func number(t *testing.T, value any) float64 {
	t.Helper()
	if n, is := value.(float64); is {
		return n
	}
	n, err := strconv.ParseFloat(text(value), 64)
	if err != nil {
		t.Fatalf("%v is no number", value)
	}
	return n
}
