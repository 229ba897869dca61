package stowrs

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// recordMetric is a number that CloudWatch Logs extracts from the records of a log group.
type recordMetric struct {
	Name    string
	Pattern string // of the records, in the syntax of filters for JSON
	Value   string // a field of the record, or a constant
	Unit    awscloudwatch.Unit
	Zero    bool // 0 is reported if the log group only has other records: a sum without gaps
}

// The records: of the app `store transaction`, one for each request, at all log levels; of nginx `request`, also one for each
// request, because answers of nginx itself never reach the app; of certsync `certificate status`, every 5 minutes.
const (
	storeTransactions = `{ $.msg = "store transaction" }`
	nothingStored     = `{ $.msg = "store transaction" && $.status = 503 && $.stored = 0 }`
	serverErrors      = `{ $.msg = "request" && $.status >= 500 }`
	certificateStatus = `{ $.msg = "certificate status" }`
)

// Names of metrics, in the namespace AppName.
const (
	instancesStored   = "InstancesStored"
	instancesFailed   = "InstancesFailed"
	bytesReceived     = "BytesReceived"
	requestDuration   = "RequestDuration"
	serverErrorCount  = "ServerErrors"
	certificateDays   = "CertificateDaysLeft"
	truststoreDays    = "TruststoreDaysLeft"
	revocationHours   = "RevocationListHoursLeft"
	certificatesWrong = "CertificatesWrong"
	storesRefused     = "StoresRefused"
)

// appMetrics and nginxMetrics are grouped by the log group that they read.
func appMetrics() []recordMetric {
	return []recordMetric{
		{Name: instancesStored, Pattern: storeTransactions, Value: "$.stored", Unit: awscloudwatch.Unit_COUNT, Zero: true},
		{Name: instancesFailed, Pattern: storeTransactions, Value: "$.failed", Unit: awscloudwatch.Unit_COUNT, Zero: true},
		{Name: bytesReceived, Pattern: storeTransactions, Value: "$.bytes", Unit: awscloudwatch.Unit_BYTES, Zero: true},
		{Name: storesRefused, Pattern: nothingStored, Value: "1", Unit: awscloudwatch.Unit_COUNT, Zero: true},
		{Name: requestDuration, Pattern: storeTransactions, Value: "$.duration_ms", Unit: awscloudwatch.Unit_MILLISECONDS},
	}
}

func nginxMetrics(cfg config.CertificateConfig) []recordMetric {
	metrics := []recordMetric{{Name: serverErrorCount, Pattern: serverErrors, Value: "1", Unit: awscloudwatch.Unit_COUNT, Zero: true}}
	if cfg.CertificateMode == config.FromS3 {
		metrics = append(metrics,
			recordMetric{Name: certificatesWrong, Pattern: certificateStatus, Value: "$.degraded", Unit: awscloudwatch.Unit_COUNT},
			recordMetric{Name: certificateDays, Pattern: certificateStatus, Value: "$.certificate_days_left", Unit: awscloudwatch.Unit_COUNT})
	}
	if cfg.AuthMode == config.ClientAuth {
		metrics = append(metrics,
			recordMetric{Name: truststoreDays, Pattern: certificateStatus, Value: "$.truststore_days_left", Unit: awscloudwatch.Unit_COUNT},
			recordMetric{Name: revocationHours, Pattern: certificateStatus, Value: "$.crl_hours_left", Unit: awscloudwatch.Unit_COUNT})
	}
	return metrics
}

// newMetricFilters creates the filters. To draw or watch a metric, use record.
func newMetricFilters(scope constructs.Construct, cfg config.Config, service Service) {
	add := func(metrics []recordMetric, group awslogs.ILogGroup) {
		for _, m := range metrics {
			props := &awslogs.MetricFilterProps{
				LogGroup:        group,
				FilterPattern:   awslogs.FilterPattern_Literal(jsii.String(m.Pattern)),
				MetricNamespace: jsii.String(cfg.AppName),
				MetricName:      jsii.String(m.Name),
				MetricValue:     jsii.String(m.Value),
				Unit:            m.Unit,
			}
			if m.Zero {
				props.DefaultValue = jsii.Number(0)
			}
			awslogs.NewMetricFilter(scope, jsii.String(m.Name), props)
		}
	}
	add(appMetrics(), service.App)
	add(nginxMetrics(cfg.Certificate), service.Nginx)
}

// record is a metric of the filters; its label is a legend for people, empty in an alarm.
func record(appName, name, statistic, label string, minutes int) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(appName), MetricName: jsii.String(name), Statistic: jsii.String(statistic),
		Period: awscdk.Duration_Minutes(jsii.Number(minutes)), Label: legend(label),
	})
}

// runningTasks is measured by Container Insights.
func runningTasks(service Service, statistic, label string, minutes int) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("ECS/ContainerInsights"), MetricName: jsii.String("RunningTaskCount"), Statistic: jsii.String(statistic),
		Period: awscdk.Duration_Minutes(jsii.Number(minutes)), Label: legend(label),
		DimensionsMap: &map[string]*string{"ClusterName": service.Cluster.ClusterName(), "ServiceName": service.Fargate.ServiceName()},
	})
}

// options are those of a metric that a CDK class knows.
func options(statistic, label string, minutes int) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{
		Statistic: jsii.String(statistic), Label: legend(label), Period: awscdk.Duration_Minutes(jsii.Number(minutes)),
	}
}

func legend(label string) *string {
	if label == "" {
		return nil
	}
	return jsii.String(label)
}

// consoleURL is a page of the AWS console; each partition has its own.
func consoleURL(region, page string) string {
	domain := region + ".console.aws.amazon.com"
	switch config.Partition(region) {
	case "aws-cn":
		domain = region + ".console.amazonaws.cn"
	case "aws-us-gov":
		domain = "console.amazonaws-us-gov.com"
	case "aws-eusc":
		domain = region + ".console.amazonaws-eusc.eu"
	}
	return fmt.Sprintf("https://%s/%s", domain, strings.ReplaceAll(page, "REGION", region))
}
