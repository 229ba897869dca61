package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Service is the Fargate service and its cluster.
type Service struct {
	Cluster awsecs.Cluster
	Fargate awsecs.FargateService
	Task    awsecs.FargateTaskDefinition
}

// newService runs TaskCount tasks and more when they are busy. A deployment that does not become healthy is rolled back.
func newService(scope constructs.Construct, cfg Config, network Network, storage Storage, logs Logs, loadBalancer LoadBalancer, endpoints []constructs.IDependable) Service {
	cluster := awsecs.NewCluster(scope, jsii.String("Cluster"), &awsecs.ClusterProps{
		Vpc:                 network.Vpc,
		ContainerInsightsV2: awsecs.ContainerInsights_ENABLED,
	})
	task := newTask(scope, cfg, storage, logs)
	props := &awsecs.FargateServiceProps{
		Cluster:         cluster,
		TaskDefinition:  task,
		PlatformVersion: awsecs.FargatePlatformVersion_LATEST,
		VpcSubnets:      network.TaskSubnets,
		SecurityGroups:  &[]awsec2.ISecurityGroup{network.Tasks},
		AssignPublicIp:  jsii.Bool(false),
		CircuitBreaker:  &awsecs.DeploymentCircuitBreaker{Enable: jsii.Bool(true), Rollback: jsii.Bool(true)},
		// New tasks serve before old ones go.
		MinHealthyPercent:           jsii.Number(100),
		MaxHealthyPercent:           jsii.Number(200),
		AvailabilityZoneRebalancing: awsecs.AvailabilityZoneRebalancing_ENABLED, // after the outage of a zone
		HealthCheckGracePeriod:      awscdk.Duration_Seconds(jsii.Number(120)),  // to pull and start
		EnableExecuteCommand:        jsii.Bool(false),                           // nobody gets a shell where images pass
		EnableECSManagedTags:        jsii.Bool(true),
		PropagateTags:               awsecs.PropagatedTagSource_SERVICE,
	}
	if cfg.Service.MaxTaskCount == cfg.Service.TaskCount {
		props.DesiredCount = jsii.Number(cfg.Service.TaskCount)
	} // else scaling has it: a deployment would set it back, and stop tasks that are needed
	service := awsecs.NewFargateService(scope, jsii.String("Service"), props)
	service.Node().AddDependency(append(endpoints, task.ExecutionRole())...) // before they are there, no task starts
	targets := service.LoadBalancerTarget(&awsecs.LoadBalancerTargetOptions{ContainerName: jsii.String("nginx"), ContainerPort: jsii.Number(tlsPort)})
	loadBalancer.TargetGroup.AddTarget(targets.(elb.INetworkLoadBalancerTarget)) //nolint:forcetypeassert // it is a target of all load balancers

	if cfg.Service.MaxTaskCount > cfg.Service.TaskCount {
		scale(scope, cfg, service, cluster, loadBalancer)
	}
	return Service{Cluster: cluster, Fargate: service, Task: task}
}
