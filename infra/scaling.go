package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	scaling "github.com/aws/aws-cdk-go/awscdk/v2/awsapplicationautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	targetCPUPercent = 60
	// targetBytesPerCore is what a core carries in a minute: 30 MB/s. It costs about 1.2 s of CPU a GB in the app
	// (docs/benchmarks.md) and as much for TLS, so that CPU is not what ends it: the network of a small task is.
	targetBytesPerCore = 60 * 30e6
	// Uploads of minutes come in waves, and a task that goes has DrainSeconds of work before it.
	scaleInCooldown  = 30 // minutes
	scaleOutCooldown = 2  // minutes
)

// scale keeps the tasks between TaskCount and MaxTaskCount by two measures; the one that wants more tasks wins.
func scale(scope constructs.Construct, cfg ServiceConfig, service awsecs.FargateService, cluster awsecs.Cluster, loadBalancer LoadBalancer) {
	in, out := awscdk.Duration_Minutes(jsii.Number(scaleInCooldown)), awscdk.Duration_Minutes(jsii.Number(scaleOutCooldown))
	target := service.AutoScaleTaskCount(&scaling.EnableScalingProps{
		MinCapacity: jsii.Number(cfg.TaskCount), MaxCapacity: jsii.Number(cfg.MaxTaskCount),
	})
	target.ScaleOnCpuUtilization(jsii.String("Cpu"), &awsecs.CpuUtilizationScalingProps{
		TargetUtilizationPercent: jsii.Number(targetCPUPercent), ScaleInCooldown: in, ScaleOutCooldown: out,
	})

	// CDK's own target tracking takes no expression of metrics.
	query := func(id, namespace, name, statistic string, dimensions ...any) any {
		return &scaling.CfnScalingPolicy_TargetTrackingMetricDataQueryProperty{
			Id: jsii.String(id), ReturnData: jsii.Bool(false),
			MetricStat: &scaling.CfnScalingPolicy_TargetTrackingMetricStatProperty{
				Metric: &scaling.CfnScalingPolicy_TargetTrackingMetricProperty{
					Namespace: jsii.String(namespace), MetricName: jsii.String(name), Dimensions: dimensions,
				},
				Stat: jsii.String(statistic),
			},
		}
	}
	dimension := func(name string, value *string) any {
		return &scaling.CfnScalingPolicy_TargetTrackingMetricDimensionProperty{Name: jsii.String(name), Value: value}
	}
	scaling.NewCfnScalingPolicy(scope, jsii.String("BytesScaling"), &scaling.CfnScalingPolicyProps{
		PolicyName:      jsii.String("processed-bytes-per-task"),
		PolicyType:      jsii.String("TargetTrackingScaling"),
		ScalingTargetId: targetID(service),
		TargetTrackingScalingPolicyConfiguration: &scaling.CfnScalingPolicy_TargetTrackingScalingPolicyConfigurationProperty{
			TargetValue:      jsii.Number(targetBytesPerCore * float64(cfg.CPU) / 1024),
			ScaleInCooldown:  in.ToSeconds(nil),
			ScaleOutCooldown: out.ToSeconds(nil),
			CustomizedMetricSpecification: &scaling.CfnScalingPolicy_CustomizedMetricSpecificationProperty{
				Metrics: []any{
					query("bytes", "AWS/NetworkELB", "ProcessedBytes", "Sum", dimension("LoadBalancer", loadBalancer.NLB.LoadBalancerFullName())),
					query("tasks", "ECS/ContainerInsights", "RunningTaskCount", "Average",
						dimension("ClusterName", cluster.ClusterName()), dimension("ServiceName", service.ServiceName())),
					&scaling.CfnScalingPolicy_TargetTrackingMetricDataQueryProperty{
						Id: jsii.String("each"), Expression: jsii.String("bytes / tasks"), Label: jsii.String("bytes a task and minute"), ReturnData: jsii.Bool(true),
					},
				},
			},
		},
	})
}

// targetID is the id of the scalable target that CDK made for the service.
func targetID(service awsecs.FargateService) *string {
	target := service.Node().FindChild(jsii.String("TaskCount")).Node().FindChild(jsii.String("Target"))
	return target.(scaling.ScalableTarget).ScalableTargetId() //nolint:forcetypeassert // AutoScaleTaskCount made it
}
