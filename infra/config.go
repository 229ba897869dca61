package main

import (
	"os"
	"time"

	. "stowrs-to-s3/infra/config" //nolint:staticcheck // so that people edit names such as FromS3, and no Go
)

// configuration is what `cdk deploy` builds: this is the place to edit. The types
// in the folder config say what each field means and which values are allowed, and docs/aws.md
// has a table of all of them.
func configuration() Config {
	return Config{
		AppName: "stowrs-to-s3",
		Region:  defaultRegion(),
		// Empty: the account of the credentials.
		Account: "",
		// Set it to true, and deploy again, after the first deployment has succeeded: before that it would prevent a rollback.
		Protection: false,
		// arn:aws:iam::ACCOUNT:policy/NAME, where roles must have one.
		PermissionsBoundary: "",

		Certificate: CertificateConfig{
			// Anonymous, or ClientAuth (needs CertificateMode FromS3).
			AuthMode: Anonymous,
			// ACM, or FromS3.
			CertificateMode: ACM,
			// With ACM: arn:aws:acm:REGION:ACCOUNT:certificate/ID of a certificate in Region; if it is empty and HostedZone is set, one is requested.
			CertificateArn: "",
			// With FromS3: prefix of the bucket for certificate.crt, certificate.key and truststore.crt.
			CertificateBucket: "stowrstos3-certs",
		},

		LoadBalancer: LoadBalancerConfig{
			// Who may connect: the addresses of your senders. 0.0.0.0/0 is everyone; with Anonymous
			// this is refused, unless AllowEveryone confirms it.
			AllowedPeers: []string{
				"0.0.0.0/0",
			},
			AllowEveryone: false,
			Scheme:        InternetFacing,
			ElasticIPs:    nil,
			TLSPolicy:     "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
			DrainSeconds:  900,
			// stow.example.org, in a hosted zone of Route 53: the stack creates its record, and with ACM and an empty CertificateArn requests its certificate.
			DomainName: "",
			HostedZone: HostedZone{
				ID:      "",
				Name:    "",
				Private: false,
			},
			// Who may connect through PrivateLink, such as arn:aws:iam::123456789012:root.
			EndpointService: EndpointService{
				AllowedPrincipals: nil,
			},
		},

		Network: NetworkConfig{
			VpcCIDR:           "10.0.0.0/16",
			AvailabilityZones: nil,
			Egress:            Endpoints,
			FIPSEndpoints:     false,
			// An existing VPC; VpcCIDR is then empty. docs/operations.md says what it must have.
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
					ThreadCount:     0,
					RetryTime:       60 * time.Second,
					MemoryBudget:    1 * GiB,
					HeadWindow:      32 * MiB,
					MetadataLimit:   16 * MiB,
					MinRate:         16 * KiB,
					MaxRequests:     512,
					MaxInstanceSize: 0,
					MaxRequestSize:  0,
					OnDuplicate:     Overwrite,
					Commitment:      "",
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
			// arn:aws:iam::ACCOUNT:role/NAME of roles that may erase or restore objects by hand.
			BreakGlassRoles: nil,
			// Days for which nobody can delete files of the trail. Set it after the first deployment has succeeded.
			TrailLockDays: 0,
			// false if a trail of the account or its organisation already records changes of resources.
			ManagementEvents: true,
			// arn:aws:iam::ACCOUNT:role/NAME of roles that administer the KMS keys, and do not use them.
			KeyAdministrators: nil,
			// arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME of a trail that already records data events of the buckets.
			ExistingTrailArn: "",
		},

		ResourceTags: map[string]string{},
	}
}

// environments are all deployments, by name. If there are several, `-c environment=NAME` chooses one:
//
//	production := configuration()
//	production.Account, production.Region, production.Protection = "123456789012", "eu-central-1", true
//	test := configuration()
//	test.AppName, test.Account, test.Storage.Retention = "stowrs-test", "210987654321", Destroy
//	return map[string]Config{"production": production, "test": test}
func environments() map[string]Config {
	return map[string]Config{"default": configuration()}
}

// defaultRegion is the only value that is read from the environment. Without it there is no default: images of patients
// must not go to a region that nobody has named.
func defaultRegion() string { return os.Getenv("CDK_DEFAULT_REGION") }
