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
		// arn:aws:iam::ACCOUNT:policy/NAME, where roles must have one.
		PermissionsBoundary: "",

		Certificate: CertificateConfig{
			// Anonymous, or ClientAuth (needs CertificateMode FromS3).
			AuthMode: Anonymous,
			// ACM, or FromS3.
			CertificateMode: ACM,
			// With ACM: arn:aws:acm:REGION:ACCOUNT:certificate/ID of a certificate in Region; empty with HostedZone: one is requested.
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
			// stow.example.org, in a hosted zone of Route 53: its record is made, and with ACM and an empty CertificateArn its certificate.
			DomainName: "",
			HostedZone: HostedZone{
				ID:      "",
				Name:    "",
				Private: false,
			},
			// Who may reach it by PrivateLink, such as arn:aws:iam::123456789012:root.
			EndpointService: EndpointService{
				AllowedPrincipals: nil,
			},
		},

		Network: NetworkConfig{
			VpcCIDR:           "10.0.0.0/16",
			AvailabilityZones: nil,
			Egress:            Endpoints,
			// A VPC that is there already; VpcCIDR is then empty. docs/operations.md says what it must have.
			ExistingVpc: ExistingVpc{
				VpcID:               "",
				TaskSubnets:         nil,
				TaskRouteTables:     nil,
				LoadBalancerSubnets: nil,
			},
		},

		Storage: StorageConfig{
			DicomBucket:         "stowrstos3-dicom",
			ExistingDicomBucket: "",
			ExistingDicomKey:    "",
			// ARNs of KMS keys to use instead of new ones.
			ExistingCertificateKey: "",
			ExistingRecordsKey:     "",
			ExistingLogBucket:      "",
			Encryption:             KMS,
			Retention:              Retain,
			ObjectLockDays:         0,
			NoncurrentVersionDays:  0,
			Transitions:            nil,
			CloudTrailDataEvents:   true,
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
				Image:           "",
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
				Image:           "",
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
			AlarmTopic:       "",
		},

		Audit: AuditConfig{
			// arn:aws:iam::ACCOUNT:role/NAME of whoever may erase or restore objects by hand.
			BreakGlassRoles: nil,
			// Days for which nobody at all can delete files of the trail. Set it once the first deployment has succeeded.
			TrailLockDays: 0,
			// false where a trail of the account or its organisation records changes of resources already.
			ManagementEvents: true,
			// arn:aws:iam::ACCOUNT:role/NAME of whoever administers the KMS keys, and does not use them.
			KeyAdministrators: nil,
			// arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME of a trail that records data events of the buckets already.
			ExistingTrailArn: "",
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
	Protection bool
	// PermissionsBoundary is the ARN of the IAM policy that bounds what every role of the stack may do, for accounts that let
	// roles be made with it only. What it does not allow, none of them can do. Default: none.
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
	// AuthMode is Anonymous (default: no client certificate is asked for) or ClientAuth (nginx verifies it).
	AuthMode AuthMode
	// CertificateMode is ACM (default: TLS ends at the load balancer, and again at nginx) or FromS3 (TLS ends at
	// nginx, with the files of the certificate bucket). ClientAuth needs FromS3.
	CertificateMode CertificateMode
	// CertificateArn is the certificate in ACM, in Region. Ignored with FromS3, required with ACM unless LoadBalancer.HostedZone is there:
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

// ObservabilityConfig is logs and alarms.
type ObservabilityConfig struct {
	// LogRetentionDays is how long logs are kept, one of the numbers that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, …
	// 3653). Default 2192, the six years of HIPAA (45 CFR 164.316(b)(2)(i)).
	LogRetentionDays int
	// AlarmEmail is the address to which alarms and changes that take protection away are sent; AWS asks it to confirm first. Default: none, alarms are
	// seen in the console only.
	AlarmEmail string
	// AlarmTopic is the ARN of an SNS topic in Region to which alarms are sent instead. Its policy, and that of its key, have to let
	// cloudwatch.amazonaws.com and events.amazonaws.com publish. Default: none.
	AlarmTopic string
}

// defaultRegion is the only thing that is read from the environment. Without it there is none: images of patients
// must not go to a region that nobody has named.
func defaultRegion() string { return os.Getenv("CDK_DEFAULT_REGION") }
