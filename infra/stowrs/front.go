package stowrs

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

	"stowrs-to-s3/infra/config"
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

// Front is the network load balancer with its one listener and one target group.
type Front struct {
	NLB         elb.NetworkLoadBalancer
	TargetGroup elb.NetworkTargetGroup
	// CertificateArn is the certificate of the listener; nil with FromS3.
	CertificateArn *string
	// EndpointServiceName is the name for which others create their endpoints; nil without EndpointService.
	EndpointServiceName *string
}

// newFront creates load balancer, listener and target group according to CertificateMode: with ACM the load balancer terminates TLS and
// begins another TLS connection to nginx; with FromS3 it passes TCP on.
func newFront(in constructs.Construct, cfg config.Config, network Network, accessLogs awss3.IBucket) Front {
	scope := newScope(in, "Front")
	group := newLoadBalancerSecurityGroup(scope, cfg.LoadBalancer.AllowedPeers, network)
	suffix := kind(cfg.LoadBalancer)
	name := cfg.AppName + "-nlb"
	if suffix != "" {
		name = cfg.AppName + "-" + strings.ToLower(suffix)
	}
	props := &elb.NetworkLoadBalancerProps{
		Vpc:                network.Vpc,
		LoadBalancerName:   jsii.String(name),
		InternetFacing:     jsii.Bool(cfg.LoadBalancer.Scheme == config.InternetFacing),
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
	nlb := elb.NewNetworkLoadBalancer(scope, jsii.String("LoadBalancer"+suffix), props)

	targets := newTargetGroup(scope, cfg, network)
	listener := &elb.BaseNetworkListenerProps{
		Port: jsii.Number(publicPort), Protocol: elb.Protocol_TCP, DefaultTargetGroups: &[]elb.INetworkTargetGroup{targets},
	}
	var certificateArn *string
	if cfg.Certificate.CertificateMode == config.ACM {
		certificateArn = newCertificate(scope, cfg)
		listener.Protocol = elb.Protocol_TLS
		listener.Certificates = &[]elb.IListenerCertificate{elb.ListenerCertificate_FromArn(certificateArn)}
		logConnections(nlb, cfg, accessLogs)
	} else {
		// A slow disk may make a sender silent for longer than 350 s, the fixed timeout of TLS listeners.
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
		listener.TcpIdleTimeout = awscdk.Duration_Seconds(jsii.Number(3600))
	}
	made := nlb.AddListener(jsii.String("Https"), listener)
	if cfg.Certificate.CertificateMode == config.ACM { // CDK knows some policies by names of its own only
		made.Node().DefaultChild().(elb.CfnListener).SetSslPolicy(jsii.String(cfg.LoadBalancer.TLSPolicy)) //nolint:forcetypeassert // an L2 listener is made of it
	}
	newRecord(scope, cfg, nlb)
	return Front{NLB: nlb, TargetGroup: targets, CertificateArn: certificateArn, EndpointServiceName: newEndpointService(scope, cfg, nlb)}
}

// kind distinguishes load balancers that cannot be changed into each other: CloudFormation creates the new one with its target group, which
// belongs to one load balancer at a time, and then deletes the old one. It is empty for the shipped configuration.
func kind(c config.LoadBalancerConfig) string {
	switch {
	case c.Scheme == config.Internal:
		return "Internal"
	case len(c.ElasticIPs) > 0:
		sum := sha256.Sum256([]byte(strings.Join(c.ElasticIPs, " ")))
		return "Static" + hex.EncodeToString(sum[:2])
	}
	return ""
}

// newLoadBalancerSecurityGroup allows AllowedPeers to connect, and the load balancer to connect to the two ports of the tasks.
func newLoadBalancerSecurityGroup(scope constructs.Construct, peers []string, network Network) awsec2.SecurityGroup {
	group := awsec2.NewSecurityGroup(scope, jsii.String("LoadBalancerSecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc: network.Vpc, AllowAllOutbound: jsii.Bool(false), Description: jsii.String("Load balancer: in from AllowedPeers, out to the tasks"),
	})
	for _, peer := range peers {
		from := awsec2.Peer_Ipv4
		if strings.HasPrefix(peer, "pl-") {
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

// newTargetGroup has no fixed name: a change of topology replaces it, and the new one is created before the old one is deleted.
func newTargetGroup(scope constructs.Construct, cfg config.Config, network Network) elb.NetworkTargetGroup {
	protocol := elb.Protocol_TCP
	if cfg.Certificate.CertificateMode == config.ACM {
		protocol = elb.Protocol_TLS
	}
	group := elb.NewNetworkTargetGroup(scope, jsii.String("Targets"+kind(cfg.LoadBalancer)), &elb.NetworkTargetGroupProps{
		Vpc:        network.Vpc,
		TargetType: elb.TargetType_IP,
		Protocol:   protocol,
		Port:       jsii.Number(tlsPort),
		// The sender's address comes in a PROXY header. Preserving it in the packets instead would reset senders behind NAT whose device uses a
		// port for two zones of the load balancer at a time.
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#client-ip-preservation
		PreserveClientIp: jsii.Bool(false),
		ProxyProtocolV2:  jsii.Bool(true),
		// A task that is replaced keeps its uploads for DrainSeconds, and they are not cut off afterwards: only the stop of the task ends them.
		DeregistrationDelay:   awscdk.Duration_Seconds(jsii.Number(cfg.LoadBalancer.DrainSeconds)),
		ConnectionTermination: jsii.Bool(false),
		HealthCheck: &elb.HealthCheck{
			Protocol: elb.Protocol_HTTP, Port: jsii.String(strconv.Itoa(healthPort)), Path: jsii.String(healthPath), HealthyHttpCodes: jsii.String("200"),
			Interval: awscdk.Duration_Seconds(jsii.Number(10)), Timeout: awscdk.Duration_Seconds(jsii.Number(5)),
			HealthyThresholdCount: jsii.Number(2), UnhealthyThresholdCount: jsii.Number(6),
		},
	})
	// A task that fails its checks for a while, because it is busy, also keeps its uploads: without these settings the load balancer
	// would reset all its connections at once. The interval requires termination to be off.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#unhealthy-draining-interval
	group.SetAttribute(jsii.String("target_health_state.unhealthy.connection_termination.enabled"), jsii.String("false"))
	group.SetAttribute(jsii.String("target_health_state.unhealthy.draining_interval_seconds"), jsii.String(strconv.Itoa(cfg.LoadBalancer.DrainSeconds)))
	return group
}
