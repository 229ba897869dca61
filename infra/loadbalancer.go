package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Ports of the deployment. Those of nginx are the defaults of its image.
const (
	publicPort = 443  // of the load balancer
	tlsPort    = 8443 // of nginx: STOW-RS
	healthPort = 8081 // of nginx: whether it and the app are live, at healthPath
	stowPort   = 8080 // of the app, inside the task only
	adminPort  = 9090 // of the app, inside the task only

	healthPath = "/health"
)

// LoadBalancer is the network load balancer with its one listener and one target group.
type LoadBalancer struct {
	NLB         elb.NetworkLoadBalancer
	TargetGroup elb.NetworkTargetGroup
	// CertificateArn is the certificate of the listener; nil with FromS3.
	CertificateArn *string
	// EndpointServiceName is what others make their endpoints for; nil without EndpointService.
	EndpointServiceName *string
}

// newLoadBalancer builds the row of the topology that CertificateMode chooses: with ACM the load balancer ends TLS and
// begins another to nginx, with FromS3 it passes TCP on.
func newLoadBalancer(scope constructs.Construct, cfg Config, network Network, accessLogs awss3.IBucket) LoadBalancer {
	group := newLoadBalancerSecurityGroup(scope, cfg.LoadBalancer.AllowedPeers, network)
	kind := cfg.LoadBalancer.kind()
	name := cfg.AppName + "-nlb"
	if kind != "" {
		name = cfg.AppName + "-" + strings.ToLower(kind)
	}
	props := &elb.NetworkLoadBalancerProps{
		Vpc:                network.Vpc,
		LoadBalancerName:   jsii.String(name),
		InternetFacing:     jsii.Bool(cfg.LoadBalancer.Scheme == InternetFacing),
		SecurityGroups:     &[]awsec2.ISecurityGroup{group},
		CrossZoneEnabled:   jsii.Bool(true), // a zone without a healthy task still answers
		DeletionProtection: jsii.Bool(cfg.Protection),
	}
	if len(cfg.LoadBalancer.EndpointService.AllowedPrincipals) > 0 {
		props.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic = jsii.Bool(true) // AWS' default: AllowedPeers is the one list of who may connect
	}
	subnets := network.Vpc.SelectSubnets(network.LoadBalancerSubnets)
	if ids := cfg.LoadBalancer.ElasticIPs; len(ids) > 0 {
		mappings := []*elb.SubnetMapping{}
		for i, subnet := range *subnets.Subnets {
			mappings = append(mappings, &elb.SubnetMapping{Subnet: subnet, AllocationId: jsii.String(ids[i])})
		}
		props.SubnetMappings = &mappings
	} else {
		props.VpcSubnets = network.LoadBalancerSubnets
	}
	nlb := elb.NewNetworkLoadBalancer(scope, jsii.String("LoadBalancer"+kind), props)

	targets := newTargetGroup(scope, cfg, network)
	listener := &elb.BaseNetworkListenerProps{
		Port: jsii.Number(publicPort), Protocol: elb.Protocol_TCP, DefaultTargetGroups: &[]elb.INetworkTargetGroup{targets},
	}
	var certificateArn *string
	if cfg.Certificate.CertificateMode == ACM {
		certificateArn = newCertificate(scope, cfg)
		listener.Protocol = elb.Protocol_TLS
		listener.Certificates = &[]elb.IListenerCertificate{elb.ListenerCertificate_FromArn(certificateArn)}
		logConnections(nlb, cfg, accessLogs)
	} else {
		// A slow disk may keep a sender silent for longer than the 350 s at which TLS listeners are fixed.
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
		listener.TcpIdleTimeout = awscdk.Duration_Seconds(jsii.Number(3600))
	}
	made := nlb.AddListener(jsii.String("Https"), listener)
	if cfg.Certificate.CertificateMode == ACM { // CDK knows some policies by names of its own only
		made.Node().DefaultChild().(elb.CfnListener).SetSslPolicy(jsii.String(cfg.LoadBalancer.TLSPolicy)) //nolint:forcetypeassert // an L2 listener is made of it
	}
	return LoadBalancer{NLB: nlb, TargetGroup: targets, CertificateArn: certificateArn, EndpointServiceName: newEndpointService(scope, cfg, nlb)}
}

// kind tells load balancers apart that cannot become one another: CloudFormation makes the one with its target group, which
// belongs to one load balancer at a time, and then deletes the other. It is empty for the kind that is shipped.
func (c LoadBalancerConfig) kind() string {
	switch {
	case c.Scheme == Internal:
		return "Internal"
	case len(c.ElasticIPs) > 0:
		sum := sha256.Sum256([]byte(strings.Join(c.ElasticIPs, " ")))
		return "Static" + hex.EncodeToString(sum[:2])
	}
	return ""
}

// newLoadBalancerSecurityGroup lets AllowedPeers in, and the load balancer to the two ports of the tasks.
func newLoadBalancerSecurityGroup(scope constructs.Construct, peers []string, network Network) awsec2.SecurityGroup {
	group := awsec2.NewSecurityGroup(scope, jsii.String("LoadBalancerSecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc: network.Vpc, AllowAllOutbound: jsii.Bool(false), Description: jsii.String("Load balancer: in from AllowedPeers, out to the tasks"),
	})
	for _, peer := range peers {
		from := awsec2.Peer_Ipv4
		if prefixListID.MatchString(peer) {
			from = awsec2.Peer_PrefixList
		}
		group.AddIngressRule(from(jsii.String(peer)), awsec2.Port_Tcp(jsii.Number(publicPort)), jsii.String("STOW-RS from an allowed peer"), nil)
	}
	for _, port := range []struct {
		number int
		what   string
	}{{tlsPort, "STOW-RS over TLS"}, {healthPort, "Health checks"}} {
		group.AddEgressRule(network.Tasks, awsec2.Port_Tcp(jsii.Number(port.number)), jsii.String(port.what), nil)
		network.Tasks.AddIngressRule(group, awsec2.Port_Tcp(jsii.Number(port.number)), jsii.String(port.what+" from the load balancer"), nil)
	}
	return group
}

// newTargetGroup is without a name: a change of topology replaces it, and the new one is made before the old one goes.
func newTargetGroup(scope constructs.Construct, cfg Config, network Network) elb.NetworkTargetGroup {
	protocol := elb.Protocol_TCP
	if cfg.Certificate.CertificateMode == ACM {
		protocol = elb.Protocol_TLS
	}
	group := elb.NewNetworkTargetGroup(scope, jsii.String("Targets"+cfg.LoadBalancer.kind()), &elb.NetworkTargetGroupProps{
		Vpc:        network.Vpc,
		TargetType: elb.TargetType_IP,
		Protocol:   protocol,
		Port:       jsii.Number(tlsPort),
		// The sender's address comes in a PROXY header. To preserve it in the packets instead would reset senders behind NAT whose device uses a
		// port for two zones of the load balancer at a time.
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#client-ip-preservation
		PreserveClientIp: jsii.Bool(false),
		ProxyProtocolV2:  jsii.Bool(true),
		// A task that is replaced keeps its uploads for DrainSeconds, and none is cut when they are over: the task's stop ends them.
		DeregistrationDelay:   awscdk.Duration_Seconds(jsii.Number(cfg.LoadBalancer.DrainSeconds)),
		ConnectionTermination: jsii.Bool(false),
		HealthCheck: &elb.HealthCheck{
			Protocol: elb.Protocol_HTTP, Port: jsii.String(strconv.Itoa(healthPort)), Path: jsii.String(healthPath), HealthyHttpCodes: jsii.String("200"),
			Interval: awscdk.Duration_Seconds(jsii.Number(10)), Timeout: awscdk.Duration_Seconds(jsii.Number(5)),
			HealthyThresholdCount: jsii.Number(2), UnhealthyThresholdCount: jsii.Number(6),
		},
	})
	// A task that fails its checks for a while, because it is busy, keeps its uploads as well: without these the load balancer
	// would reset all its connections at once. The interval asks for termination to be off.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#unhealthy-draining-interval
	group.SetAttribute(jsii.String("target_health_state.unhealthy.connection_termination.enabled"), jsii.String("false"))
	group.SetAttribute(jsii.String("target_health_state.unhealthy.draining_interval_seconds"), jsii.String(strconv.Itoa(cfg.LoadBalancer.DrainSeconds)))
	return group
}
