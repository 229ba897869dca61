package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// Service is the Fargate service, its cluster and its logs.
type Service struct {
	Cluster awsecs.Cluster
	Fargate awsecs.FargateService
	Task    awsecs.FargateTaskDefinition
	App     awslogs.LogGroup // JSON records of the app, with the audit record of each request
	Nginx   awslogs.LogGroup // JSON records of nginx and certsync
}

// newService runs TaskCount tasks, and more when they are busy. A deployment that does not become healthy is rolled back.
func newService(in constructs.Construct, cfg config.Config, network Network, storage Storage, front Front) Service {
	scope := newScope(in, "Service")
	appLogs, nginxLogs := newLogGroup(scope, "AppLogs", cfg, storage.RecordsKey), newLogGroup(scope, "NginxLogs", cfg, storage.RecordsKey)
	cluster := awsecs.NewCluster(scope, jsii.String("Cluster"), &awsecs.ClusterProps{
		Vpc:                 network.Vpc,
		ContainerInsightsV2: awsecs.ContainerInsights_ENABLED,
	})
	task := newTask(scope, cfg, storage, appLogs, nginxLogs)
	props := &awsecs.FargateServiceProps{
		Cluster:         cluster,
		TaskDefinition:  task,
		PlatformVersion: awsecs.FargatePlatformVersion_LATEST,
		VpcSubnets:      network.TaskSubnets,
		SecurityGroups:  &[]awsec2.ISecurityGroup{network.Tasks},
		AssignPublicIp:  jsii.Bool(false),
		CircuitBreaker:  &awsecs.DeploymentCircuitBreaker{Enable: jsii.Bool(true), Rollback: jsii.Bool(true)},
		// New tasks serve before old ones stop.
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
	} // otherwise scaling decides: a deployment would reset it, and stop tasks that are needed
	service := awsecs.NewFargateService(scope, jsii.String("Service"), props)
	service.Node().AddDependency(append(network.Endpoints, task.ExecutionRole())...) // before they exist, no task starts
	targets := service.LoadBalancerTarget(&awsecs.LoadBalancerTargetOptions{ContainerName: jsii.String("nginx"), ContainerPort: jsii.Number(tlsPort)})
	front.TargetGroup.AddTarget(targets.(elb.INetworkLoadBalancerTarget)) //nolint:forcetypeassert // it is a target of all load balancers

	if cfg.Service.MaxTaskCount > cfg.Service.TaskCount {
		scale(scope, cfg, service, cluster, front)
	}
	return Service{Cluster: cluster, Fargate: service, Task: task, App: appLogs, Nginx: nginxLogs}
}
