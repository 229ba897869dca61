package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testArn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"

// valid is the shipped configuration, completed with what a deployer must fill in, and with its own folders.
func valid(t *testing.T) Config {
	t.Helper()
	c := Default()
	c.Region = "us-east-1"
	c.Protection = true
	c.Certificate.CertificateArn = testArn
	c.LoadBalancer.AllowedPeers = []string{"198.51.100.0/24", "203.0.113.7/32"}
	image := t.TempDir()
	if err := os.WriteFile(filepath.Join(image, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Service.Nginx.SourceDirectory, c.Service.App.SourceDirectory = image, image
	return c
}

func fields(violations Violations) []string {
	var paths []string
	for _, v := range violations {
		paths = append(paths, v.Field)
	}
	return paths
}

func TestValidConfigurations(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"shipped": func(*Config) {},
		"certificates from S3, client authentication": func(c *Config) {
			c.Certificate = CertificateConfig{AuthMode: ClientAuth, CertificateMode: FromS3, CertificateBucket: "certs.hospital"}
		},
		"certificates from S3, anonymous; the ARN is ignored": func(c *Config) {
			c.Certificate.CertificateMode, c.Certificate.CertificateArn = FromS3, "nonsense"
		},
		"with ACM the certificate bucket is ignored": func(c *Config) { c.Certificate.CertificateBucket = "Nonsense!" },
		"with TCP the response may wait longer": func(c *Config) {
			c.Certificate.CertificateMode, c.Service.App.Env.ResponseDelay = FromS3, time.Hour-time.Second
		},
		"China": func(c *Config) {
			c.Region, c.Certificate.CertificateArn = "cn-north-1", strings.Replace(testArn, "arn:aws:acm:us-east-1", "arn:aws-cn:acm:cn-north-1", 1)
		},
		"GovCloud": func(c *Config) {
			c.Region, c.Certificate.CertificateArn = "us-gov-west-1", strings.Replace(testArn, "arn:aws:acm:us-east-1", "arn:aws-us-gov:acm:us-gov-west-1", 1)
		},
		"European sovereign cloud": func(c *Config) {
			c.Region, c.Certificate.CertificateArn = "eusc-de-east-1", strings.Replace(testArn, "arn:aws:acm:us-east-1", "arn:aws-eusc:acm:eusc-de-east-1", 1)
		},
		"a small network": func(c *Config) { c.Network.VpcCIDR = "192.168.7.0/25" },
		"the smallest network": func(c *Config) {
			c.Network = NetworkConfig{VpcCIDR: "172.31.255.192/27", AvailabilityZones: []string{"us-east-1f"}, Egress: NAT}
			c.Service.MaxTaskCount = 1
		},
		"three zones with fixed addresses": func(c *Config) {
			c.Network.AvailabilityZones = []string{"us-east-1a", "us-east-1b", "us-east-1d"}
			c.LoadBalancer.ElasticIPs = []string{"eipalloc-0123456789abcdef0", "eipalloc-0123456789abcdef1", "eipalloc-12345678"}
		},
		"endpoints of accounts, roles and users of China": func(c *Config) {
			c.Region, c.Certificate = "cn-north-1", clientAuth()
			c.LoadBalancer.EndpointService.AllowedPrincipals = []string{"arn:aws-cn:iam::210987654321:root", "arn:aws-cn:iam::210987654321:role/imaging/pacs", "arn:aws-cn:iam::210987654321:user/pacs@example.org"}
		},
		"a certificate that is requested": func(c *Config) { inZone(c); c.Certificate.CertificateArn = "" },
		"a record in a private zone": func(c *Config) {
			inZone(c)
			c.LoadBalancer.Scheme, c.LoadBalancer.HostedZone.Private = Internal, true
		},
		"a record in a private zone, certificates from S3": func(c *Config) {
			inZone(c)
			c.Certificate, c.LoadBalancer.HostedZone.Private = clientAuth(), true
			c.LoadBalancer.DomainName = strings.Repeat("a", 63) + ".example.org"
		},
		"the name of the zone itself":                        func(c *Config) { inZone(c); c.LoadBalancer.DomainName = "example.org" },
		"an existing VPC, to which the stack adds endpoints": func(c *Config) { c.Network = existingNetwork() },
		"an existing VPC with ways to AWS, and an internal load balancer among the tasks": func(c *Config) {
			c.LoadBalancer.Scheme = Internal
			c.Network = NetworkConfig{AvailabilityZones: []string{"us-east-1a"}, Egress: Existing, ExistingVpc: ExistingVpc{
				VpcID: "vpc-01234567", TaskSubnets: []string{"subnet-01234567"},
			}}
		},
		"an existing bucket": func(c *Config) {
			c.Storage.ExistingDicomBucket, c.Storage.DicomBucket = strings.Repeat("b", 63), "Ignored!"
		},
		"as many tasks as there can be": func(c *Config) { c.Service.TaskCount, c.Service.MaxTaskCount = 250, 250 },
		"the smallest task": func(c *Config) {
			c.Service.CPU, c.Service.Memory = 256, 1024
			c.Service.Nginx.CPU, c.Service.Nginx.Memory, c.Service.App.CPU, c.Service.App.Memory = 128, 512, 128, 512
			c.Service.App.Env.MemoryBudget = 256 * MiB
		},
		"ARM64, kept a while, locked, S3's keys, tagged": func(c *Config) {
			c.Service.CPUArchitecture, c.Observability = ARM64, ObservabilityConfig{LogRetentionDays: 1, AlarmEmail: "imaging@example.org"}
			c.Storage.Encryption, c.Storage.ObjectLockDays, c.Storage.NoncurrentVersionDays = S3Managed, 2192, 30
			c.ResourceTags = map[string]string{"cost centre": "Radiology/CT", "owner": ""}
		},
		"keys that are there": func(c *Config) {
			c.Certificate = clientAuth()
			c.Storage.ExistingDicomKey, c.Storage.ExistingCertificateKey, c.Storage.ExistingRecordsKey = aKey+"mrk-0", aKey+"1", aKey+"2"
		},
		"administrators of keys": func(c *Config) {
			c.Audit.KeyAdministrators, c.Audit.BreakGlassRoles = []string{aRole + "s"}, []string{aRole}
		},
		"a trail that is locked for as long as it is kept": func(c *Config) { c.Audit.TrailLockDays = c.Observability.LogRetentionDays },
		"roles of IAM Identity Center, and in China": func(c *Config) {
			c.Region, c.Certificate.CertificateMode = "cn-north-1", FromS3
			c.Audit.BreakGlassRoles = []string{"arn:aws-cn:iam::123456789012:role/aws-reserved/sso.amazonaws.com.cn/cn-north-1/AWSReservedSSO_Archivist_0123456789abcdef"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			edit(&c)
			warnings, violations := Validate(c)
			if warnings = withoutZones(warnings); len(warnings) > 0 || len(violations) > 0 {
				t.Errorf("got warnings %q and violations %v, want none", warnings, violations)
			}
		})
	}
}

// The shipped configuration has two violations: the certificate is missing, and nobody has said who may store.
func TestShippedConfiguration(t *testing.T) {
	c := valid(t)
	shipped := Default()
	c.Certificate, c.LoadBalancer = shipped.Certificate, shipped.LoadBalancer
	warnings, violations := Validate(c)
	want := []string{`Certificate.CertificateArn = "": is required when CertificateMode is ACM: the ARN of the certificate in ACM that clients will see
    copy it from the ACM console, https://us-east-1.console.aws.amazon.com/acm/home?region=us-east-1#/certificates/list, or from
    aws acm list-certificates --region us-east-1 --query 'CertificateSummaryList[].[DomainName,CertificateArn]' --output table
    If there is none yet, request one for your domain name:
    aws acm request-certificate --region us-east-1 --validation-method DNS --domain-name stow.example.org
    With LoadBalancer.DomainName and HostedZone, a zone in Route 53, the stack requests one itself.`,
		`LoadBalancer.AllowedPeers = "0.0.0.0/0": would let anyone on the internet store into the archive, since AuthMode is Anonymous
    list the CIDRs of your senders, such as 198.51.100.7/32, or use ClientAuth; if everyone is meant, set AllowEveryone to true`}
	var got []string
	for _, v := range violations {
		got = append(got, v.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations differ (-want +got):\n%s", diff)
	}
	if warnings = withoutZones(warnings); len(warnings) > 0 {
		t.Errorf("got warnings %q, want none", warnings)
	}
	for directory, path := range map[string]string{"Nginx": shipped.Service.Nginx.SourceDirectory, "App": shipped.Service.App.SourceDirectory} {
		if path != "../"+strings.ToLower(directory) {
			t.Errorf("folder of %s: got %s", directory, path)
		}
	}
}

func TestWarnings(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*Config)
		want string // part of the only warning; empty: no warning
	}{
		"half of the internet": {func(c *Config) {
			c.LoadBalancer.AllowedPeers, c.LoadBalancer.AllowEveryone = []string{"128.0.0.0/1"}, true
		}, "WRITABLE BY THE WORLD"},
		"everyone, from S3": {func(c *Config) {
			c.Certificate.CertificateMode, c.LoadBalancer.AllowedPeers, c.LoadBalancer.AllowEveryone = FromS3, []string{"0.0.0.0/0"}, true
		}, "anyone on the internet"},
		"everyone, internal": {func(c *Config) {
			c.LoadBalancer.Scheme, c.LoadBalancer.AllowedPeers, c.LoadBalancer.AllowEveryone = Internal, []string{"0.0.0.0/0"}, true
		}, "anyone in the VPC"},
		"a large private network":       {func(c *Config) { c.LoadBalancer.AllowedPeers = []string{"10.0.0.0/8"} }, ""},
		"everyone who has certificates": {func(c *Config) { c.Certificate = clientAuth(); c.LoadBalancer.AllowedPeers = []string{"0.0.0.0/0"} }, ""},
		"destroy":                       {func(c *Config) { c.Storage.Retention = Destroy }, "but for the buckets of access logs and of the trail"},
		"not protected":                 {func(c *Config) { c.Protection = false }, "set it to true and deploy again"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			row.edit(&c)
			warnings, violations := Validate(c)
			if len(violations) > 0 {
				t.Errorf("got violations %v, want none", violations)
			}
			warnings = withoutZones(warnings)
			if row.want == "" && len(warnings) > 0 || row.want != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].Text, row.want)) {
				t.Errorf("got warnings %q, want %q", warnings, row.want)
			}
		})
	}
}

func clientAuth() CertificateConfig {
	return CertificateConfig{AuthMode: ClientAuth, CertificateMode: FromS3, CertificateBucket: "stowrstos3-certs"}
}

// All violations are reported at once, in the order of the fields.
func TestAllViolationsAtOnce(t *testing.T) {
	c := valid(t)
	c.AppName, c.Region = "", "mars"
	c.Certificate.AuthMode = ClientAuth
	c.LoadBalancer.AllowedPeers = []string{"::/0", "198.51.100.7"}
	c.Network.VpcCIDR = "8.8.0.0/16"
	c.Storage.DicomBucket = "Images"
	c.Service.CPU, c.Service.App.SourceDirectory, c.Service.App.Env.LogLevel = 3000, "../nowhere", "LOUD"
	c.Observability.LogRetentionDays = 2
	c.ResourceTags = map[string]string{"deployment": "x"}
	_, violations := Validate(c)
	want := []string{
		"AppName", "Region", "Certificate.AuthMode", "Certificate.CertificateArn", "LoadBalancer.AllowedPeers[0]", "LoadBalancer.AllowedPeers[1]", "Network.VpcCIDR",
		"Storage.DicomBucket", "Service.CPU", "Service.App.SourceDirectory", "Service.App.Env.LogLevel", "Observability.LogRetentionDays", `ResourceTags["deployment"]`,
	}
	if diff := cmp.Diff(want, fields(violations)); diff != "" {
		t.Errorf("violations differ (-want +got):\n%s", diff)
	}
	for _, v := range violations {
		if v.Value == "" || v.Rule == "" || v.Do == "" {
			t.Errorf("incomplete: %+v", v)
		}
	}
}

// An empty configuration also gives a list of violations, not a panic.
func TestZeroConfiguration(t *testing.T) {
	_, violations := Validate(Config{})
	for _, field := range []string{"AppName", "Region", "Certificate.AuthMode", "LoadBalancer.AllowedPeers", "Network.VpcCIDR", "Storage.Encryption", "Service.CPU", "Service.App.SourceDirectory"} {
		if !slices.Contains(fields(violations), field) {
			t.Errorf("%s is not among the violations %q", field, fields(violations))
		}
	}
}

// withoutZones removes the warning about us-east-1, the region of most tests.
func withoutZones(warnings []Concern) []Concern {
	return slices.DeleteFunc(warnings, func(w Concern) bool { return w.ID == "stowrs:zones" })
}

// If no zone is named, and a zone of the region cannot have the tasks, the message says which zones can.
func TestZonesWithoutFargate(t *testing.T) {
	for region, want := range map[string]string{"us-east-1": "use1-az3", "us-west-1": "usw1-az1 and usw1-az3", "ap-northeast-1": "apne1-az1, apne1-az2 and apne1-az4", "eu-central-1": ""} {
		c := valid(t)
		c.Region = region
		warnings, _ := Validate(c)
		if said := fmt.Sprint(warnings); want == "" && len(warnings) > 0 || !strings.Contains(said, want) {
			t.Errorf("%s: got warnings %q, want %q", region, warnings, want)
		}
		c.Network.AvailabilityZones = []string{region + "a", region + "c"}
		if warnings, _ := Validate(c); len(warnings) > 0 {
			t.Errorf("%s with named zones: got warnings %q", region, warnings)
		}
	}
}
