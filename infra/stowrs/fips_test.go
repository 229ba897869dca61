package stowrs

import (
	"testing"

	"stowrs-to-s3/infra/config"
)

// For example in GovCloud: both containers use S3 endpoints with validated cryptography, and the listener has a policy with such ciphers.
func TestFIPS(t *testing.T) {
	const policy = "ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09"
	cfg := deployments()[acm]
	cfg.Network.FIPSEndpoints, cfg.Network.Egress, cfg.LoadBalancer.TLSPolicy = true, config.NAT, policy
	got, err := synthesised(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range []string{"app", "nginx"} {
		if value := environment(t, got, container)["AWS_USE_FIPS_ENDPOINT"]; value != "true" {
			t.Errorf("%s: AWS_USE_FIPS_ENDPOINT is %q", container, value)
		}
		if value, there := environment(t, of(t, acm), container)["AWS_USE_FIPS_ENDPOINT"]; there {
			t.Errorf("%s has AWS_USE_FIPS_ENDPOINT=%s without having been asked for it", container, value)
		}
	}
	if is := got.one(t, "AWS::ElasticLoadBalancingV2::Listener", "").get("SslPolicy"); is != policy {
		t.Errorf("the listener has the policy %v", is)
	}
}
