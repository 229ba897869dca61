package config

import "time"

// Default returns the shipped configuration: the literal in infra/config.go shows it, with every field. It contains no region, no certificate and no
// senders: Validate asks for them. Each call returns a separate value.
func Default() Config {
	return Config{
		AppName:     "stowrs-to-s3",
		Certificate: CertificateConfig{AuthMode: Anonymous, CertificateMode: ACM, CertificateBucket: "stowrstos3-certs"},
		LoadBalancer: LoadBalancerConfig{
			AllowedPeers: []string{"0.0.0.0/0"}, Scheme: InternetFacing, TLSPolicy: "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", DrainSeconds: 900,
		},
		Network: NetworkConfig{VpcCIDR: "10.0.0.0/16", Egress: Endpoints},
		Storage: StorageConfig{DicomBucket: "stowrstos3-dicom", Encryption: KMS, Retention: Retain, CloudTrailDataEvents: true},
		Service: ServiceConfig{
			Memory: 4096, CPU: 2048, TaskCount: 1, MaxTaskCount: 4, CPUArchitecture: X86_64, ImageRevision: "1",
			Nginx: NginxConfig{
				SourceDirectory: "../nginx", Memory: 1024, CPU: 1024,
				Env: NginxEnv{CertRefresh: 60 * time.Second, WorkerShutdownTimeout: time.Hour},
			},
			App: AppConfig{
				SourceDirectory: "../app", Memory: 3072, CPU: 1024,
				Env: AppEnv{
					LogLevel: Warning, ThreadCount: 0, RetryTime: 60 * time.Second, MemoryBudget: 1 * GiB, HeadWindow: 32 * MiB, MetadataLimit: 16 * MiB,
					MinRate: 16 * KiB, MaxRequests: 512, OnDuplicate: Overwrite, StopTimeout: 110 * time.Second, SweepAge: 30 * time.Minute,
				},
			},
		},
		Observability: ObservabilityConfig{LogRetentionDays: 2192},
		Audit:         AuditConfig{ManagementEvents: true},
		ResourceTags:  map[string]string{},
	}
}
