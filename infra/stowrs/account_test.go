package stowrs

import (
	"maps"
	"slices"
	"testing"

	"stowrs-to-s3/infra/config"
)

// A target group belongs to only one load balancer at a time (TargetGroupAssociationLimit), and so does a name. If CloudFormation
// creates another load balancer, both must be different.
func TestAnotherLoadBalancerHasAnotherTargetGroup(t *testing.T) {
	seen := map[string]string{}
	for name, edit := range map[string]func(*config.LoadBalancerConfig){
		"shipped":  func(*config.LoadBalancerConfig) {},
		"internal": func(c *config.LoadBalancerConfig) { c.Scheme = config.Internal },
		"fixed addresses": func(c *config.LoadBalancerConfig) {
			c.ElasticIPs = []string{"eipalloc-0123456789abcdef0", "eipalloc-0123456789abcdef1"}
		},
		"other addresses": func(c *config.LoadBalancerConfig) {
			c.ElasticIPs = []string{"eipalloc-1123456789abcdef0", "eipalloc-0123456789abcdef1"}
		},
	} {
		cfg := deployments()[acm]
		edit(&cfg.LoadBalancer)
		got, err := synthesised(cfg)
		if err != nil {
			t.Fatal(err)
		}
		nlb := got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "")
		if balancer, is := nlb.get("Name").(string); !is || len(balancer) > 32 {
			t.Errorf("%s: name %v", name, nlb.get("Name"))
		}
		ids := []string{nlb.get("Name").(string)}
		for _, kind := range []string{"AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::TargetGroup"} {
			ids = append(ids, slices.Collect(maps.Keys(got.all(kind)))...)
		}
		if len(ids) != 3 {
			t.Errorf("%s: load balancer, its name and target group are %q", name, ids)
		}
		for _, id := range ids {
			if other, taken := seen[id]; taken {
				t.Errorf("%s and %s share %s", name, other, id)
			}
			seen[id] = name
		}
	}
}

// A first deployment that fails must be rolled back completely, and the next one must not find any name in use.
func TestFirstDeploymentCanBeTakenBack(t *testing.T) {
	got := of(t, acm)
	for id, r := range got.Resources {
		if r.DeletionPolicy == "Retain" {
			t.Errorf("%s (%s) stays behind when its creation is rolled back", id, r.Type)
		}
	}
	if protection := got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").attributes("LoadBalancerAttributes")["deletion_protection.enabled"]; protection != "false" {
		t.Errorf("deletion protection is %v, which stops a rollback", protection)
	}
	if protection := of(t, everything).one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").attributes("LoadBalancerAttributes")["deletion_protection.enabled"]; protection != "true" {
		t.Errorf("with Protection, deletion protection is %v", protection)
	}
}

// If an account allows roles only with a permissions boundary, one role without it would fail the deployment.
func TestPermissionsBoundary(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		for id, role := range got.all("AWS::IAM::Role") {
			if boundary, _ := role.get("PermissionsBoundary").(string); boundary != cfg.PermissionsBoundary {
				t.Errorf("%s is bounded by %q, want %q", id, boundary, cfg.PermissionsBoundary)
			}
		}
	})
}
