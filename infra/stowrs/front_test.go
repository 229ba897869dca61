package stowrs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

// The rows of the topology table.
func TestListenerAndTargetGroup(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		listener := got.one(t, "AWS::ElasticLoadBalancingV2::Listener", "")
		targets := got.one(t, "AWS::ElasticLoadBalancingV2::TargetGroup", "")
		want := []any{443.0, "TCP", "null", "null", `[{"Key":"tcp.idle_timeout.seconds","Value":"3600"}]`, "TCP"}
		if cfg.Certificate.CertificateMode == config.ACM {
			// The idle timeout of a TLS listener cannot be set. The policy allows only TLS 1.2 and 1.3.
			certificate := text(cfg.Certificate.CertificateArn)
			if certificate == `""` { // it is requested
				certificate = `{"Ref":"FrontCertificate80916DB9"}`
			}
			want = []any{443.0, "TLS", `[{"CertificateArn":` + certificate + `}]`, `"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"`, "null", "TLS"}
		}
		is := []any{
			listener.get("Port"), listener.get("Protocol"), text(listener.get("Certificates")), text(listener.get("SslPolicy")),
			text(listener.get("ListenerAttributes")), targets.get("Protocol"),
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("listener (port, protocol, certificate, policy, attributes) and protocol of the target group differ (-want +got):\n%s", diff)
		}
		if len(got.all("AWS::ElasticLoadBalancingV2::Listener")) != 1 {
			t.Error("there is another listener")
		}
	})
}

func TestTargets(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		targets := got.one(t, "AWS::ElasticLoadBalancingV2::TargetGroup", "")
		if targets.get("Name") != nil {
			t.Error("has a name: a change of topology, which replaces it, would fail")
		}
		want := map[string]any{
			// The sender's address comes in a PROXY header, which nginx expects.
			"preserve_client_ip.enabled":                          "false",
			"proxy_protocol_v2.enabled":                           "true",
			"deregistration_delay.timeout_seconds":                fmt.Sprint(cfg.LoadBalancer.DrainSeconds),
			"deregistration_delay.connection_termination.enabled": "false",
			// A target that is unhealthy for a while keeps its uploads.
			"target_health_state.unhealthy.connection_termination.enabled": "false",
			"target_health_state.unhealthy.draining_interval_seconds":      fmt.Sprint(cfg.LoadBalancer.DrainSeconds),
		}
		if diff := cmp.Diff(want, targets.attributes("TargetGroupAttributes")); diff != "" {
			t.Errorf("attributes differ (-want +got):\n%s", diff)
		}
		is := []any{targets.get("TargetType"), targets.get("Port"), targets.get("HealthCheckProtocol"), targets.get("HealthCheckPort"), targets.get("HealthCheckPath"), text(targets.get("Matcher"))}
		if diff := cmp.Diff([]any{"ip", 8443.0, "HTTP", "8081", "/health", `{"HttpCode":"200"}`}, is); diff != "" {
			t.Errorf("target and health check, which asks for live, differ (-want +got):\n%s", diff)
		}
	})
}

func TestLoadBalancer(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		nlb := got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "")
		if nlb.get("Type") != "network" || nlb.get("Scheme") != string(cfg.LoadBalancer.Scheme) {
			t.Errorf("got a %v one, %v", nlb.get("Type"), nlb.get("Scheme"))
		}
		if groups := text(nlb.get("SecurityGroups")); groups != `[{"Fn::GetAtt":["FrontLoadBalancerSecurityGroupE1F6FA8E","GroupId"]}]` {
			t.Errorf("security groups: %s", groups)
		}
		attributes := nlb.attributes("LoadBalancerAttributes")
		if attributes["load_balancing.cross_zone.enabled"] != "true" {
			t.Error("not across zones")
		}
		logs := []any{attributes["access_logs.s3.enabled"], text(attributes["access_logs.s3.bucket"]), attributes["access_logs.s3.prefix"]}
		want := []any{nil, "null", nil} // TCP listeners are not logged
		if cfg.Certificate.CertificateMode == config.ACM {
			want = []any{"true", `{"Ref":"StorageAccessLogBucket76E80A12"}`, "nlb"}
		}
		if cfg.Storage.ExistingLogBucket != "" { // others may log into the same bucket
			want = []any{"true", `"hospital-logs"`, cfg.AppName + "/nlb"}
		}
		if diff := cmp.Diff(want, logs); diff != "" {
			t.Errorf("access logs differ (-want +got):\n%s", diff)
		}
	})
}

// Visible names begin with AppName, and are short enough even with the longest AppName.
func TestNamesBeginWithAppName(t *testing.T) {
	for _, name := range []string{acm, internal} {
		cfg := deployments()[name]
		cfg.AppName = strings.Repeat("a", 20)
		got, err := synthesised(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for kind, limit := range map[string]struct {
			property string
			most     int
		}{
			"AWS::ElasticLoadBalancingV2::LoadBalancer": {"Name", 32}, "AWS::ECS::TaskDefinition": {"Family", 255}, "AWS::CloudWatch::Dashboard": {"DashboardName", 255},
			"AWS::CloudWatch::Alarm": {"AlarmName", 255},
		} {
			for id, r := range got.all(kind) {
				value, _ := r.get(limit.property).(string)
				if !strings.HasPrefix(value, cfg.AppName) || len(value) > limit.most {
					t.Errorf("%s of %s: %q has %d characters, and %d are allowed", limit.property, id, value, len(value), limit.most)
				}
			}
		}
	}
}

func TestAddressesOfTheLoadBalancer(t *testing.T) {
	want := `[{"AllocationId":"eipalloc-0123456789abcdef0","SubnetId":{"Ref":"NetworkVpcPublicSubnet1Subnet36933139"}},{"AllocationId":"eipalloc-0123456789abcdef1","SubnetId":{"Ref":"NetworkVpcPublicSubnet2SubnetC427CCE0"}}]`
	if got := text(of(t, everything).one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").get("SubnetMappings")); got != want {
		t.Errorf("ElasticIPs: got %s, want %s", got, want)
	}
	if got := text(of(t, internal).one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").get("Subnets", 0)); got != `{"Ref":"NetworkVpcTasksSubnet1Subnet669A2B3C"}` {
		t.Errorf("an internal one is in %s", got)
	}
}
