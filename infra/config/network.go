package config

// LoadBalancerConfig is the network load balancer.
type LoadBalancerConfig struct {
	// AllowedPeers are the IPv4 CIDRs that may connect to port 443, and ids of prefix lists (pl-…), which are maintained elsewhere: 60 at most,
	// the quota of rules of a security group, in which a prefix list counts with its maximum number of entries. Default 0.0.0.0/0, everyone.
	AllowedPeers []string
	// AllowEveryone confirms AllowedPeers larger than /8 with Anonymous: everybody who reaches the load balancer can then store
	// into the archive. Default false.
	AllowEveryone bool
	// Scheme is InternetFacing (default) or Internal (reachable only from the VPC and networks connected to it).
	Scheme Scheme
	// ElasticIPs are allocation ids (eipalloc-…), one for each availability zone, for addresses that stay the same.
	// InternetFacing only. Default: none, AWS assigns addresses. If the list changes, the load balancer is replaced, and gets another name.
	ElasticIPs []string
	// TLSPolicy is the security policy of the listener with ACM, as AWS names it, such as ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09.
	// Default: TLS 1.2 and 1.3 with the ciphers of nginx.conf, and a key exchange that resists later quantum
	// computers.
	TLSPolicy string
	// DrainSeconds is how long a task that is being replaced keeps its connections, 0 to 3600. Default 900.
	DrainSeconds int
	// DomainName is the name to which clients connect, such as stow.example.org, in HostedZone: the stack creates its record, an A record that
	// is an alias of the load balancer. With ACM and an empty CertificateArn it also requests the certificate of that name, of at most 64 characters.
	// Default: none, and the record is created by hand.
	DomainName string
	// HostedZone is the zone of DomainName in Route 53. Default: none.
	HostedZone HostedZone
	// EndpointService offers the load balancer to VPCs of others, with PrivateLink. Default: none.
	EndpointService EndpointService
}

// HostedZone is a zone in Route 53, of the same account.
type HostedZone struct {
	// ID of the zone, Z and up to 31 capitals and digits. Default: none.
	ID string
	// Name of the zone, such as example.org, without a dot at its end. Required with ID.
	Name string
	// Private says that only VPCs which are associated with the zone see it: this suits names of an Internal load balancer. The zone can contain the
	// record, but ACM does not see it, and cannot validate a certificate with it: with ACM, CertificateArn is then required. Default false.
	Private bool
}

// EndpointService is a VPC endpoint service. Each endpoint of another VPC waits until somebody of
// this account accepts it. AllowedPeers applies to its clients too: their addresses are those that they have in their own VPC, also
// in the records.
type EndpointService struct {
	// AllowedPrincipals are the ARNs of the accounts (arn:aws:iam::123456789012:root), roles or users that may create such an endpoint, of
	// the partition of Region. Default: none, and there is no endpoint service.
	AllowedPrincipals []string
}

// Scheme says from where the load balancer can be reached.
type Scheme string

// Values of Scheme.
const (
	InternetFacing Scheme = "internet-facing"
	Internal       Scheme = "internal"
)

// NetworkConfig is the VPC.
type NetworkConfig struct {
	// VpcCIDR is a private (RFC 1918) IPv4 block of /16 to /28, large enough for the subnets and tasks. Default
	// 10.0.0.0/16. Empty with ExistingVpc.
	VpcCIDR string
	// AvailabilityZones are the names of one to three zones of Region. Default: none, which means the first two
	// that CloudFormation finds. TaskCount above 1 needs two. Required with ExistingVpc: the zones of its subnets, in their order.
	AvailabilityZones []string
	// Egress is Endpoints (default: no route to the internet; AWS is reached through VPC endpoints), NAT (also a NAT
	// gateway, for tasks that must reach anything else, such as FIPSEndpoints), or Existing (ExistingVpc has its own
	// connections to AWS, and the stack creates none).
	Egress Egress
	// FIPSEndpoints makes both containers use S3 endpoints whose cryptography is validated by FIPS 140, as GovCloud customers must.
	// Only regions of the USA and Canada have them, and S3 does not offer them inside a VPC: Egress is NAT or Existing. Default false.
	FIPSEndpoints bool
	// ExistingVpc is used instead of a new VPC. Default: none.
	ExistingVpc ExistingVpc
}

// Egress says what the tasks can reach.
type Egress string

// Values of Egress.
const (
	Endpoints Egress = "endpoints"
	NAT       Egress = "nat"
	Existing  Egress = "existing"
)

// ExistingVpc is an existing VPC, with its subnets. It keeps its routes, its endpoints and its flow logs: the stack creates
// security groups in it, and with Egress Endpoints the endpoints of the tasks. Nothing is looked up at synth, so only the form of
// the ids is checked.
type ExistingVpc struct {
	// VpcID is the id, vpc-…, of a VPC in Region. A VPC that another account shares needs Egress Existing. Default: none, the stack creates a VPC.
	VpcID string
	// TaskSubnets are the ids, subnet-…, of the subnets of the tasks: one for each of AvailabilityZones, in their order. Required with VpcID.
	TaskSubnets []string
	// TaskRouteTables are the ids, rtb-…, of the route tables of TaskSubnets, in their order; an id may occur several times.
	// The S3 endpoint is added to them: required with Egress Endpoints, and empty with Existing.
	TaskRouteTables []string
	// LoadBalancerSubnets are the ids of the subnets of the load balancer, one for each of AvailabilityZones, in their order. Required with
	// InternetFacing: public subnets. Default with Internal: none, which means TaskSubnets.
	LoadBalancerSubnets []string
}
