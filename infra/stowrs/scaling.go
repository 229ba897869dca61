package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	scaling "github.com/aws/aws-cdk-go/awscdk/v2/awsapplicationautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

const (
	targetCPUPercent = 60
	// targetBytesPerCore is what a core handles in a minute: 30 MB/s. It takes about 1.2 s of CPU per GB in the app
	// (docs/benchmarks.md) and as much for TLS, so that CPU is not the limit: the network of a small task is.
	targetBytesPerCore = 60 * 30e6
	// targetInFlight is the share of MaxRequests that is used: many slow senders need neither CPU nor bytes.
	targetInFlight = 0.5
	// targetPerThread is how many instances a second one of ThreadCount stores: small ones, at the 50 ms of S3, 20, of which
	// 12 leave room for waves. They need neither CPU nor bytes either.
	targetPerThread = 12
	// Uploads of minutes come in waves, and a task that is removed has DrainSeconds of work left.
	scaleInCooldown  = 30 // minutes
	scaleOutCooldown = 2  // minutes
)

// scale keeps the tasks between TaskCount and MaxTaskCount with four measures; the one that needs most tasks wins.
func scale(scope constructs.Construct, cfg config.Config, service awsecs.FargateService, cluster awsecs.Cluster, front Front) {
	target := service.AutoScaleTaskCount(&scaling.EnableScalingProps{
		MinCapacity: jsii.Number(cfg.Service.TaskCount), MaxCapacity: jsii.Number(cfg.Service.MaxTaskCount),
	})
	target.ScaleOnCpuUtilization(jsii.String("Cpu"), &awsecs.CpuUtilizationScalingProps{
		TargetUtilizationPercent: jsii.Number(targetCPUPercent),
		ScaleInCooldown:          awscdk.Duration_Minutes(jsii.Number(scaleInCooldown)), ScaleOutCooldown: awscdk.Duration_Minutes(jsii.Number(scaleOutCooldown)),
	})
	tasks := metricQuery("tasks", "ECS/ContainerInsights", "RunningTaskCount", "Average",
		dimension{"ClusterName", cluster.ClusterName()}, dimension{"ServiceName", service.ServiceName()})
	env := cfg.Service.App.Env
	for _, measure := range []struct {
		id, policy, expression string
		target                 float64
		sum                    any
	}{
		{"BytesScaling", "processed-bytes-per-task", "sum / tasks", targetBytesPerCore * float64(cfg.Service.CPU) / 1024,
			metricQuery("sum", "AWS/NetworkELB", "ProcessedBytes", "Sum", dimension{"LoadBalancer", front.NLB.LoadBalancerFullName()})},
		// The time that all requests of a minute have taken, in minutes, is how many there were at a time (Little's law).
		{"RequestsScaling", "requests-in-flight-per-task", "sum / 60000 / tasks", targetInFlight * float64(env.MaxRequests),
			metricQuery("sum", cfg.AppName, requestDuration, "Sum")},
		{"InstancesScaling", "instances-per-task", "sum / tasks", 60 * targetPerThread * float64(env.Threads()),
			metricQuery("sum", cfg.AppName, instancesStored, "Sum")},
	} {
		// CDK's own target tracking accepts no expression of metrics.
		scaling.NewCfnScalingPolicy(scope, jsii.String(measure.id), &scaling.CfnScalingPolicyProps{
			PolicyName:      jsii.String(measure.policy),
			PolicyType:      jsii.String("TargetTrackingScaling"),
			ScalingTargetId: targetID(service),
			TargetTrackingScalingPolicyConfiguration: &scaling.CfnScalingPolicy_TargetTrackingScalingPolicyConfigurationProperty{
				TargetValue:      jsii.Number(measure.target),
				ScaleInCooldown:  jsii.Number(60 * scaleInCooldown),
				ScaleOutCooldown: jsii.Number(60 * scaleOutCooldown),
				CustomizedMetricSpecification: &scaling.CfnScalingPolicy_CustomizedMetricSpecificationProperty{
					Metrics: []any{measure.sum, tasks, &scaling.CfnScalingPolicy_TargetTrackingMetricDataQueryProperty{
						Id: jsii.String("each"), Expression: jsii.String(measure.expression), Label: jsii.String(measure.policy), ReturnData: jsii.Bool(true),
					}},
				},
			},
		})
	}
}

// dimension of a metric.
type dimension struct {
	name  string
	value *string
}

// metricQuery is a metric of an expression.
func metricQuery(id, namespace, name, statistic string, dimensions ...dimension) any {
	var list []any
	for _, d := range dimensions {
		list = append(list, &scaling.CfnScalingPolicy_TargetTrackingMetricDimensionProperty{Name: jsii.String(d.name), Value: d.value})
	}
	metric := &scaling.CfnScalingPolicy_TargetTrackingMetricProperty{Namespace: jsii.String(namespace), MetricName: jsii.String(name)}
	if list != nil {
		metric.Dimensions = list
	}
	return &scaling.CfnScalingPolicy_TargetTrackingMetricDataQueryProperty{
		Id: jsii.String(id), ReturnData: jsii.Bool(false),
		MetricStat: &scaling.CfnScalingPolicy_TargetTrackingMetricStatProperty{Metric: metric, Stat: jsii.String(statistic)},
	}
}

// targetID is the id of the scalable target that CDK has created for the service.
func targetID(service awsecs.FargateService) *string {
	target := service.Node().FindChild(jsii.String("TaskCount")).Node().FindChild(jsii.String("Target"))
	return target.(scaling.ScalableTarget).ScalableTargetId() //nolint:forcetypeassert // AutoScaleTaskCount made it
}
