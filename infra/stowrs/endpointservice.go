package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newEndpointService lets VPCs of others reach the load balancer with PrivateLink, without a route between the networks; the name is nil
// if nobody may. The load balancer sees the address that a client has in its own VPC, applies AllowedPeers to it, and passes it
// on in the PROXY header.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
func newEndpointService(scope constructs.Construct, cfg config.Config, nlb elb.NetworkLoadBalancer) (name *string) {
	arns := cfg.LoadBalancer.EndpointService.AllowedPrincipals
	if len(arns) == 0 {
		return nil
	}
	principals := []awsiam.ArnPrincipal{}
	for _, arn := range arns {
		principals = append(principals, awsiam.NewArnPrincipal(jsii.String(arn)))
	}
	service := awsec2.NewVpcEndpointService(scope, jsii.String("EndpointService"), &awsec2.VpcEndpointServiceProps{
		VpcEndpointServiceLoadBalancers: &[]awsec2.IVpcEndpointServiceLoadBalancer{nlb},
		AcceptanceRequired:              jsii.Bool(true), // the permission to ask is not the permission to connect
		AllowedPrincipals:               &principals,
	})
	return service.VpcEndpointServiceName()
}
