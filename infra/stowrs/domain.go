package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newCertificate returns the ARN of the listener's certificate: CertificateArn, or else that of a certificate that is requested for DomainName. CloudFormation writes the
// validation record into HostedZone and waits until the certificate is issued; ACM renews it as long as that record exists.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-certificatemanager-certificate.html
func newCertificate(scope constructs.Construct, cfg config.Config) *string {
	if arn := cfg.Certificate.CertificateArn; arn != "" {
		return jsii.String(arn)
	}
	zone := awsroute53.HostedZone_FromHostedZoneAttributes(scope, jsii.String("HostedZone"), &awsroute53.HostedZoneAttributes{
		HostedZoneId: jsii.String(cfg.LoadBalancer.HostedZone.ID), ZoneName: jsii.String(cfg.LoadBalancer.HostedZone.Name),
	})
	return awscertificatemanager.NewCertificate(scope, jsii.String("Certificate"), &awscertificatemanager.CertificateProps{
		DomainName: jsii.String(cfg.LoadBalancer.DomainName), Validation: awscertificatemanager.CertificateValidation_FromDns(zone),
	}).CertificateArn()
}

// newRecord points DomainName to the load balancer. CDK's own alias puts "dualstack." before its name, which a network load
// balancer does not have. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-to-elb-load-balancer.html
func newRecord(scope constructs.Construct, cfg config.Config, nlb elb.NetworkLoadBalancer) {
	if cfg.LoadBalancer.DomainName == "" {
		return
	}
	awsroute53.NewCfnRecordSet(scope, jsii.String("Record"), &awsroute53.CfnRecordSetProps{
		HostedZoneId: jsii.String(cfg.LoadBalancer.HostedZone.ID),
		Name:         jsii.String(cfg.LoadBalancer.DomainName),
		Type:         jsii.String("A"),
		AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
			DnsName:      nlb.LoadBalancerDnsName(),
			HostedZoneId: nlb.LoadBalancerCanonicalHostedZoneId(),
			// It is the only answer.
			EvaluateTargetHealth: jsii.Bool(false),
		},
	})
}
