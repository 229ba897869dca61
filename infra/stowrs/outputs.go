package stowrs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// newOutputs prints the values that one needs after `cdk deploy`, ready to copy.
func newOutputs(scope constructs.Construct, cfg config.Config, d Deployment) {
	output := func(id, description string, value *string) {
		awscdk.NewCfnOutput(scope, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(description), Value: value})
	}
	host := *d.Front.NLB.LoadBalancerDnsName()
	target := "Target of the CNAME (or Route 53 alias) of the service's domain name"
	if cfg.LoadBalancer.DomainName != "" {
		target = "Target of the record of " + cfg.LoadBalancer.DomainName
	}
	output("LoadBalancerDNSName", target, jsii.String(host))
	output("TestCommand", testDescription(cfg), jsii.String(testCommand(cfg, host)))
	if d.Front.EndpointServiceName != nil {
		output("EndpointServiceName", "Endpoint service of PrivateLink, for endpoints of AllowedPrincipals", d.Front.EndpointServiceName)
	}
	output("DicomBucketName", "DICOM instances", d.Storage.Dicom.BucketName())
	if d.Storage.Certificates != nil {
		bucket := *d.Storage.Certificates.BucketName()
		output("CertificateBucketName", "certificate.crt, certificate.key, truststore.crt and crl.pem", jsii.String(bucket))
		output("CertificateCommand", "Puts the certificates of the current folder into the bucket; nginx has them a minute later",
			jsii.String("aws s3 cp . s3://"+bucket+"/ --recursive --exclude '*' --include certificate.crt --include certificate.key --include truststore.crt --include crl.pem --region "+cfg.Region))
	}
	output("AccessLogBucketName", "Access logs of the buckets and the load balancer", d.Storage.AccessLogs.BucketName())
	output("ClusterName", "ECS cluster", d.Service.Cluster.ClusterName())
	output("ServiceName", "ECS service", d.Service.Fargate.ServiceName())
	output("TaskRoleArn", "Role of the tasks, for policies of buckets and keys that are not of this stack", d.Service.Task.TaskRole().RoleArn())
	output("AppLogGroup", "Records of the app; those of each request are \"store transaction\"", d.Service.App.LogGroupName())
	output("NginxLogGroup", "Records of nginx and certsync", d.Service.Nginx.LogGroupName())
	if d.Network.FlowLogs != nil {
		output("FlowLogGroup", "Flow logs of the VPC", d.Network.FlowLogs.LogGroupName())
	}
	if d.Observability.TrailLogs != nil {
		output("TrailBucketName", "Files of the trail, which `aws cloudtrail validate-logs` checks", d.Observability.Trail.BucketName())
		output("TrailLogGroup", "Who read or wrote which object", d.Observability.TrailLogs.LogGroupName())
	}
	output("DashboardURL", "CloudWatch dashboard", jsii.String(dashboardURL(cfg)))
	if d.Network.DefaultGroup != nil {
		output("DefaultSecurityGroupCommand", "Empties the default security group of the VPC, which nothing uses",
			jsii.String(fmt.Sprintf("aws ec2 revoke-security-group-ingress --region %[1]s --group-id %[2]s --protocol all --source-group %[2]s; "+
				"aws ec2 revoke-security-group-egress --region %[1]s --group-id %[2]s --protocol all --cidr 0.0.0.0/0", cfg.Region, *d.Network.DefaultGroup)))
	}
}

// testCommand sends the samples to DomainName, or to the load balancer's own name, which is in no certificate. With FromS3 there is no certificate
// yet.
func testCommand(cfg config.Config, host string) string {
	insecure, client := " --insecure", ""
	if name := cfg.LoadBalancer.DomainName; name != "" {
		host = name
		if cfg.Certificate.CertificateMode == config.ACM {
			insecure = ""
		}
	}
	if cfg.Certificate.AuthMode == config.ClientAuth {
		client = " --cert client.crt --key client.key"
	}
	return fmt.Sprintf("go run ./app send --url https://%s/studies%s%s --response dcm-samples", host, insecure, client)
}

func testDescription(cfg config.Config) string {
	text := "Sends the three samples, at the root of the repository"
	if cfg.LoadBalancer.Scheme == config.Internal {
		text += " on a machine that reaches the VPC"
	}
	if cfg.LoadBalancer.DomainName == "" {
		return text + ". Once your domain name points here, put it into the URL and leave out --insecure"
	}
	if cfg.Certificate.CertificateMode == config.FromS3 {
		return text + ". Once your certificate is there, leave out --insecure"
	}
	return text
}
