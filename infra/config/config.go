// Package config is the configuration of a deployment: Config has a field for each choice, Default returns the shipped values, and Validate says
// for every field that cannot be deployed what it must be and what to write instead. It does not depend on CDK, and reads nothing but the folders of
// the images.
package config

// Config is one deployment. Every construct gets the part that concerns it.
type Config struct {
	// AppName begins the names of all resources and is the value of their tag `deployment`: lower case letters,
	// digits and single hyphens, at most 20 characters, a letter first and no hyphen last. Default stowrs-to-s3.
	AppName string
	// Region is where everything is deployed. Default: CDK_DEFAULT_REGION, which the cdk CLI reads from the AWS
	// profile. Nothing is looked up in it at synth.
	Region string
	// Account is the AWS account, 12 digits. Default: that of the credentials.
	Account string
	// Protection prevents the deletion of the stack and its load balancer, by mistake or by a rollback. Default false: a first
	// deployment that fails must be rolled back. Set it after that has succeeded.
	Protection bool
	// PermissionsBoundary is the ARN of the IAM policy that limits the permissions of every role of the stack, for accounts that
	// require one. Default: none.
	PermissionsBoundary string

	Certificate   CertificateConfig
	LoadBalancer  LoadBalancerConfig
	Network       NetworkConfig
	Storage       StorageConfig
	Service       ServiceConfig
	Observability ObservabilityConfig
	Audit         AuditConfig
	// ResourceTags are put on every resource, besides `deployment`: at most 40, keys of up to 128 and values of up to
	// 256 characters. Default: none.
	ResourceTags map[string]string
}

// CertificateConfig decides the topology: where TLS ends, and whether clients show certificates.
type CertificateConfig struct {
	// AuthMode is Anonymous (default: clients need no certificate) or ClientAuth (nginx verifies it).
	AuthMode AuthMode
	// CertificateMode is ACM (default: TLS ends at the load balancer, and again at nginx) or FromS3 (TLS ends at
	// nginx, with the files of the certificate bucket). ClientAuth needs FromS3.
	CertificateMode CertificateMode
	// CertificateArn is the certificate in ACM, in Region. Ignored with FromS3, required with ACM unless LoadBalancer.HostedZone is set:
	// the stack then requests one for LoadBalancer.DomainName. Default: none.
	CertificateArn string
	// CertificateBucket is the prefix of the name of the bucket for certificate.crt, certificate.key and
	// truststore.crt. Required with FromS3, ignored with ACM. Default stowrstos3-certs.
	CertificateBucket string
}

// AuthMode says who may store; its values are those of the sidecar's AUTH_MODE.
type AuthMode string

// Values of AuthMode.
const (
	Anonymous  AuthMode = "anonymous"
	ClientAuth AuthMode = "clientauth"
)

// CertificateMode says where the server's certificate comes from; its values are those of the sidecar's CERT_MODE.
type CertificateMode string

// Values of CertificateMode.
const (
	ACM    CertificateMode = "ACM"
	FromS3 CertificateMode = "FROMS3"
)

// ObservabilityConfig is the configuration of logs and alarms.
type ObservabilityConfig struct {
	// LogRetentionDays is how long logs are kept, one of the numbers that CloudWatch Logs allows (1, 3, 5, 7, 14, 30, …
	// 3653). Default 2192, the six years of HIPAA (45 CFR 164.316(b)(2)(i)).
	LogRetentionDays int
	// AlarmEmail is the address that gets alarms and messages when protection is removed; AWS first asks it to confirm. Default: none, alarms are
	// visible in the console only.
	AlarmEmail string
	// AlarmTopic is the ARN of an SNS topic in Region to which alarms are sent instead. Its policy, and that of its key, must allow
	// cloudwatch.amazonaws.com and events.amazonaws.com to publish. Default: none.
	AlarmTopic string
}
