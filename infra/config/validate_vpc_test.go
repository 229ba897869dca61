package config

import (
	"strings"
	"testing"
)

// Each rule of ExistingVpc, alone: the edit breaks nothing else.
func TestRulesOfAnExistingVpc(t *testing.T) {
	vpc := func(edit func(*ExistingVpc)) func(*Config) {
		return func(c *Config) { edit(&c.Network.ExistingVpc) }
	}
	network := func(edit func(*NetworkConfig)) func(*Config) { return func(c *Config) { edit(&c.Network) } }
	for name, row := range map[string]struct {
		edit  func(*Config)
		field string
		want  string // value, rule and what to do
	}{
		"a block as well": {network(func(n *NetworkConfig) { n.VpcCIDR = "10.0.0.0/16" }), "Network.VpcCIDR",
			"\"10.0.0.0/16\": is the block of a VPC that the stack makes, and ExistingVpc names one that is there\n    write nothing, or nothing into ExistingVpc"},
		"gateways as well":    {network(func(n *NetworkConfig) { n.Egress = NAT }), "Network.Egress", "ExistingVpc keeps its own\n    write Existing if"},
		"no zones":            {network(func(n *NetworkConfig) { n.AvailabilityZones = nil }), "Network.AvailabilityZones", "is required with ExistingVpc: the zones of its subnets, in their order\n    copy them from `aws ec2 describe-subnets --filters Name=vpc-id,Values=vpc-0123456789abcdef0"},
		"the name of a VPC":   {vpc(func(v *ExistingVpc) { v.VpcID = "imaging" }), "Network.ExistingVpc.VpcID", "is not the id of a VPC\n    write one such as vpc-0123456789abcdef0"},
		"an id cut short":     {vpc(func(v *ExistingVpc) { v.VpcID = "vpc-0123456789abcde" }), "Network.ExistingVpc.VpcID", "is not the id of a VPC"},
		"too few subnets":     {vpc(func(v *ExistingVpc) { v.TaskSubnets = v.TaskSubnets[:1] }), "Network.ExistingVpc.TaskSubnets", "has 1 ids, and must have one for each of AvailabilityZones, 2, in their order\n    copy them from `aws ec2 describe-subnets"},
		"a subnet by name":    {vpc(func(v *ExistingVpc) { v.TaskSubnets = []string{"imaging-a", v.TaskSubnets[1]} }), "Network.ExistingVpc.TaskSubnets[0]", "is not the id of a subnet, such as subnet-0123456789abcdef0"},
		"a subnet twice":      {vpc(func(v *ExistingVpc) { v.TaskSubnets = []string{v.TaskSubnets[0], v.TaskSubnets[0]} }), "Network.ExistingVpc.TaskSubnets[1]", "is there twice"},
		"no route tables":     {vpc(func(v *ExistingVpc) { v.TaskRouteTables = nil }), "Network.ExistingVpc.TaskRouteTables", "has 0 ids, and must have one for each of AvailabilityZones, 2, in their order\n    copy them from `aws ec2 describe-route-tables"},
		"no route table":      {vpc(func(v *ExistingVpc) { v.TaskRouteTables = []string{v.TaskSubnets[0], v.TaskRouteTables[0]} }), "Network.ExistingVpc.TaskRouteTables[0]", "is not the id of a route table, such as rtb-0123456789abcdef0"},
		"route tables of own": {network(func(n *NetworkConfig) { n.Egress = Existing }), "Network.ExistingVpc.TaskRouteTables", "with Egress Existing it makes none\n    write nothing, or set Egress to Endpoints"},
		"a load balancer beside the tasks": {vpc(func(v *ExistingVpc) { v.LoadBalancerSubnets = []string{v.LoadBalancerSubnets[0], v.TaskSubnets[1]} }), "Network.ExistingVpc.LoadBalancerSubnets[1]",
			"is a subnet of the tasks as well\n    write a public subnet"},
		"a load balancer in one zone": {vpc(func(v *ExistingVpc) { v.LoadBalancerSubnets = v.LoadBalancerSubnets[:1] }), "Network.ExistingVpc.LoadBalancerSubnets", "has 1 ids, and must have one for each of AvailabilityZones, 2"},
		"no public subnet": {func(c *Config) {
			c.LoadBalancer.Scheme, c.Network.ExistingVpc.LoadBalancerSubnets = InternetFacing, nil
		}, "Network.ExistingVpc.LoadBalancerSubnets", "has 0 ids"},
		"ways of a VPC that is not": {func(c *Config) { c.Network = Default().Network; c.Network.Egress = Existing }, "Network.Egress", "a new VPC has no way to AWS yet\n    write Endpoints or NAT, or fill in ExistingVpc"},
		"subnets of a VPC that is not": {func(c *Config) {
			c.Network = Default().Network
			c.Network.ExistingVpc.TaskSubnets = []string{"subnet-01234567"}
		}, "Network.ExistingVpc.TaskSubnets", "VpcID names none"},
		"more fixed addresses than ids": {func(c *Config) { c.LoadBalancer.Scheme, c.LoadBalancer.ElasticIPs = InternetFacing, twoAddresses()[:1] }, "LoadBalancer.ElasticIPs", "must be as many as availability zones, 2"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			c.LoadBalancer.Scheme, c.Network = Internal, existingNetwork()
			row.edit(&c)
			wantViolation(t, c, row.field, row.want)
		})
	}
}

// existingNetwork is an existing VPC, in two zones.
func existingNetwork() NetworkConfig {
	return NetworkConfig{AvailabilityZones: []string{"us-east-1a", "us-east-1b"}, Egress: Endpoints, ExistingVpc: ExistingVpc{
		VpcID:               "vpc-0123456789abcdef0",
		TaskSubnets:         []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"},
		TaskRouteTables:     []string{"rtb-0123456789abcdef0", "rtb-0123456789abcdef0"},
		LoadBalancerSubnets: []string{"subnet-0123456789abcdef2", "subnet-0123456789abcdef3"},
	}}
}

// wantViolation requires exactly one violation, of this field, with these words.
func wantViolation(t *testing.T, c Config, field, want string) {
	t.Helper()
	_, violations := Validate(c)
	if len(violations) != 1 || violations[0].Field != field {
		t.Fatalf("got %v, want one violation of %s", violations, field)
	}
	if got := violations[0].Error(); !strings.Contains(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
