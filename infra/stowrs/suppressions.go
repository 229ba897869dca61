package stowrs

import (
	"strings"

	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"stowrs-to-s3/infra/config"
)

// suppression is an accepted finding of cdk-nag, with its reason. It is written into the metadata of the resource, where a
// reviewer finds it; docs/operations.md lists all of them.
type suppression struct {
	Rule   string
	On     []string // paths below the deployment; the last name may end in *. Paths that a topology does not have are ignored
	Of     []any    // if a rule finds several things in a resource: which of them, in the words of cdk-nag
	Reason string
}

// suppressions are of the packs AwsSolutions and HIPAA Security.
func suppressions(cfg config.Config) []suppression {
	const accessLogs = "Storage/AccessLogBucket"
	buckets := []string{"Storage/DicomBucket", "Storage/CertificateBucket", accessLogs, "Observability/TrailBucket"}
	list := []suppression{
		{
			Rule: "HIPAA.Security-S3BucketReplicationEnabled", On: buckets,
			Reason: "S3 keeps every object in three zones at least, versions are kept, and nothing is deleted with the stack. Whether a copy in another region is wanted, and where patient data may go, " +
				"is the organisation's decision: a replication rule can be added to the bucket.",
		},
		{
			Rule: "HIPAA.Security-S3DefaultEncryptionKMS", On: []string{accessLogs},
			Reason: "S3 delivers access logs into buckets with SSE-S3 only. The bucket holds no images, and no files of the trail.",
		},
		{
			Rule: "HIPAA.Security-IAMNoInlinePolicy", On: []string{"Service/TaskRole", "Service/ExecutionRole", "Observability/TrailRole", "Network/FlowLogRole"},
			Reason: "Each policy belongs to one role of this stack and goes with it; a managed policy could be attached to others.",
		},
		{
			Rule: "AwsSolutions-IAM5", On: []string{"Service/TaskRole"}, Of: []any{map[string]any{"regex": `/^Resource::.*\/\*$/g`}},
			Reason: "Keys of instances are made of their UIDs and cannot be listed beforehand. It is one bucket (with PREFIX: one folder), three actions that store, abort and look after uploads, and GetObject, by which HeadObject tells whether an object whose acknowledgement was lost is there.",
		},
		{
			Rule: "AwsSolutions-IAM5", On: []string{"Service/ExecutionRole"}, Of: []any{"Resource::*"},
			Reason: "ecr:GetAuthorizationToken knows no resources. The repositories of the images are named in the same policy.",
		},
		{
			Rule: "AwsSolutions-ECS2", On: []string{"Service/Task"},
			Reason: "The environment is configuration that anyone may read, shown by `cdk diff` when it changes. No variable holds a secret: credentials come from the task role, private keys from the certificate bucket.",
		},
		{
			Rule: "HIPAA.Security-VPCNoUnrestrictedRouteToIGW", On: []string{"Network/Vpc/PublicSubnet*"},
			Reason: "The public subnets hold the load balancer, which answers clients on the internet, and NAT gateways with Egress NAT. Tasks have subnets of their own without that route.",
		},
		{
			Rule: "HIPAA.Security-VPCDefaultSecurityGroupClosed", On: []string{"Network/Vpc"},
			Reason: "Nothing uses that group. To empty it from the stack would take a Lambda function with rights over security groups; the output DefaultSecurityGroupCommand does it once.",
		},
	}
	const loops = "It is the bucket that logs go to: a log of its own would log itself."
	list = append(list,
		suppression{Rule: "AwsSolutions-S1", On: []string{accessLogs}, Reason: loops},
		suppression{Rule: "HIPAA.Security-S3BucketLoggingEnabled", On: []string{accessLogs}, Reason: loops})
	return append(list, choices(cfg)...)
}

// choices are findings about values that the configuration chooses.
func choices(cfg config.Config) []suppression {
	var list []suppression
	loadBalancer := "Front/LoadBalancer" + kind(cfg.LoadBalancer)
	if cfg.Certificate.CertificateMode == config.FromS3 {
		const nginxLogs = "FromS3: a network load balancer writes access logs of TLS listeners only, and here passes TCP on. nginx logs every request, with the address of the client, into an encrypted log group."
		list = append(list,
			suppression{Rule: "AwsSolutions-ELB2", On: []string{loadBalancer}, Reason: nginxLogs},
			suppression{Rule: "HIPAA.Security-ELBLoggingEnabled", On: []string{loadBalancer}, Reason: nginxLogs},
			suppression{
				Rule: "HIPAA.Security-ELBv2ACMCertificateRequired", On: []string{loadBalancer + "/Https"},
				Reason: "FromS3: TLS ends at nginx, with the certificate of the certificate bucket, so that it can ask clients for theirs. The load balancer never sees what is inside.",
			})
	}
	if cfg.Observability.AlarmEmail == "" && cfg.Observability.AlarmTopic == "" {
		list = append(list, suppression{
			Rule: "HIPAA.Security-CloudWatchAlarmAction", On: []string{"Observability/" + alarmPrefix + "*"},
			Reason: "AlarmEmail and AlarmTopic are empty: alarms are seen on the dashboard only. With one of them, each one notifies it.",
		})
	}
	if cfg.Storage.Encryption == config.S3Managed {
		list = append(list, suppression{
			Rule: "HIPAA.Security-S3DefaultEncryptionKMS", On: []string{"Storage/DicomBucket"},
			Reason: "Encryption is S3Managed: the deployer chose AES-256 with keys of S3.",
		})
	}
	if !cfg.Protection {
		list = append(list, suppression{
			Rule: "HIPAA.Security-ELBDeletionProtectionEnabled", On: []string{loadBalancer},
			Reason: "Protection is off: the first deployment can be taken back, or the stack is for a trial.",
		})
	}
	return list
}

// suppress adds the reasons to the resources.
func suppress(scope constructs.Construct, cfg config.Config) {
	for _, s := range suppressions(cfg) {
		reason := &cdknag.NagPackSuppression{Id: jsii.String(s.Rule), Reason: jsii.String(s.Reason)}
		if s.Of != nil {
			reason.AppliesTo = &s.Of
		}
		for _, on := range s.On {
			for _, construct := range find(scope, strings.Split(on, "/")) {
				cdknag.NagSuppressions_AddResourceSuppressions(construct, &[]*cdknag.NagPackSuppression{reason}, jsii.Bool(true))
			}
		}
	}
}

// find returns the constructs at a path below a construct.
func find(at constructs.IConstruct, names []string) []constructs.IConstruct {
	if len(names) == 0 {
		return []constructs.IConstruct{at}
	}
	prefix, anyOf := strings.CutSuffix(names[0], "*")
	if !anyOf {
		if child := at.Node().TryFindChild(jsii.String(names[0])); child != nil {
			return find(child, names[1:])
		}
		return nil
	}
	var found []constructs.IConstruct
	for _, child := range *at.Node().Children() {
		if strings.HasPrefix(*child.Node().Id(), prefix) {
			found = append(found, find(child, names[1:])...)
		}
	}
	return found
}
