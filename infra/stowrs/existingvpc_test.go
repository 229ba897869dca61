package stowrs

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

// inVpc lists the types of resources that a stack creates in a VPC.
func inVpc(got template) []string {
	var kinds []string
	for _, r := range got.Resources {
		if strings.HasPrefix(r.Type, "AWS::EC2::") && !strings.HasPrefix(r.Type, "AWS::EC2::VPCEndpointService") && !slices.Contains(kinds, r.Type) {
			kinds = append(kinds, r.Type)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// In an existing VPC the stack creates security groups and, if configured, endpoints, but no subnet, no route and no gateway.
func TestExistingVpc(t *testing.T) {
	cfg := deployments()[existing]
	cfg.Network.Egress, cfg.Network.ExistingVpc.TaskRouteTables = config.Existing, nil
	ownWays, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	groups := []string{"AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"}
	for _, row := range []struct {
		name string
		got  template
		want []string
	}{{"Endpoints", of(t, existing), append(slices.Clone(groups), "AWS::EC2::VPCEndpoint")}, {"Existing", ownWays, groups}} {
		if diff := cmp.Diff(row.want, inVpc(row.got)); diff != "" {
			t.Errorf("Egress %s: what is made in the VPC differs (-want +got):\n%s", row.name, diff)
		}
		for _, kind := range []string{"AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint", "AWS::ElasticLoadBalancingV2::TargetGroup"} {
			for id, r := range row.got.all(kind) {
				if r.get("VpcId") != "vpc-0123456789abcdef0" {
					t.Errorf("Egress %s: %s is in %v", row.name, id, r.get("VpcId"))
				}
			}
		}
		tasks := text(row.got.one(t, "AWS::ECS::Service", "").get("NetworkConfiguration", "AwsvpcConfiguration", "Subnets"))
		if want := `["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`; tasks != want {
			t.Errorf("Egress %s: tasks are in %s, want %s", row.name, tasks, want)
		}
		balancer := text(row.got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").get("Subnets"))
		if want := `["subnet-0123456789abcdef2","subnet-0123456789abcdef3"]`; balancer != want {
			t.Errorf("Egress %s: the load balancer is in %s, want %s", row.name, balancer, want)
		}
	}
}

// The endpoints are in the subnets of the tasks, that of S3 in their route tables, each of them once.
func TestEndpointsOfAnExistingVpc(t *testing.T) {
	for id, endpoint := range of(t, existing).all("AWS::EC2::VPCEndpoint") {
		got, want := text(endpoint.get("SubnetIds")), `["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`
		if strings.HasPrefix(unscoped(id), "VpcS3Endpoint") {
			got, want = text(endpoint.get("RouteTableIds")), `["rtb-0123456789abcdef0"]`
		}
		if got != want {
			t.Errorf("%s is in %s, want %s", id, got, want)
		}
	}
}

// The subnets of the load balancer in an existing VPC, by Scheme.
func TestLoadBalancerOfAnExistingVpc(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*config.Config)
		want string
	}{
		"internet-facing": {func(c *config.Config) { c.LoadBalancer.Scheme = config.InternetFacing }, `Subnets ["subnet-0123456789abcdef2","subnet-0123456789abcdef3"]`},
		"internal, among the tasks": {func(c *config.Config) { c.Network.ExistingVpc.LoadBalancerSubnets = nil },
			`Subnets ["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`},
		"fixed addresses": {func(c *config.Config) {
			c.LoadBalancer.Scheme, c.LoadBalancer.ElasticIPs = config.InternetFacing, []string{"eipalloc-0123456789abcdef0", "eipalloc-0123456789abcdef1"}
		}, `SubnetMappings [{"AllocationId":"eipalloc-0123456789abcdef0","SubnetId":"subnet-0123456789abcdef2"},{"AllocationId":"eipalloc-0123456789abcdef1","SubnetId":"subnet-0123456789abcdef3"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := deployments()[existing]
			row.edit(&cfg)
			got, err := synthesised(cfg)
			if err != nil {
				t.Fatal(err)
			}
			property, want, _ := strings.Cut(row.want, " ")
			if is := text(got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").get(property)); is != want {
				t.Errorf("got %s %s, want %s", property, is, want)
			}
		})
	}
}

// What synth would have to look up with credentials would be listed as missing, and stored in cdk.context.json.
func TestNothingIsLookedUp(t *testing.T) {
	for name, cfg := range deployments() {
		if manifest := synthesisedFile(t, cfg, "manifest.json"); strings.Contains(string(manifest), `"missing"`) {
			t.Errorf("%s: something is looked up: %s", name, manifest)
		}
	}
}
