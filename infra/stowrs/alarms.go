package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	actions "github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	subscriptions "github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// alarm is a state that somebody must check. docs/operations.md says for each what it means and what to do.
type alarm struct {
	Name      string // after AppName and a hyphen
	Meaning   string // what is wrong, and where to look first: the text of the email
	Metric    awscloudwatch.IMetric
	Is        awscloudwatch.ComparisonOperator
	Threshold float64
	Periods   int // how many in a row
	// Missing says what missing datapoints mean. If there are no records because there is no traffic, everything is
	// well; another alarm says that no task runs.
	Missing awscloudwatch.TreatMissingData
}

const (
	atLeast = awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD
	below   = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD

	isWell = awscloudwatch.TreatMissingData_NOT_BREACHING
	isBad  = awscloudwatch.TreatMissingData_BREACHING
)

const (
	expiryDays  = 30 // ACM renews 60 days before the end: at 30 it has failed for a month
	busyPercent = 85
	oneDay      = 24 * 60 // minutes
)

// alarms are the alarms of the topology.
func alarms(cfg config.Config, service Service, front Front) []alarm {
	list := []alarm{
		{"instances-failed", "Instances were not stored. The records \"instance not stored\" in the log of the app say why.",
			record(cfg.AppName, instancesFailed, "Sum", "", 5), atLeast, 1, 1, isWell},
		{"server-errors", "Five or more requests in five minutes were answered with 5xx. Senders repeat them; the logs of nginx and of the app say why.",
			record(cfg.AppName, serverErrorCount, "Sum", "", 5), atLeast, 5, 1, isWell},
		{"nothing-stored", "For ten minutes requests have come and no instance was stored, though tasks are live: S3 refuses, or the bucket's KMS key does. The records \"instance not stored\" in the log of the app say why.",
			nothingIsStored(cfg.AppName), atLeast, 1, 2, isWell},
		{"targets-unhealthy", "For five minutes a task has not answered the health check: nginx or the app in it hangs.",
			front.TargetGroup.Metrics().UnHealthyHostCount(options("Maximum", "", 1)), atLeast, 1, 5, isWell},
		{"no-task", "No task is running: nothing can be stored. The events of the service say why tasks stop.",
			runningTasks(service, "Minimum", "", 1), below, 1, 3, isBad},
		{"cpu-high", "For 15 minutes tasks have used most of their CPU: raise MaxTaskCount, or CPU.",
			service.Fargate.MetricCpuUtilization(options("Average", "", 5)), atLeast, busyPercent, 3, isWell},
		{"memory-high", "For 15 minutes tasks have used most of their memory: above their limit they are killed.",
			service.Fargate.MetricMemoryUtilization(options("Average", "", 5)), atLeast, busyPercent, 3, isWell},
	}
	return append(list, certificateAlarms(cfg, front.CertificateArn)...)
}

// nothingIsStored is 1 for five minutes in which requests were answered with 503 and none stored an instance.
func nothingIsStored(appName string) awscloudwatch.IMetric {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String("IF(refused > 0 AND stored == 0, 1, 0)"), Label: jsii.String("nothing is stored"), Period: awscdk.Duration_Minutes(jsii.Number(5)),
		UsingMetrics: &map[string]awscloudwatch.IMetric{
			"refused": record(appName, storesRefused, "Sum", "", 5), "stored": record(appName, instancesStored, "Sum", "", 5),
		},
	})
}

func certificateAlarms(cfg config.Config, certificateArn *string) []alarm {
	if cfg.Certificate.CertificateMode == config.ACM {
		daysToExpiry := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/CertificateManager"), MetricName: jsii.String("DaysToExpiry"), Statistic: jsii.String("Minimum"),
			Period: awscdk.Duration_Minutes(jsii.Number(oneDay)), DimensionsMap: &map[string]*string{"CertificateArn": certificateArn},
		})
		return []alarm{{"certificate-expiry", "The certificate in ACM ends within 30 days, and was not renewed.", daysToExpiry, below, expiryDays, 1, isWell}}
	}
	list := []alarm{
		{"certificate-expiry", "certificate.crt ends within 30 days: put the next one into the certificate bucket.",
			record(cfg.AppName, certificateDays, "Minimum", "", 60), below, expiryDays, 1, isWell},
		{"certificates-wrong", "A file in the certificate bucket is missing or cannot be used. The records \"certificate problem\" in the log of nginx say which, and the remedy.",
			record(cfg.AppName, certificatesWrong, "Maximum", "", 10), atLeast, 1, 1, isWell},
	}
	if cfg.Certificate.AuthMode == config.ClientAuth {
		list = append(list,
			alarm{"truststore-expiry", "A certificate in truststore.crt ends within 30 days: clients that it vouches for will be refused.",
				record(cfg.AppName, truststoreDays, "Minimum", "", 60), below, expiryDays, 1, isWell},
			alarm{"crl-expiry", "crl.pem is due within 24 hours: after that every client is refused. Put the next one into the certificate bucket.",
				record(cfg.AppName, revocationHours, "Minimum", "", 60), below, 24, 1, isWell})
	}
	return list
}

// alarmTopic is the topic for messages: AlarmTopic, or a new topic for AlarmEmail, or nil.
func alarmTopic(scope constructs.Construct, cfg config.Config, key awskms.IKey) awssns.ITopic {
	if arn := cfg.Observability.AlarmTopic; arn != "" {
		return awssns.Topic_FromTopicArn(scope, jsii.String("AlarmTopic"), jsii.String(arn))
	} else if cfg.Observability.AlarmEmail != "" {
		return newAlarmTopic(scope, cfg, key)
	}
	return nil
}

// newAlarms creates the alarms, which notify the topic when they start and when they end.
func newAlarms(scope constructs.Construct, cfg config.Config, list []alarm, topic awssns.ITopic) []awscloudwatch.Alarm {
	var action awscloudwatch.IAlarmAction
	if topic != nil {
		action = actions.NewSnsAction(topic)
	}
	made := []awscloudwatch.Alarm{}
	for _, a := range list {
		made = append(made, awscloudwatch.NewAlarm(scope, jsii.String(alarmPrefix+a.Name), &awscloudwatch.AlarmProps{
			AlarmName:          jsii.String(cfg.AppName + "-" + a.Name),
			AlarmDescription:   jsii.String(a.Meaning),
			Metric:             a.Metric,
			ComparisonOperator: a.Is,
			Threshold:          jsii.Number(a.Threshold),
			EvaluationPeriods:  jsii.Number(a.Periods),
			DatapointsToAlarm:  jsii.Number(a.Periods),
			TreatMissingData:   a.Missing,
		}))
		if action != nil {
			made[len(made)-1].AddAlarmAction(action)
			made[len(made)-1].AddOkAction(action)
		}
	}
	return made
}

// alarmPrefix begins the ids of alarms.
const alarmPrefix = "Alarm-"

// newAlarmTopic creates a topic with one subscriber, who must confirm the subscription first.
func newAlarmTopic(scope constructs.Construct, cfg config.Config, key awskms.IKey) awssns.Topic {
	topic := awssns.NewTopic(scope, jsii.String("AlarmTopic"), &awssns.TopicProps{
		DisplayName: jsii.String("Alarms of " + cfg.AppName),
		MasterKey:   key,
		EnforceSSL:  jsii.Bool(true),
	})
	// A topic with its own policy loses the default one, which allows alarms of the account to publish.
	stack := awscdk.Stack_Of(scope)
	publish := allow("Alarms", []string{"sns:Publish"}, topic.TopicArn())
	publish.AddServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)
	publish.AddConditions(&map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
		"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ResourceName: jsii.String(cfg.AppName + "-*"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})},
	})
	topic.AddToResourcePolicy(publish)
	// AWS does not document whether EventBridge tells a topic for which rule it publishes. If it does, the rule must be one of this account and region;
	// a condition that always requires it could block all messages.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
	changes := allow("Changes", []string{"sns:Publish"}, topic.TopicArn())
	changes.AddServicePrincipal(jsii.String("events.amazonaws.com"), nil)
	changes.AddConditions(&map[string]any{
		"StringEqualsIfExists": map[string]any{"aws:SourceAccount": stack.Account()},
		"ArnLikeIfExists": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("events"), Resource: jsii.String("rule"), ResourceName: jsii.String("*"),
		})},
	})
	topic.AddToResourcePolicy(changes)
	topic.AddSubscription(subscriptions.NewEmailSubscription(jsii.String(cfg.Observability.AlarmEmail), nil))
	return topic
}
