package main

import (
	"os"
	"time"
)

// configuration is what `cdk deploy` builds: the one place to edit. The types
// below say what each field means, Validate what it may be, and the README has
// all of it in one table.
func configuration() Config {
	return Config{
		AppName: "stowrs-to-s3",
		Region:  defaultRegion(),
		// Empty: that of the credentials.
		Account: "",
		// Set it to true, and deploy again, once the first deployment has succeeded: until then it would stop a rollback.
		Protection: false,

		Certificate: CertificateConfig{
			// Anonymous, or ClientAuth (needs CertificateMode FromS3).
			AuthMode: Anonymous,
			// ACM, or FromS3.
			CertificateMode: ACM,
			// With ACM: arn:aws:acm:REGION:ACCOUNT:certificate/ID of a certificate in Region.
			CertificateArn: "",
			// With FromS3: prefix of the bucket for certificate.crt, certificate.key and truststore.crt.
			CertificateBucket: "stowrstos3-certs",
		},

		LoadBalancer: LoadBalancerConfig{
			// Who may connect: the addresses of your senders. 0.0.0.0/0 is everyone, and with Anonymous
			// that is refused, unless AllowEveryone says that it is meant so.
			AllowedPeers: []string{
				"0.0.0.0/0",
			},
			AllowEveryone: false,
			Scheme:        InternetFacing,
			ElasticIPs:    nil,
			TLSPolicy:     "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
			DrainSeconds:  900,
		},

		Network: NetworkConfig{
			VpcCIDR:           "10.0.0.0/16",
			AvailabilityZones: nil,
			Egress:            Endpoints,
		},

		Storage: StorageConfig{
			DicomBucket:           "stowrstos3-dicom",
			ExistingDicomBucket:   "",
			ExistingDicomKey:      "",
			Encryption:            KMS,
			Retention:             Retain,
			ObjectLockDays:        0,
			NoncurrentVersionDays: 0,
			CloudTrailDataEvents:  true,
		},

		Service: ServiceConfig{
			Memory:          4096,
			CPU:             2048,
			TaskCount:       1,
			MaxTaskCount:    4,
			CPUArchitecture: X86_64,
			ImageRevision:   "1",
			BuildArgs:       nil,
			Nginx: NginxConfig{
				SourceDirectory: "../nginx",
				Memory:          1024,
				CPU:             1024,
				Env: NginxEnv{
					AllowedClients:        nil,
					RequireCRL:            false,
					ClientMaxBodySize:     0,
					ConnectionsPerAddress: 0,
					CertRefresh:           60 * time.Second,
					WorkerShutdownTimeout: time.Hour,
				},
			},
			App: AppConfig{
				SourceDirectory: "../app",
				Memory:          3072,
				CPU:             1024,
				Env: AppEnv{
					Prefix:          "",
					ObjectSuffix:    "",
					WADOURL:         "",
					LogLevel:        Warning,
					ResponseDelay:   0,
					ThreadCount:     128,
					RetryTime:       60 * time.Second,
					MemoryBudget:    1 * GiB,
					HeadWindow:      32 * MiB,
					MetadataLimit:   16 * MiB,
					MinRate:         16 * KiB,
					MaxRequests:     512,
					MaxInstanceSize: 0,
					MaxRequestSize:  0,
					OnDuplicate:     Overwrite,
					KMSKeyID:        "",
					StorageClass:    "",
					StrictAccept:    false,
					CORSOrigins:     nil,
					StopTimeout:     110 * time.Second,
					SweepAge:        30 * time.Minute,
					PProf:           false,
				},
			},
		},

		Observability: ObservabilityConfig{
			LogRetentionDays: 2192,
			AlarmEmail:       "",
		},

		ResourceTags: map[string]string{},
	}
}

// environments are the deployments that there are, by name. With several, `-c environment=NAME` chooses:
//
//	production := configuration()
//	production.Account, production.Region, production.Protection = "123456789012", "eu-central-1", true
//	test := configuration()
//	test.AppName, test.Account, test.Storage.Retention = "stowrs-test", "210987654321", Destroy
//	return map[string]Config{"production": production, "test": test}
func environments() map[string]Config {
	return map[string]Config{"default": configuration()}
}

// Config is one deployment. Every construct takes the part that is its own.
type Config struct {
	// AppName begins the names of all resources and is the value of their tag `deployment`: lower case letters,
	// digits and single hyphens, at most 20 characters, a letter first and no hyphen last. Default stowrs-to-s3.
	AppName string
	// Region is where all of it is built. Default: CDK_DEFAULT_REGION, which the cdk CLI takes from the AWS
	// profile. Nothing is looked up in it at synth.
	Region string
	// Account is the AWS account, 12 digits. Default: that of the credentials.
	Account string
	// Protection keeps the stack and its load balancer from being deleted, by mistake or by a rollback. Default false: a first
	// deployment that fails has to be taken back. Set it when that has succeeded.
	Protection    bool
	Certificate   CertificateConfig
	LoadBalancer  LoadBalancerConfig
	Network       NetworkConfig
	Storage       StorageConfig
	Service       ServiceConfig
	Observability ObservabilityConfig
	// ResourceTags are put on every resource, besides `deployment`: at most 40, keys of up to 128 and values of up to
	// 256 characters. Default: none.
	ResourceTags map[string]string
}

// CertificateConfig decides the topology: where TLS ends, and whether clients show certificates.
type CertificateConfig struct {
	// AuthMode is Anonymous (default: no client certificate is asked for) or ClientAuth (nginx verifies it).
	AuthMode AuthMode
	// CertificateMode is ACM (default: TLS ends at the load balancer, and again at nginx) or FromS3 (TLS ends at
	// nginx, with the files of the certificate bucket). ClientAuth needs FromS3.
	CertificateMode CertificateMode
	// CertificateArn is the certificate in ACM, in Region. Required with ACM, ignored with FromS3.
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

// LoadBalancerConfig is the network load balancer.
type LoadBalancerConfig struct {
	// AllowedPeers are the IPv4 CIDRs that may connect to port 443, 60 at most (the quota of rules of a security
	// group). Default 0.0.0.0/0, everyone.
	AllowedPeers []string
	// AllowEveryone says that AllowedPeers larger than /8 are meant with Anonymous: whoever reaches the load balancer can then store
	// into the archive. Default false.
	AllowEveryone bool
	// Scheme is InternetFacing (default) or Internal (reached from the VPC and networks joined to it only).
	Scheme Scheme
	// ElasticIPs are allocation ids (eipalloc-…), one for each availability zone, for addresses that stay the same.
	// InternetFacing only. Default: none, AWS assigns addresses. Another list is another load balancer, with another name.
	ElasticIPs []string
	// TLSPolicy is the security policy of the listener with ACM, as AWS names it, such as ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09.
	// Default: TLS 1.2 and 1.3 with the ciphers that nginx.conf has, and a key exchange that a quantum computer of later years
	// does not open.
	TLSPolicy string
	// DrainSeconds is how long a task that is being replaced keeps its connections, 0 to 3600. Default 900.
	DrainSeconds int
}

// Scheme says from where the load balancer is reached.
type Scheme string

// Values of Scheme.
const (
	InternetFacing Scheme = "internet-facing"
	Internal       Scheme = "internal"
)

// NetworkConfig is the VPC.
type NetworkConfig struct {
	// VpcCIDR is a private (RFC 1918) IPv4 block of /16 to /28, large enough for the subnets and tasks. Default
	// 10.0.0.0/16.
	VpcCIDR string
	// AvailabilityZones are the names of one to three zones of Region. Default: none named, which is the first two
	// that CloudFormation finds. TaskCount above 1 needs two.
	AvailabilityZones []string
	// Egress is Endpoints (default: no route to the internet; AWS is reached through VPC endpoints) or NAT (a NAT
	// gateway as well, for tasks that must reach anything else, such as another S3 server).
	Egress Egress
}

// Egress says what the tasks can reach.
type Egress string

// Values of Egress.
const (
	Endpoints Egress = "endpoints"
	NAT       Egress = "nat"
)

// StorageConfig is the buckets, and how what they hold is kept.
type StorageConfig struct {
	// DicomBucket is the prefix of the name of the bucket for DICOM: lower case letters, digits, dots and hyphens, at
	// most 50 characters; 12 random ones follow it. Default stowrstos3-dicom. Changing it makes another bucket and
	// leaves the old one where it is.
	DicomBucket string
	// ExistingDicomBucket is the whole name of a bucket that is there already and is used instead of a new one; its
	// own settings stay as they are, and DicomBucket is ignored. Default: none. When KMS encrypts it, put the ARN of
	// its key into ExistingDicomKey.
	ExistingDicomBucket string
	// ExistingDicomKey is the ARN of the KMS key that encrypts ExistingDicomBucket: without it every store is refused.
	// The policy of a key of another account has to let this one in, too. Default: none.
	ExistingDicomKey string
	// Encryption of the bucket for DICOM is KMS (default: a key of this deployment) or S3Managed (AES256 with keys
	// of S3). Logs and certificates have KMS keys of their own in any case.
	Encryption Encryption
	// Retention says what destroying the stack does: Retain (default) leaves buckets, keys and logs, Destroy is for
	// trials and deletes them; a bucket that is not empty stops it. The bucket for access logs stays in any case: it gets
	// records for hours after the last request.
	Retention Retention
	// ObjectLockDays keeps every version of an object from deletion for that many days (S3 Object Lock, governance
	// mode), 0 to 36500. Default 0, no lock. Object Lock can never be taken from a bucket again.
	ObjectLockDays int
	// NoncurrentVersionDays deletes versions that were overwritten this many days ago, 0 to 36500. Default 0: never.
	NoncurrentVersionDays int
	// CloudTrailDataEvents records every access to an object of the DICOM bucket in a trail. Default true.
	CloudTrailDataEvents bool
}

// Encryption says whose keys encrypt the buckets.
type Encryption string

// Values of Encryption.
const (
	S3Managed Encryption = "S3Managed"
	KMS       Encryption = "KMS"
)

// Retention says what becomes of stored data when the stack is destroyed.
type Retention string

// Values of Retention.
const (
	Retain  Retention = "retain"
	Destroy Retention = "destroy"
)

// ObservabilityConfig is logs and alarms.
type ObservabilityConfig struct {
	// LogRetentionDays is how long logs are kept, one of the numbers that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, …
	// 3653). Default 2192, the six years of HIPAA (45 CFR 164.316(b)(2)(i)).
	LogRetentionDays int
	// AlarmEmail is the address to which alarms are sent; AWS asks it to confirm first. Default: none, alarms are
	// seen in the console only.
	AlarmEmail string
}

// defaultRegion is the only thing that is read from the environment. Without it there is none: images of patients
// must not go to a region that nobody has named.
func defaultRegion() string { return os.Getenv("CDK_DEFAULT_REGION") }
