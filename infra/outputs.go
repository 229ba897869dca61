package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newOutputs prints what one needs after `cdk deploy`, ready to copy.
func newOutputs(scope constructs.Construct, cfg Config, network Network, storage Storage, logs Logs, loadBalancer LoadBalancer, service Service) {
	output := func(id, description string, value *string) {
		awscdk.NewCfnOutput(scope, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(description), Value: value})
	}
	host := *loadBalancer.NLB.LoadBalancerDnsName()
	target := "Target of the CNAME (or Route 53 alias) of the service's domain name"
	if cfg.LoadBalancer.DomainName != "" {
		target = "Target of the record of " + cfg.LoadBalancer.DomainName
	}
	output("LoadBalancerDNSName", target, jsii.String(host))
	output("TestCommand", testDescription(cfg), jsii.String(testCommand(cfg, host)))
	if loadBalancer.EndpointServiceName != nil {
		output("EndpointServiceName", "Endpoint service of PrivateLink, for endpoints of AllowedPrincipals", loadBalancer.EndpointServiceName)
	}
	output("DicomBucketName", "DICOM instances", storage.Dicom.BucketName())
	if storage.Certificates != nil {
		bucket := *storage.Certificates.BucketName()
		output("CertificateBucketName", "certificate.crt, certificate.key, truststore.crt and crl.pem", jsii.String(bucket))
		output("CertificateCommand", "Puts the certificates of the current folder into the bucket; nginx has them a minute later",
			jsii.String("aws s3 cp . s3://"+bucket+"/ --recursive --exclude '*' --include certificate.crt --include certificate.key --include truststore.crt --include crl.pem --region "+cfg.Region))
	}
	output("AccessLogBucketName", "Access logs of the buckets and the load balancer", storage.AccessLogs.BucketName())
	output("ClusterName", "ECS cluster", service.Cluster.ClusterName())
	output("ServiceName", "ECS service", service.Fargate.ServiceName())
	output("TaskRoleArn", "Role of the tasks, for policies of buckets and keys that are not of this stack", service.Task.TaskRole().RoleArn())
	output("AppLogGroup", "Records of the app; those of each request are \"store transaction\"", logs.App.LogGroupName())
	output("NginxLogGroup", "Records of nginx and certsync", logs.Nginx.LogGroupName())
	if logs.Flows != nil {
		output("FlowLogGroup", "Flow logs of the VPC", logs.Flows.LogGroupName())
	}
	if logs.Trail != nil {
		output("TrailBucketName", "Files of the trail, which `aws cloudtrail validate-logs` checks", storage.Trail.BucketName())
		output("TrailLogGroup", "Who read or wrote which object", logs.Trail.LogGroupName())
	}
	output("DashboardURL", "CloudWatch dashboard", jsii.String(dashboardURL(cfg)))
	if network.DefaultGroup != nil {
		output("DefaultSecurityGroupCommand", "Empties the default security group of the VPC, which nothing uses",
			jsii.String(fmt.Sprintf("aws ec2 revoke-security-group-ingress --region %[1]s --group-id %[2]s --protocol all --source-group %[2]s; "+
				"aws ec2 revoke-security-group-egress --region %[1]s --group-id %[2]s --protocol all --cidr 0.0.0.0/0", cfg.Region, *network.DefaultGroup)))
	}
}

// testCommand sends the samples to DomainName, or to the load balancer's own name, which no certificate has. With FromS3 no certificate is
// there yet.
func testCommand(cfg Config, host string) string {
	insecure, client := " --insecure", ""
	if name := cfg.LoadBalancer.DomainName; name != "" {
		host = name
		if cfg.Certificate.CertificateMode == ACM {
			insecure = ""
		}
	}
	if cfg.Certificate.AuthMode == ClientAuth {
		client = " --cert client.crt --key client.key"
	}
	return fmt.Sprintf("go run ./app send --url https://%s/studies%s%s --response dcm-samples", host, insecure, client)
}

func testDescription(cfg Config) string {
	text := "Sends the three samples, at the root of the repository"
	if cfg.LoadBalancer.Scheme == Internal {
		text += " on a machine that reaches the VPC"
	}
	if cfg.LoadBalancer.DomainName == "" {
		return text + ". Once your domain name points here, put it into the URL and leave out --insecure"
	}
	if cfg.Certificate.CertificateMode == FromS3 {
		return text + ". Once your certificate is there, leave out --insecure"
	}
	return text
}
