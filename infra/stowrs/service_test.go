package stowrs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

// container is a container of the task by its name.
func container(t *testing.T, got template, name string) any {
	t.Helper()
	for _, c := range got.one(t, "AWS::ECS::TaskDefinition", "").get("ContainerDefinitions").([]any) {
		if at(c, "Name") == name {
			return c
		}
	}
	t.Fatalf("no container %s", name)
	return nil
}

// environment is that of a container; values that CloudFormation fills in are in JSON.
func environment(t *testing.T, got template, name string) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for _, pair := range at(container(t, got, name), "Environment").([]any) {
		value, is := at(pair, "Value").(string)
		if !is {
			value = text(at(pair, "Value"))
		}
		variables[at(pair, "Name").(string)] = value
	}
	return variables
}

// statements are those of a role's policy, by Sid, or by their actions.
func statements(t *testing.T, got template, role string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, statement := range got.one(t, "AWS::IAM::Policy", role).get("PolicyDocument", "Statement").([]any) {
		name, has := at(statement, "Sid").(string)
		if !has {
			name = text(at(statement, "Action")) + text(at(statement, "Resource"))
		}
		found[name] = statement
	}
	return found
}

func TestContainersAreConfined(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for _, name := range []string{"app", "nginx"} {
			c := container(t, got, name)
			is := []any{at(c, "ReadonlyRootFilesystem"), at(c, "User"), at(c, "Privileged"), text(at(c, "LinuxParameters")), at(c, "Essential"), at(c, "StopTimeout")}
			if diff := cmp.Diff([]any{true, "65532:65532", false, `{"Capabilities":{"Drop":["ALL"]}}`, true, 120.0}, is); diff != "" {
				t.Errorf("%s (root file system, user, privileged, capabilities, essential, stop) differs (-want +got):\n%s", name, diff)
			}
		}
		volumes := text(got.one(t, "AWS::ECS::TaskDefinition", "").get("Volumes")) // neither a host volume nor a file system: it is empty, and disappears with the task
		mounts := text(at(container(t, got, "nginx"), "MountPoints"))
		if volumes != `[{"Name":"nginx-run"}]` || mounts != `[{"ContainerPath":"/run/certsync","ReadOnly":false,"SourceVolume":"nginx-run"}]` || at(container(t, got, "app"), "MountPoints") != nil {
			t.Errorf("writable: %s, %s", volumes, mounts)
		}
	})
}

func TestContainerHealthAndOrder(t *testing.T) {
	got := of(t, acm)
	for name, want := range map[string]string{"app": `["CMD","/stowrs","health","--live"]`, "nginx": `["CMD","/certsync","health"]`} {
		if command := text(at(container(t, got, name), "HealthCheck", "Command")); command != want {
			t.Errorf("%s: got %s, want %s", name, command, want)
		}
	}
	if order := text(at(container(t, got, "nginx"), "DependsOn")); order != `[{"Condition":"HEALTHY","ContainerName":"app"}]` {
		t.Errorf("nginx starts after %s", order)
	}
	if ports := text(at(container(t, got, "nginx"), "PortMappings")); ports != `[{"ContainerPort":8443,"Protocol":"tcp"},{"ContainerPort":8081,"Protocol":"tcp"}]` {
		t.Errorf("ports of nginx: %s", ports)
	}
	if at(container(t, got, "app"), "PortMappings") != nil {
		t.Error("the app has ports outside of the task")
	}
}

func TestLogsOfContainersAreNotDropped(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for name, group := range map[string]string{"app": "ServiceAppLogs089362DE", "nginx": "ServiceNginxLogsA293A75E"} {
			options := at(container(t, got, name), "LogConfiguration", "Options")
			if at(options, "mode") != "blocking" || text(at(options, "awslogs-group")) != `{"Ref":"`+group+`"}` {
				t.Errorf("%s: %s", name, text(options))
			}
		}
	})
}

func TestEnvironmentOfNginx(t *testing.T) {
	bucket := `{"Ref":"StorageCertificateBucket6DE8A294"}`
	for name, want := range map[string]map[string]string{
		acm:  {"AUTH_MODE": "anonymous", "CERT_MODE": "ACM", "AWS_REGION": "us-east-1", "PROXY_PROTOCOL": "on"},
		s3:   {"AUTH_MODE": "anonymous", "CERT_MODE": "FROMS3", "CERT_BUCKETNAME": bucket, "AWS_REGION": "us-east-1", "PROXY_PROTOCOL": "on"},
		mTLS: {"AUTH_MODE": "clientauth", "CERT_MODE": "FROMS3", "CERT_BUCKETNAME": bucket, "AWS_REGION": "us-east-1", "PROXY_PROTOCOL": "on"},
	} {
		want["CERT_REFRESH"], want["WORKER_SHUTDOWN_TIMEOUT"], want["CLIENT_MAX_BODY_SIZE"], want["CONNECTIONS_PER_ADDRESS"] = "1m0s", "1h0m0s", "0", "0"
		if diff := cmp.Diff(want, environment(t, of(t, name), "nginx")); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, diff)
		}
	}
}

// The app accepts connections only from nginx in its own task, and trusts it.
func TestAppIsBehindNginx(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		variables := environment(t, got, "app")
		for name, want := range map[string]string{"LISTENADDRESS": "127.0.0.1:8080", "ADMINADDRESS": "127.0.0.1:9090", "TRUSTEDPROXY": "127.0.0.1"} {
			if variables[name] != want {
				t.Errorf("%s is %q, want %q", name, variables[name], want)
			}
		}
	})
}

func TestTask(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		task := got.one(t, "AWS::ECS::TaskDefinition", "")
		is := []any{task.get("Cpu"), task.get("Memory"), task.get("NetworkMode"), text(task.get("RequiresCompatibilities")), text(task.get("RuntimePlatform"))}
		want := []any{"2048", "4096", "awsvpc", `["FARGATE"]`, fmt.Sprintf(`{"CpuArchitecture":"%s","OperatingSystemFamily":"LINUX"}`, cfg.Service.CPUArchitecture)}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("task differs (-want +got):\n%s", diff)
		}
		// The limits of the containers add up to those of the task; otherwise it could not use all of its memory, and the alarm on its memory could not fire.
		for name, memory := range map[string]float64{"app": 3072, "nginx": 1024} {
			if c := container(t, got, name); at(c, "Cpu") != 1024.0 || at(c, "Memory") != memory {
				t.Errorf("%s has %v units and %v MiB", name, at(c, "Cpu"), at(c, "Memory"))
			}
		}
	})
}

func TestService(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		service := got.one(t, "AWS::ECS::Service", "")
		deployment := text(service.get("DeploymentConfiguration"))
		if deployment != `{"DeploymentCircuitBreaker":{"Enable":true,"Rollback":true},"MaximumPercent":200,"MinimumHealthyPercent":100}` {
			t.Errorf("deployment: %s", deployment)
		}
		if service.get("EnableExecuteCommand") != false {
			t.Error("one can get a shell in a task")
		}
		for _, role := range []string{"ServiceTaskRoleDefaultPolicyD631B465", "ServiceExecutionRoleDefaultPolicyC3CC8C20"} {
			if !slices.Contains(service.DependsOn, role) {
				t.Errorf("tasks may start before %s is there", role)
			}
		}
		wantCount := "null" // with scaling, a deployment must not reset the number
		if cfg.Service.TaskCount == cfg.Service.MaxTaskCount {
			wantCount = fmt.Sprint(cfg.Service.TaskCount)
		}
		if count := text(service.get("DesiredCount")); count != wantCount {
			t.Errorf("DesiredCount is %s, want %s", count, wantCount)
		}
		if settings := text(got.one(t, "AWS::ECS::Cluster", "").get("ClusterSettings")); settings != `[{"Name":"containerInsights","Value":"enabled"}]` {
			t.Errorf("cluster: %s", settings)
		}
	})
}

func TestScaling(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		policies := got.all("AWS::ApplicationAutoScaling::ScalingPolicy")
		if cfg.Service.TaskCount == cfg.Service.MaxTaskCount {
			if len(policies) > 0 {
				t.Error("scales between equal numbers")
			}
			return
		}
		target := got.one(t, "AWS::ApplicationAutoScaling::ScalableTarget", "")
		if target.get("MinCapacity") != 1.0 || target.get("MaxCapacity") != 4.0 {
			t.Errorf("between %v and %v tasks", target.get("MinCapacity"), target.get("MaxCapacity"))
		}
		if len(policies) != 4 {
			t.Fatalf("got %d policies, want CPU, bytes, requests and instances", len(policies))
		}
		const tasks = `"MetricName":"RunningTaskCount","Namespace":"ECS/ContainerInsights"`
		tracked := map[string][]string{
			"BytesScaling":     {"1800000000", `"MetricName":"ProcessedBytes","Namespace":"AWS/NetworkELB"`, `"Expression":"sum / tasks"`},
			"RequestsScaling":  {"256", `"MetricName":"RequestDuration","Namespace":"stowrs-to-s3"`, `"Expression":"sum / 60000 / tasks"`}, // half of MaxRequests at a time
			"InstancesScaling": {"368640", `"MetricName":"InstancesStored","Namespace":"stowrs-to-s3"`, `"Expression":"sum / tasks"`},      // 12 a second and thread
		}
		for id, policy := range policies {
			id := ruleName(id)
			tracking := policy.get("TargetTrackingScalingPolicyConfiguration")
			if in, out := at(tracking, "ScaleInCooldown"), at(tracking, "ScaleOutCooldown"); in != 1800.0 || out != 120.0 {
				t.Errorf("%s: in after %v s, out after %v s", id, in, out)
			}
			if want := tracked[id]; want != nil {
				if value := fmt.Sprintf("%.0f", at(tracking, "TargetValue")); id != "BytesScaling" && value != want[0] {
					t.Errorf("%s: the target is %s, want %s", id, value, want[0])
				}
				metrics := text(at(tracking, "CustomizedMetricSpecification", "Metrics"))
				for _, part := range append(want[1:], tasks) {
					if !strings.Contains(metrics, part) {
						t.Errorf("%s: no %s in %s", id, part, metrics)
					}
				}
			} else if metric := text(at(tracking, "PredefinedMetricSpecification")); metric != `{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"}` {
				t.Errorf("%s: %s", id, metric)
			}
		}
	})
}

// The app ignores spaces around PREFIX, and so does the policy of its role.
func TestPrefixWithSpaces(t *testing.T) {
	cfg := deployments()[acm]
	cfg.Service.App.Env.Prefix = " /in-box/ "
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if role := text(statements(t, got, "TaskRole")); !strings.Contains(role, `"/in-box/*"`) {
		t.Errorf("the role is for other keys: %s", role)
	}
}

// All permissions of the tasks.
func TestTaskRole(t *testing.T) {
	const (
		dicom = `{"Fn::GetAtt":["StorageDicomBucket40779C1B","Arn"]}`
		certs = `{"Fn::GetAtt":["StorageCertificateBucket6DE8A294","Arn"]}`
	)
	object := func(bucket, key string) string { return `{"Fn::Join":["",[` + bucket + `,"/` + key + `"]]}` }
	certificateFiles := "[" + strings.Join([]string{object(certs, "certificate.crt"), object(certs, "certificate.key"), object(certs, "crl.pem"), object(certs, "truststore.crt")}, ",") + "]"
	key := func(id string) string { return `{"Fn::GetAtt":["` + id + `","Arn"]}` }
	store := `["s3:AbortMultipartUpload","s3:GetObject","s3:ListMultipartUploadParts","s3:PutObject"] on ` + object(dicom, "*")
	probe := `["s3:ListBucket","s3:ListBucketMultipartUploads"] on ` + dicom
	useKey := `["kms:Decrypt","kms:GenerateDataKey"] on `
	files := []string{`"s3:GetObject" on ` + certificateFiles, `"s3:ListBucket" on ` + certs, `"kms:Decrypt" on ` + key("StorageCertificateKeyBF918EAC")}
	existing := `"arn:aws:s3:::hospital-archive`
	for name, want := range map[string][]string{
		acm:        {store, probe, useKey + key("StorageDicomKey0E86EBE5")},
		s3:         append([]string{store, probe, useKey + key("StorageDicomKey0E86EBE5")}, files...),
		mTLS:       append([]string{store, probe, useKey + key("StorageDicomKey0E86EBE5")}, files...),
		everything: append([]string{`["s3:AbortMultipartUpload","s3:GetObject","s3:ListMultipartUploadParts","s3:PutObject"] on ` + object(dicom, "instance1/*"), probe}, files...),
		internal: {
			`["s3:AbortMultipartUpload","s3:GetObject","s3:ListMultipartUploadParts","s3:PutObject"] on ` + existing + `/*"`, `["s3:ListBucket","s3:ListBucketMultipartUploads"] on ` + existing + `"`,
			useKey + `"arn:aws:kms:ca-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"`,
			useKey + `"arn:aws:kms:ca-west-1:123456789012:key/11234567-89ab-cdef-0123-456789abcdef"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, statement := range statements(t, of(t, name), "TaskRole") {
				actions := at(statement, "Action")
				if list, is := actions.([]any); is {
					slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				}
				got = append(got, text(actions)+" on "+text(at(statement, "Resource")))
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

// Roles can be assumed only on behalf of this account, if the service supports this condition, and have no AWS managed policies.
func TestRoles(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for id, role := range got.all("AWS::IAM::Role") {
			if role.get("ManagedPolicyArns") != nil {
				t.Errorf("%s has %s", id, text(role.get("ManagedPolicyArns")))
			}
			condition := text(role.get("AssumeRolePolicyDocument", "Statement", 0, "Condition", "StringEquals", "aws:SourceAccount"))
			if text(role.get("AssumeRolePolicyDocument", "Statement", 0, "Principal", "Service")) == `"cloudtrail.amazonaws.com"` {
				// CloudTrail sends neither aws:SourceAccount nor aws:SourceArn: with a condition, no trail can be created.
				// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
				if role.get("AssumeRolePolicyDocument", "Statement", 0, "Condition") != nil {
					t.Errorf("%s cannot be assumed by CloudTrail", id)
				}
			} else if condition != `{"Ref":"AWS::AccountId"}` {
				t.Errorf("%s is assumed for %s", id, condition)
			}
		}
		for id, policy := range got.all("AWS::IAM::Policy") {
			for _, statement := range policy.get("PolicyDocument", "Statement").([]any) {
				if strings.Contains(text(at(statement, "Action")), "*") {
					t.Errorf("%s: %s", id, text(statement))
				}
			}
		}
	})
}

// Storage commitment tells a client whether UIDs exist: anonymous clients can use it only if it is configured.
func TestCommitmentIsForKnownClients(t *testing.T) {
	for _, row := range []struct {
		auth config.AuthMode
		env  config.Commitment
		want string // empty: the app's default, which is on
	}{
		{config.Anonymous, "", "off"}, {config.Anonymous, config.On, "on"}, {config.Anonymous, config.Off, "off"},
		{config.ClientAuth, "", ""}, {config.ClientAuth, config.On, "on"}, {config.ClientAuth, config.Off, "off"},
	} {
		c := deployments()[mTLS]
		c.Certificate = clientAuth()
		c.Certificate.AuthMode = row.auth
		c.Service.App.Env.Commitment = row.env
		got, err := synthesised(c)
		if err != nil {
			t.Fatal(err)
		}
		if value := environment(t, got, "app")["COMMITMENT"]; value != row.want {
			t.Errorf("%s, %q: COMMITMENT=%q, want %q", row.auth, row.env, value, row.want)
		}
	}
}
