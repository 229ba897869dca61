package config

import (
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// maxPeers is the default quota of inbound rules in a security group.
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
const maxPeers = 60

var tlsPolicy = regexp.MustCompile(`^ELBSecurityPolicy-TLS13-1-[23]-[A-Za-z0-9-]+$`)

var allocationID = regexp.MustCompile(`^eipalloc-[0-9a-f]{8,17}$`)

func (v *validation) loadBalancer(c Config) {
	const field = "LoadBalancer."
	lb := c.LoadBalancer
	v.rule(len(lb.AllowedPeers) > 0, field+"AllowedPeers", lb.AllowedPeers, "is empty, so nobody could connect", "list the CIDRs of your senders, such as 198.51.100.7/32")
	v.rule(len(lb.AllowedPeers) <= maxPeers, field+"AllowedPeers", len(lb.AllowedPeers), fmt.Sprintf("has more entries than a security group has rules, %d", maxPeers),
		"join neighbouring networks into larger ones")
	for i, peer := range lb.AllowedPeers {
		path := fmt.Sprintf("%sAllowedPeers[%d]", field, i)
		v.peer(path, peer)
		v.rule(!slices.Contains(lb.AllowedPeers[:i], peer), path, peer, "is there twice, and a security group takes a rule once", "delete one of the two")
	}
	if peer, who := c.everyone(); who != "" {
		v.rule(lb.AllowEveryone, field+"AllowedPeers", peer, "would let "+who+" store into the archive, since AuthMode is Anonymous",
			"list the CIDRs of your senders, such as 198.51.100.7/32, or use ClientAuth; if everyone is meant, set AllowEveryone to true")
	}
	v.rule(tlsPolicy.MatchString(lb.TLSPolicy), field+"TLSPolicy", lb.TLSPolicy, "is no security policy of a load balancer with TLS 1.2 or 1.3",
		"write ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09, or one of `aws elbv2 describe-ssl-policies --load-balancer-type network`")
	oneOf(v, field+"Scheme", lb.Scheme, []Scheme{InternetFacing, Internal}, "InternetFacing or Internal")
	if len(lb.ElasticIPs) > 0 {
		v.rule(lb.Scheme == InternetFacing, field+"ElasticIPs", lb.ElasticIPs, "are addresses of the internet, and Scheme is not InternetFacing", "delete them, or set Scheme to InternetFacing")
		v.rule(len(lb.ElasticIPs) == c.Network.Zones(), field+"ElasticIPs", lb.ElasticIPs,
			fmt.Sprintf("must be as many as availability zones, %d: the load balancer has one address in each", c.Network.Zones()), "allocate as many with `aws ec2 allocate-address`")
	}
	for i, id := range lb.ElasticIPs {
		path := fmt.Sprintf("%sElasticIPs[%d]", field, i)
		v.rule(allocationID.MatchString(id), path, id, "is not an allocation id", "write ids such as eipalloc-0123456789abcdef0, from `aws ec2 describe-addresses`")
		v.rule(!slices.Contains(lb.ElasticIPs[:i], id), path, id, "is there twice", "write another id for each availability zone")
	}
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#deregistration-delay
	v.rule(lb.DrainSeconds >= 0 && lb.DrainSeconds <= 3600, field+"DrainSeconds", lb.DrainSeconds, "must lie between 0 and 3600 seconds", "write 900 for uploads of up to 15 minutes")
}

// principalArn is that of an account, a role or a user.
var principalArn = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:(root|(role|user)/[\w+=,.@/-]+)$`)

// endpointService checks who may ask for access.
func (v *validation) endpointService(c Config) {
	arns := c.LoadBalancer.EndpointService.AllowedPrincipals
	for i, arn := range arns {
		path := fmt.Sprintf("LoadBalancer.EndpointService.AllowedPrincipals[%d]", i)
		v.rule(principalArn.MatchString(arn) && strings.HasPrefix(arn, "arn:"+Partition(c.Region)+":"), path, arn, "is not the ARN of an account, a role or a user",
			fmt.Sprintf("write arn:%s:iam::123456789012:root for all of an account, or arn:%[1]s:iam::123456789012:role/NAME", Partition(c.Region)))
		v.rule(!slices.Contains(arns[:i], arn), path, arn, "is there twice", "delete one of the two")
	}
}

// prefixListID names a list of CIDRs that is maintained for many security groups.
var prefixListID = regexp.MustCompile(`^pl-[0-9a-f]{8,17}$`)

// peer reports the first rule that an entry of AllowedPeers breaks.
func (v *validation) peer(path, peer string) {
	if prefixListID.MatchString(peer) {
		return
	}
	if addr, err := netip.ParseAddr(peer); err == nil && addr.Is4() {
		v.rule(false, path, peer, "is an address, and must be a CIDR", "write "+peer+"/32")
		return
	}
	prefix, err := netip.ParsePrefix(peer)
	addr, addrErr := netip.ParseAddr(peer)
	if (err == nil && !prefix.Addr().Is4()) || (addrErr == nil && !addr.Is4()) {
		v.rule(false, path, peer, "is IPv6, which is refused: the VPC and its load balancer have IPv4 addresses only, so this peer could never connect",
			"write the IPv4 CIDR from which it connects")
		return
	}
	if v.rule(err == nil, path, peer, "is not an IPv4 CIDR", "write address/bits, such as 198.51.100.7/32 or 198.51.100.0/24, or the id of a prefix list, pl-0123456789abcdef0") {
		v.rule(prefix == prefix.Masked(), path, peer, fmt.Sprintf("has bits behind its first %d", prefix.Bits()),
			fmt.Sprintf("write %s for the network, or %s/32 for the address", prefix.Masked(), prefix.Addr()))
	}
}

// Limits of a VPC and its subnets.
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
const (
	defaultZones       = 2
	maxZones           = 3
	subnetGroups       = 2  // public for the load balancer, and the tasks'
	smallestBlock      = 28 // of a VPC, and of a subnet
	largestBlock       = 16
	reservedBySubnet   = 5
	endpointsPerSubnet = 8 // interface endpoints have one address each; some are spare
)

// Zones is the number of availability zones.
func (n NetworkConfig) Zones() int {
	if len(n.AvailabilityZones) == 0 {
		return defaultZones
	}
	return len(n.AvailabilityZones)
}

// SubnetBits is the prefix length of each subnet: the VPC is divided into equal ones, a public one and one for tasks
// in every zone.
func (n NetworkConfig) SubnetBits() int {
	prefix, err := netip.ParsePrefix(n.VpcCIDR)
	if err != nil {
		return 0
	}
	return prefix.Bits() + n.divisionBits()
}

func (n NetworkConfig) divisionBits() int {
	return bits.Len(uint(subnetGroups*n.Zones() - 1))
}

func (v *validation) network(c Config) {
	const field = "Network."
	n := c.Network
	existing := n.ExistingVpc.VpcID != ""
	if !existing {
		v.vpc(field+"VpcCIDR", c)
	} else {
		v.rule(n.VpcCIDR == "", field+"VpcCIDR", n.VpcCIDR, "is the block of a VPC that the stack makes, and ExistingVpc names one that is there", "write nothing, or nothing into ExistingVpc")
	}
	zones := n.AvailabilityZones
	v.rule(len(zones) <= maxZones, field+"AvailabilityZones", zones, fmt.Sprintf("has %d zones, and %d are allowed: more add cost, not safety", len(zones), maxZones), "delete some")
	for i, zone := range zones {
		path := fmt.Sprintf("%sAvailabilityZones[%d]", field, i)
		v.rule(len(zone) == len(c.Region)+1 && zone[:len(c.Region)] == c.Region && zone[len(c.Region)] >= 'a' && zone[len(c.Region)] <= 'z', path, zone,
			fmt.Sprintf("is not an availability zone of %s", c.Region), fmt.Sprintf("write names such as %sa, from `aws ec2 describe-availability-zones --region %[1]s`", c.Region))
		v.rule(!slices.Contains(zones[:i], zone), path, zone, "is there twice", "write another zone")
	}
	if oneOf(v, field+"Egress", n.Egress, []Egress{Endpoints, NAT, Existing}, "Endpoints, NAT or Existing") {
		v.rule(!existing || n.Egress != NAT, field+"Egress", n.Egress, "would have the stack make NAT gateways and routes, and ExistingVpc keeps its own",
			"write Existing if the VPC has its own ways to S3, ECR and CloudWatch Logs, Endpoints if the stack is to make endpoints of them")
		v.rule(existing || n.Egress != Existing, field+"Egress", n.Egress, "is for an ExistingVpc, and a new VPC has no way to AWS yet", "write Endpoints or NAT, or fill in ExistingVpc")
	}
	if n.FIPSEndpoints {
		v.rule(hasFIPSEndpoints(c.Region), field+"FIPSEndpoints", n.FIPSEndpoints, "needs a region of the USA or Canada: S3 has endpoints of FIPS 140 nowhere else", "set it to false")
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html#privatelink-limitations
		v.rule(n.Egress != Endpoints, field+"FIPSEndpoints", n.FIPSEndpoints, "needs a way to the internet: S3 does not offer its endpoints of FIPS 140 inside a VPC",
			"set Egress to NAT, or to Existing where ExistingVpc has such a way, or FIPSEndpoints to false")
	}
	v.existingVpc(field+"ExistingVpc.", c)
}

// vpc reports the first rule that the VPC's block breaks.
func (v *validation) vpc(field string, c Config) {
	cidr := c.Network.VpcCIDR
	prefix, err := netip.ParsePrefix(cidr)
	if !v.rule(err == nil && prefix.Addr().Is4(), field, cidr, "is not an IPv4 CIDR", "write one such as 10.0.0.0/16") {
		return
	}
	if !v.rule(prefix == prefix.Masked(), field, cidr, fmt.Sprintf("has bits behind its first %d", prefix.Bits()), "write "+prefix.Masked().String()) {
		return
	}
	if !v.rule(prefix.Bits() >= largestBlock && prefix.Bits() <= smallestBlock, field, cidr,
		fmt.Sprintf("is a /%d, and AWS allows /%d to /%d", prefix.Bits(), largestBlock, smallestBlock), "write one such as 10.0.0.0/16") {
		return
	}
	if !v.rule(prefix.Addr().IsPrivate(), field, cidr, "is not private: addresses of others on the internet would become unreachable",
		"take it from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 (RFC 1918)") {
		return
	}
	need := subnetBitsFor(c)
	largest := need - c.Network.divisionBits()
	v.rule(c.Network.SubnetBits() <= need, field, cidr,
		fmt.Sprintf("is too small: %d zones make %d subnets of /%d, and %d tasks need /%d or larger", c.Network.Zones(), subnetGroups*c.Network.Zones(),
			c.Network.SubnetBits(), c.Service.MaxTaskCount, need),
		fmt.Sprintf("make it a /%d or larger, or lower Service.MaxTaskCount", largest))
}

// subnetBitsFor is the prefix length of the smallest subnet that holds its share of the tasks, twice, since a
// deployment starts the new ones before it stops the old ones. A load balancer needs 8 free addresses in its subnet,
// which the smallest one has.
func subnetBitsFor(c Config) int {
	zones := c.Network.Zones()
	tasks := max(1, min(c.Service.MaxTaskCount, maxTasks))
	addresses := reservedBySubnet + endpointsPerSubnet + (2*tasks+zones-1)/zones
	return min(smallestBlock, 32-bits.Len(uint(addresses-1)))
}
