package stowrs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

func TestTasksHaveNoWayOut(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, route := range got.all("AWS::EC2::Route") {
			if !strings.Contains(text(route.get("RouteTableId")), "VpcTasks") {
				continue
			}
			if cfg.Network.Egress == config.Endpoints || route.get("NatGatewayId") == nil {
				t.Errorf("%s leads tasks out: %s", id, text(route.Properties))
			}
		}
		gateways := len(got.all("AWS::EC2::NatGateway"))
		want := 0
		if cfg.Network.Egress == config.NAT {
			want = cfg.Network.Zones()
		}
		if gateways != want {
			t.Errorf("got %d NAT gateways, want %d", gateways, want)
		}
		if public := text(got.one(t, "AWS::ECS::Service", "").get("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp")); public != `"DISABLED"` {
			t.Errorf("AssignPublicIp is %s", public)
		}
		for id, subnet := range got.all("AWS::EC2::Subnet") {
			if subnet.get("MapPublicIpOnLaunch") != false {
				t.Errorf("%s gives public addresses", id)
			}
		}
	})
}

func TestSubnetsInEveryZone(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		if cfg.Network.ExistingVpc.VpcID != "" {
			return // see TestExistingVpc
		}
		zones := map[string]int{}
		for id, subnet := range got.all("AWS::EC2::Subnet") {
			if strings.HasPrefix(unscoped(id), "VpcTasks") {
				zones[text(subnet.get("AvailabilityZone"))]++
			}
		}
		if len(zones) != cfg.Network.Zones() {
			t.Errorf("tasks have subnets in %d zones, want %d", len(zones), cfg.Network.Zones())
		}
		if used := got.one(t, "AWS::ECS::Service", "").get("NetworkConfiguration", "AwsvpcConfiguration", "Subnets").([]any); len(used) != len(zones) {
			t.Errorf("the service runs in %d of %d zones", len(used), len(zones))
		}
	})
}

// ingress and egress are all rules of a security group, inside its resource and as separate resources.
func rules(got template, group, direction string) []string {
	var found []string
	for id, r := range got.Resources {
		if r.Type == "AWS::EC2::SecurityGroup" && strings.HasPrefix(id, group) {
			list, _ := r.Properties["SecurityGroup"+direction].([]any)
			for _, rule := range list {
				if text(at(rule, "CidrIp")) != `"255.255.255.255/32"` { // this is how CDK writes "nothing"
					found = append(found, fmt.Sprintf("%v %v", at(rule, "CidrIp"), at(rule, "FromPort")))
				}
			}
		}
		if r.Type == "AWS::EC2::SecurityGroup"+direction && strings.Contains(text(r.get("GroupId")), `"`+group) {
			other := text(r.get("SourceSecurityGroupId"))
			if direction == "Egress" {
				other = text(r.get("DestinationSecurityGroupId"))
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(other, `{"Fn::GetAtt":["`), "SecurityGroup")
			if list, of := r.get("SourcePrefixListId").(string); of {
				name = list
			}
			found = append(found, fmt.Sprintf("%s %v", name, r.get("FromPort")))
		}
	}
	slices.Sort(found)
	return found
}

// Which connections are allowed: clients to the load balancer, load balancer to tasks, tasks to AWS; no others.
func TestSecurityGroups(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for _, row := range []struct {
			group, direction string
			want             []string
		}{
			{"FrontLoadBalancerSecurityGroup", "Ingress", []string{"198.51.100.0/24 443", "203.0.113.7/32 443"}},
			{"FrontLoadBalancerSecurityGroup", "Egress", []string{"NetworkTask 8081", "NetworkTask 8443"}},
			{"NetworkTaskSecurityGroup", "Ingress", []string{"FrontLoadBalancer 8081", "FrontLoadBalancer 8443"}},
			{"NetworkTaskSecurityGroup", "Egress", []string{"0.0.0.0/0 443"}},
			{"NetworkEndpointSecurityGroup", "Ingress", []string{"NetworkTask 443"}},
			{"NetworkEndpointSecurityGroup", "Egress", nil},
		} {
			if diff := cmp.Diff(row.want, rules(got, row.group, row.direction)); diff != "" {
				t.Errorf("%s of %s differs (-want +got):\n%s", row.direction, row.group, diff)
			}
		}
	})
}

// A prefix list is maintained by others. (The emulator does not support them, so the golden templates contain none.)
func TestPrefixListMayConnect(t *testing.T) {
	cfg := deployments()[acm]
	cfg.LoadBalancer.AllowedPeers = []string{"198.51.100.0/24", "pl-0123456789abcdef0"}
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"198.51.100.0/24 443", "pl-0123456789abcdef0 443"}, rules(got, "FrontLoadBalancerSecurityGroup", "Ingress")); diff != "" {
		t.Errorf("who may connect differs (-want +got):\n%s", diff)
	}
}

func TestEndpoints(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		want := []string{"ecr.api", "ecr.dkr", "logs"}
		if cfg.Region == "ca-west-1" { // opened in December 2023
			want = []string{"ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs"}
		}
		var services []string
		for id, endpoint := range got.all("AWS::EC2::VPCEndpoint") {
			if endpoint.get("VpcEndpointType") == "Gateway" {
				continue
			}
			services = append(services, strings.TrimPrefix(endpoint.get("ServiceName").(string), "com.amazonaws."+cfg.Region+"."))
			if endpoint.get("PrivateDnsEnabled") != true || len(endpoint.get("SubnetIds").([]any)) != cfg.Network.Zones() {
				t.Errorf("%s is not reached by its name in every zone", id)
			}
		}
		slices.Sort(services)
		if diff := cmp.Diff(want, services); diff != "" {
			t.Errorf("interface endpoints differ (-want +got):\n%s", diff)
		}
		service := got.one(t, "AWS::ECS::Service", "")
		for id := range got.all("AWS::EC2::VPCEndpoint") {
			if !slices.Contains(service.DependsOn, id) {
				t.Errorf("tasks may start before %s is there, and cannot pull their images", id)
			}
		}
	})
}

// The S3 endpoint allows only the buckets of this deployment, and the bucket in which ECR keeps layers.
func TestS3EndpointPolicy(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		endpoint := got.one(t, "AWS::EC2::VPCEndpoint", "VpcS3Endpoint")
		role := statements(t, got, "TaskRole")
		for _, statement := range endpoint.get("PolicyDocument", "Statement").([]any) {
			sid := at(statement, "Sid").(string)
			if sid == "ImageLayers" {
				if got, want := text(at(statement, "Resource")), `"arn:aws:s3:::prod-`+cfg.Region+`-starport-layer-bucket/*"`; got != want || at(statement, "Action") != "s3:GetObject" {
					t.Errorf("layers: got %s, want %s", got, want)
				}
				continue
			}
			if text(at(statement, "Resource")) != text(at(role[sid], "Resource")) || text(at(statement, "Action")) != text(at(role[sid], "Action")) {
				t.Errorf("opens what the task role does not have: %s", text(statement))
			}
		}
	})
}

// Identities of other accounts cannot use the interface endpoints for images and logs.
func TestInterfaceEndpointPolicies(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		for _, id := range []string{"VpcEcrApiEndpoint", "VpcEcrDkrEndpoint", "VpcLogsEndpoint"} {
			for _, statement := range got.one(t, "AWS::EC2::VPCEndpoint", id).get("PolicyDocument", "Statement").([]any) {
				if account := text(at(statement, "Condition", "StringEquals", "aws:PrincipalAccount")); account != `{"Ref":"AWS::AccountId"}` {
					t.Errorf("%s is open to %s", id, account)
				}
			}
		}
	})
}

// An existing VPC keeps its own flow logs: ours would record the connections of others in it.
func TestFlowLogs(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		if cfg.Network.ExistingVpc.VpcID != "" {
			if logs := len(got.all("AWS::EC2::FlowLog")); logs > 0 || strings.Contains(string(got.text), `"FlowLogs`) {
				t.Errorf("got %d flow logs, or their group", logs)
			}
			return
		}
		flow := got.one(t, "AWS::EC2::FlowLog", "")
		if flow.get("TrafficType") != "ALL" || text(flow.get("LogGroupName")) != `{"Ref":"NetworkFlowLogs2BEC3212"}` {
			t.Errorf("got %s", text(flow.Properties))
		}
	})
}
