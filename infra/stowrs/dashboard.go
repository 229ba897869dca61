package stowrs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// dashboardName contains the region, because dashboards of all regions share their names.
func dashboardName(cfg config.Config) string { return cfg.AppName + "-" + cfg.Region }

// newDashboard shows the service from the outside in: whether everything is well, what is stored, how long it takes, and how
// the tasks and the load balancer are used.
func newDashboard(scope constructs.Construct, cfg config.Config, service Service, front Front, alarms []awscloudwatch.Alarm) {
	const half = 12 // of the 24 columns
	graph := func(title, axis string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title: jsii.String(title), Left: &metrics, Width: jsii.Number(half), Height: jsii.Number(6),
			LeftYAxis: &awscloudwatch.YAxisProps{Label: jsii.String(axis), Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
		})
	}
	a := func(name, statistic, label string) awscloudwatch.IMetric {
		return record(cfg.AppName, name, statistic, label, 5)
	}
	perSecond := func(id string, metric awscloudwatch.IMetric, label string) awscloudwatch.IMetric {
		return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression: jsii.String(fmt.Sprintf("%[1]s / PERIOD(%[1]s) / 1000000", id)), UsingMetrics: &map[string]awscloudwatch.IMetric{id: metric},
			Label: jsii.String(label), Period: awscdk.Duration_Minutes(jsii.Number(5)),
		})
	}
	nlb, targets := front.NLB.Metrics(), front.TargetGroup.Metrics()
	states := []interfacesawscloudwatch.IAlarmRef{}
	for _, alarm := range alarms {
		states = append(states, alarm)
	}
	awscloudwatch.NewDashboard(scope, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName:   jsii.String(dashboardName(cfg)),
		DefaultInterval: awscdk.Duration_Hours(jsii.Number(12)),
		Widgets: &[]*[]awscloudwatch.IWidget{
			{awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
				Title: jsii.String("Alarms"), Alarms: &states, Width: jsii.Number(2 * half), Height: jsii.Number(3),
			})},
			{
				graph("Throughput", "MB/s", perSecond("app", a(bytesReceived, "Sum", ""), "received by the app"),
					perSecond("nlb", nlb.ProcessedBytes(options("Sum", "", 5)), "through the load balancer, both ways")),
				graph("Instances", "in 5 minutes", a(instancesStored, "Sum", "stored"), a(instancesFailed, "Sum", "failed")),
			},
			{
				graph("Duration of a request", "ms", a(requestDuration, "p50", "p50"), a(requestDuration, "p99", "p99")),
				graph("Answers with 5xx", "in 5 minutes", a(serverErrorCount, "Sum", "5xx")),
			},
			{
				graph("Tasks", "tasks", runningTasks(service, "Average", "running", 5), targets.HealthyHostCount(options("Minimum", "healthy", 5)),
					targets.UnHealthyHostCount(options("Maximum", "unhealthy", 5))),
				graph("CPU and memory of the tasks", "%", service.Fargate.MetricCpuUtilization(options("Average", "CPU", 5)),
					service.Fargate.MetricMemoryUtilization(options("Average", "memory", 5))),
			},
			{
				graph("Connections of the load balancer", "connections", nlb.ActiveFlowCount(options("Average", "open", 5)), nlb.NewFlowCount(options("Sum", "new", 5))),
				graph("Connections that were reset", "in 5 minutes", nlb.TcpClientResetCount(options("Sum", "by clients", 5)),
					nlb.TcpTargetResetCount(options("Sum", "by tasks", 5)), nlb.TcpElbResetCount(options("Sum", "by the load balancer", 5))),
			},
			{awscloudwatch.NewLogQueryWidget(&awscloudwatch.LogQueryWidgetProps{
				Title: jsii.String("Instances that were not stored"), LogGroupNames: &[]*string{service.App.LogGroupName()}, View: awscloudwatch.LogQueryVisualizationType_TABLE,
				Width: jsii.Number(2 * half), Height: jsii.Number(6),
				// Without UIDs: more people look at a dashboard than at the log.
				QueryLines: jsii.Strings(`fields @timestamp, failure_reason, error, request_id`, `filter msg = "instance not stored"`, `sort @timestamp desc`, `limit 50`),
			})},
		},
	})
}

// dashboardURL is the address of the dashboard.
func dashboardURL(cfg config.Config) string {
	return consoleURL(cfg.Region, fmt.Sprintf("cloudwatch/home?region=REGION#dashboards/dashboard/%s", dashboardName(cfg)))
}
