package stowrs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

func TestLogGroups(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, group := range got.all("AWS::Logs::LogGroup") {
			if days := fmt.Sprint(group.get("RetentionInDays")); days != fmt.Sprint(cfg.Observability.LogRetentionDays) {
				t.Errorf("%s is kept for %s days", id, days)
			}
			want := `{"Fn::GetAtt":["StorageRecordsKeyF196C921","Arn"]}`
			if arn := cfg.Storage.ExistingRecordsKey; arn != "" {
				want = text(arn)
			}
			if key := text(group.get("KmsKeyId")); key != want {
				t.Errorf("%s is encrypted with %s", id, key)
			}
		}
	})
}

func TestMetricFilters(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		want := map[string]string{}
		for group, metrics := range map[string][]recordMetric{"ServiceAppLogs089362DE": appMetrics(), "ServiceNginxLogsA293A75E": nginxMetrics(cfg.Certificate)} {
			for _, m := range metrics {
				want[m.Name] = fmt.Sprint(`{"Ref":"`, group, `"} `, m.Pattern, " ", m.Value, " ", cfg.AppName)
			}
		}
		is := map[string]string{}
		for _, filter := range got.all("AWS::Logs::MetricFilter") {
			m := filter.get("MetricTransformations", 0)
			is[at(m, "MetricName").(string)] = fmt.Sprint(text(filter.get("LogGroupName")), " ", filter.get("FilterPattern"), " ", at(m, "MetricValue"), " ", at(m, "MetricNamespace"))
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("filters differ (-want +got):\n%s", diff)
		}
	})
}

func TestAlarms(t *testing.T) {
	always := []string{"cpu-high", "instances-failed", "memory-high", "no-task", "nothing-stored", "server-errors", "targets-unhealthy", "certificate-expiry"}
	more := map[string][]string{s3: {"certificates-wrong"}, mTLS: {"certificates-wrong", "truststore-expiry", "crl-expiry"}, everything: {"certificates-wrong", "truststore-expiry", "crl-expiry"}}
	each(t, func(t *testing.T, got template, cfg config.Config) {
		var names []string
		for id, alarm := range got.all("AWS::CloudWatch::Alarm") {
			names = append(names, strings.TrimPrefix(alarm.get("AlarmName").(string), cfg.AppName+"-"))
			wantActions := "null"
			if topic := cfg.Observability.AlarmTopic; topic != "" {
				wantActions = `["` + topic + `"]`
			} else if cfg.Observability.AlarmEmail != "" {
				wantActions = `[{"Ref":"ObservabilityAlarmTopicF724909D"}]`
			}
			if actions := text(alarm.get("AlarmActions")); actions != wantActions || text(alarm.get("OKActions")) != wantActions {
				t.Errorf("%s notifies %s, want %s", id, actions, wantActions)
			}
			// Missing data are well, except if they mean that nothing runs.
			want := "notBreaching"
			if alarm.get("AlarmName") == cfg.AppName+"-no-task" {
				want = "breaching"
			}
			if alarm.get("TreatMissingData") != want {
				t.Errorf("%s: missing data are %v, want %s", id, alarm.get("TreatMissingData"), want)
			}
		}
		want := append(slices.Clone(always), more[strings.TrimPrefix(t.Name(), "TestAlarms/")]...)
		slices.Sort(want)
		slices.Sort(names)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("alarms differ (-want +got):\n%s", diff)
		}
	})
}

// docs/operations.md lists exactly the alarms of the stack.
func TestAlarmsAreDocumented(t *testing.T) {
	made := map[string]bool{}
	for name, cfg := range deployments() {
		for _, alarm := range of(t, name).all("AWS::CloudWatch::Alarm") {
			made[strings.TrimPrefix(alarm.get("AlarmName").(string), cfg.AppName+"-")] = true
		}
	}
	_, table, _ := strings.Cut(section(t, "../../docs/operations.md", "## AWS"), "### Alarms\n")
	table, _, _ = strings.Cut(table, "\n### ")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z0-9-]+) \| `).FindAllStringSubmatch(table, -1) {
		documented[row[1]] = true
	}
	delete(documented, "alarm") // the heading
	if diff := cmp.Diff(made, documented); diff != "" {
		t.Errorf("alarms differ (-made +documented):\n%s", diff)
	}
}

// Each alarm on records watches a metric of a filter.
func TestAlarmsWatchMetricsThatAreThere(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		made := map[any]bool{}
		for _, filter := range got.all("AWS::Logs::MetricFilter") {
			made[filter.get("MetricTransformations", 0, "MetricName")] = true
		}
		watched := 0
		for id, alarm := range got.all("AWS::CloudWatch::Alarm") {
			names, namespace := []any{alarm.get("MetricName")}, alarm.get("Namespace")
			if queries, _ := alarm.get("Metrics").([]any); queries != nil { // an expression
				names = nil
				for _, query := range queries {
					if metric := at(query, "MetricStat", "Metric"); metric != nil {
						names, namespace = append(names, at(metric, "MetricName")), at(metric, "Namespace")
					}
				}
			}
			if namespace == nil {
				t.Errorf("%s watches nothing", id)
			}
			if namespace != cfg.AppName {
				continue
			}
			watched++
			for _, name := range names {
				if !made[name] {
					t.Errorf("%s watches %v, which nothing makes", id, name)
				}
			}
		}
		if watched < 2 {
			t.Errorf("%d alarms watch records, want instances-failed and server-errors at least", watched)
		}
	})
}

func TestAlarmTopic(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		if cfg.Observability.AlarmEmail == "" {
			if topics := got.all("AWS::SNS::Topic"); len(topics) > 0 {
				t.Errorf("there are topics: %v", topics)
			}
			return
		}
		if key := text(got.one(t, "AWS::SNS::Topic", "").get("KmsMasterKeyId")); !strings.Contains(key, "RecordsKey") {
			t.Errorf("the topic is encrypted with %s", key)
		}
		if subscription := got.one(t, "AWS::SNS::Subscription", ""); subscription.get("Protocol") != "email" || subscription.get("Endpoint") != cfg.Observability.AlarmEmail {
			t.Errorf("tells %s", text(subscription.Properties))
		}
		policy := text(got.one(t, "AWS::SNS::TopicPolicy", "").Properties)
		for _, want := range []string{`"Service":"cloudwatch.amazonaws.com"`, `"aws:SecureTransport":"false"`} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy has no %s: %s", want, policy)
			}
		}
		if key := text(got.one(t, "AWS::KMS::Key", "RecordsKey").get("KeyPolicy")); !strings.Contains(key, `"Service":"cloudwatch.amazonaws.com"`) {
			t.Error("alarms cannot use the key of the topic")
		}
	}, acm, everything)
}

func TestDashboard(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		dashboard := got.one(t, "AWS::CloudWatch::Dashboard", "")
		if name := dashboard.get("DashboardName"); name != cfg.AppName+"-"+cfg.Region {
			t.Errorf("its name is %v", name)
		}
		var body struct {
			Widgets []struct{ Properties struct{ Title string } }
		}
		// The parts that CloudFormation fills in are between quotes.
		var b strings.Builder
		for _, part := range dashboard.get("DashboardBody", "Fn::Join", 1).([]any) {
			if s, is := part.(string); is {
				b.WriteString(s)
			}
		}
		if err := json.Unmarshal([]byte(b.String()), &body); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		var titles []string
		for _, widget := range body.Widgets {
			titles = append(titles, widget.Properties.Title)
		}
		want := []string{
			"Alarms", "Throughput", "Instances", "Duration of a request", "Answers with 5xx", "Tasks", "CPU and memory of the tasks",
			"Connections of the load balancer", "Connections that were reset", "Instances that were not stored",
		}
		if diff := cmp.Diff(want, titles); diff != "" {
			t.Errorf("graphs differ (-want +got):\n%s", diff)
		}
		for _, words := range []string{instancesStored, instancesFailed, bytesReceived, `"p50"`, `"p99"`, serverErrorCount, "RunningTaskCount", "CPUUtilization", "MemoryUtilization", "ActiveFlowCount", "NewFlowCount", "ProcessedBytes"} {
			if !strings.Contains(b.String(), words) {
				t.Errorf("it does not show %s", words)
			}
		}
	})
}

// Every resource that can have tags has them.
func TestTags(t *testing.T) {
	// Not taggable in CloudFormation, or tagged through another resource.
	untagged := []string{
		"AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy", "AWS::CloudWatch::Dashboard", "AWS::EC2::EIP", "AWS::EC2::Route",
		"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCEndpointServicePermissions",
		"AWS::EC2::VPCGatewayAttachment", "AWS::IAM::Policy", "AWS::KMS::Alias", "AWS::Logs::MetricFilter", "AWS::Route53::RecordSet", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy",
	}
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, r := range got.Resources {
			tags := text(r.get("Tags"))
			if slices.Contains(untagged, r.Type) && tags == "null" {
				continue
			}
			if !strings.Contains(tags, `{"Key":"deployment","Value":"`+cfg.AppName+`"}`) {
				t.Errorf("%s (%s) is without deployment: %s", id, r.Type, tags)
			}
			for key, value := range cfg.ResourceTags {
				if !strings.Contains(tags, fmt.Sprintf(`{"Key":%q,"Value":%q}`, key, value)) {
					t.Errorf("%s (%s) is without %s: %s", id, r.Type, key, tags)
				}
			}
		}
	})
}

func TestOutputs(t *testing.T) {
	all := []string{
		"AccessLogBucketName", "AppLogGroup", "ClusterName", "DashboardURL", "DicomBucketName", "LoadBalancerDNSName", "NginxLogGroup", "ServiceName", "TaskRoleArn", "TestCommand",
	}
	each(t, func(t *testing.T, got template, cfg config.Config) {
		want := slices.Clone(all)
		if cfg.Certificate.CertificateMode == config.FromS3 {
			want = append(want, "CertificateBucketName", "CertificateCommand")
		}
		if cfg.MakesTrail() {
			want = append(want, "TrailBucketName", "TrailLogGroup")
		}
		if cfg.Network.ExistingVpc.VpcID == "" {
			want = append(want, "DefaultSecurityGroupCommand", "FlowLogGroup")
		}
		if cfg.LoadBalancer.EndpointService.AllowedPrincipals != nil {
			want = append(want, "EndpointServiceName")
		}
		var names []string
		for name, output := range got.Outputs {
			names = append(names, name)
			if output.Description == nil {
				t.Errorf("%s is not described", name)
			}
		}
		slices.Sort(want)
		slices.Sort(names)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("outputs differ (-want +got):\n%s", diff)
		}
		command := text(got.Outputs["TestCommand"].Value)
		id := map[string]string{"": "FrontLoadBalancer09A37305", "Internal": "FrontLoadBalancerInternal0272E831", "Statice3f7": "FrontLoadBalancerStatice3f7F5007E0D"}[kind(cfg.LoadBalancer)]
		wantCommand := `{"Fn::Join":["",["go run ./app send --url https://",{"Fn::GetAtt":["` + id + `","DNSName"]},"/studies --insecure --response dcm-samples"]]}`
		if cfg.Certificate.AuthMode == config.ClientAuth {
			wantCommand = strings.Replace(wantCommand, " --response", " --cert client.crt --key client.key --response", 1)
		}
		if cfg.LoadBalancer.DomainName != "" { // the certificate is for that name
			wantCommand = `"go run ./app send --url https://stow.example.org/studies --response dcm-samples"`
		}
		if command != wantCommand {
			t.Errorf("TestCommand is %s, want %s", command, wantCommand)
		}
	})
}
