package config

import "testing"

// S3 has FIPS 140 endpoints only in some regions, and not inside a VPC.
func TestFIPSEndpoints(t *testing.T) {
	testRules(t, map[string]rule{
		"FIPS in Europe": {func(c *Config) {
			c.Region, c.Certificate = "eu-central-1", clientAuth()
			c.Network.FIPSEndpoints, c.Network.Egress = true, NAT
		}, "Network.FIPSEndpoints", "needs a region of the USA or Canada"},
		"FIPS without a way out": {func(c *Config) { c.Network.FIPSEndpoints = true }, "Network.FIPSEndpoints", "set Egress to NAT"},
	})
	for _, region := range []string{"us-gov-west-1", "us-gov-east-1", "ca-west-1"} {
		c := valid(t)
		c.Region, c.Certificate = region, clientAuth()
		c.Network.FIPSEndpoints, c.Network.Egress = true, NAT
		if _, violations := Validate(c); len(violations) > 0 {
			t.Errorf("%s: got violations %v, want none", region, violations)
		}
	}
}
