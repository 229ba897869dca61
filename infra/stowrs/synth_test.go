package stowrs

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// The deployments of the tests: the three topologies with the shipped values, and three more, which together contain
// every other choice. The names are those of the golden files.
const (
	acm        = "acm-anonymous"
	s3         = "froms3-anonymous"
	mTLS       = "froms3-clientauth"
	internal   = "internal-nat-existing-bucket"
	everything = "froms3-clientauth-everything"
	existing   = "internal-existing-vpc"
)

func deployments() map[string]config.Config {
	configs := map[string]config.Config{}
	for _, name := range []string{acm, s3, mTLS, internal, everything, existing} {
		c := config.Default()
		c.Region = "us-east-1"
		c.Certificate.CertificateArn = testArn
		c.LoadBalancer.AllowedPeers = []string{"198.51.100.0/24", "203.0.113.7/32"}
		c.Service.Nginx.SourceDirectory, c.Service.App.SourceDirectory = "../testdata/image", "../testdata/image"
		switch name {
		case s3:
			c.Certificate.CertificateMode = config.FromS3
		case mTLS, everything:
			c.Certificate = clientAuth()
		}
		configs[name] = c
	}
	c := configs[internal]
	c.Region = "ca-west-1"
	c.Certificate.CertificateArn = strings.Replace(testArn, "us-east-1", "ca-west-1", 1)
	c.LoadBalancer.Scheme, c.Network.Egress, c.Network.AvailabilityZones = config.Internal, config.NAT, []string{"ca-west-1a", "ca-west-1b", "ca-west-1c"}
	c.Storage = config.StorageConfig{ExistingDicomBucket: "hospital-archive", Encryption: config.S3Managed, Retention: config.Destroy}
	c.Audit.ManagementEvents = false
	c.PermissionsBoundary, c.Observability.AlarmTopic = "arn:aws:iam::123456789012:policy/imaging/boundary", "arn:aws:sns:ca-west-1:123456789012:imaging"
	c.Service.TaskCount, c.Service.MaxTaskCount, c.Service.CPUArchitecture = 2, 2, config.ARM64
	c.Service.App.Env.KMSKeyID = "arn:aws:kms:ca-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
	c.Storage.ExistingDicomKey = "arn:aws:kms:ca-west-1:123456789012:key/11234567-89ab-cdef-0123-456789abcdef"
	c.Service.App.Image = "210987654321.dkr.ecr.ca-west-1.amazonaws.com/imaging/stowrs@sha256:" + strings.Repeat("1", 64)
	configs[internal] = c

	c = configs[everything]
	c.LoadBalancer.ElasticIPs = []string{"eipalloc-0123456789abcdef0", "eipalloc-0123456789abcdef1"}
	c.Storage.ObjectLockDays, c.Storage.NoncurrentVersionDays, c.Storage.Encryption = 2192, 90, config.S3Managed
	c.Storage.Transitions = []config.Transition{{AfterDays: 30, StorageClass: "STANDARD_IA"}, {AfterDays: 365, StorageClass: "DEEP_ARCHIVE"}}
	c.Service.App.Env.Prefix, c.Service.App.Env.OnDuplicate, c.Service.App.Env.LogLevel = "instance1/", config.Reject, config.Debug
	c.Observability = config.ObservabilityConfig{LogRetentionDays: 365, AlarmEmail: "imaging@example.org"}
	c.ResourceTags = map[string]string{"cost-centre": "radiology"}
	c.Protection = true
	c.Audit.BreakGlassRoles = []string{"arn:aws:iam::123456789012:role/imaging/archivist", "arn:aws:iam::123456789012:role/imaging/restore"}
	c.Audit.TrailLockDays = 365
	c.Audit.KeyAdministrators = []string{"arn:aws:iam::123456789012:role/security/keys"}
	c.Service.Nginx.Env.AllowedClients, c.Service.Nginx.Env.RequireCRL = []string{"CN=modality-1,O=Hospital", "CN=pacs issued by CN=Hospital CA"}, true
	configs[everything] = c

	c = configs[existing]
	inZone(&c)
	c.Storage.ExistingLogBucket, c.Storage.ExistingRecordsKey = "hospital-logs", aKey+"01234567-89ab-cdef-0123-456789abcdef"
	c.Audit.ExistingTrailArn, c.Audit.ManagementEvents = "arn:aws:cloudtrail:us-east-1:210987654321:trail/organisation", false
	c.LoadBalancer.Scheme, c.Certificate.CertificateArn = config.Internal, ""
	c.LoadBalancer.EndpointService.AllowedPrincipals = []string{"arn:aws:iam::210987654321:root", "arn:aws:iam::321098765432:role/imaging/pacs"}
	c.Network = config.NetworkConfig{AvailabilityZones: []string{"us-east-1a", "us-east-1b"}, Egress: config.Endpoints, ExistingVpc: config.ExistingVpc{
		VpcID:               "vpc-0123456789abcdef0",
		TaskSubnets:         []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"},
		TaskRouteTables:     []string{"rtb-0123456789abcdef0", "rtb-0123456789abcdef0"},
		LoadBalancerSubnets: []string{"subnet-0123456789abcdef2", "subnet-0123456789abcdef3"},
	}}
	configs[existing] = c
	return configs
}

const aTrail = "arn:aws:cloudtrail:eu-west-1:210987654321:trail/organisation"

const testArn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"

func clientAuth() config.CertificateConfig {
	return config.CertificateConfig{AuthMode: config.ClientAuth, CertificateMode: config.FromS3, CertificateBucket: "stowrstos3-certs"}
}

// inZone sets name and zone of a deployment.
func inZone(c *config.Config) {
	c.LoadBalancer.DomainName, c.LoadBalancer.HostedZone = "stow.example.org", config.HostedZone{ID: "Z0123456789ABCDEFGHIJ", Name: "example.org"}
}

// synthesise describes all deployments once for all tests, because starting jsii takes most of the time.
var synthesise = sync.OnceValues(func() (map[string]template, error) {
	templates := map[string]template{}
	for name, cfg := range deployments() {
		var err error
		if templates[name], err = synthesised(cfg); err != nil {
			return nil, err
		}
	}
	return templates, nil
})

// synthesised is the template of a configuration, with the feature flags of cdk.json, like that of the CLI.
func synthesised(cfg config.Config) (template, error) {
	app, folder, err := testApp(nil)
	if err != nil {
		return template{}, err
	}
	defer os.RemoveAll(folder)
	if _, err := NewStack(app, cfg); err != nil {
		return template{}, err
	}
	app.Synth(nil)
	text, err := os.ReadFile(filepath.Join(folder, cfg.AppName+".template.json"))
	if err != nil {
		return template{}, err
	}
	text = imageHash.ReplaceAll(text, []byte(":ASSET"))
	t := template{text: text}
	return t, json.Unmarshal(text, &t)
}

// imageHash changes with every line of the app.
var imageHash = regexp.MustCompile(`:[0-9a-f]{64}\b`)

func testApp(flags map[string]any) (awscdk.App, string, error) {
	text, err := os.ReadFile("../cdk.json")
	if err != nil {
		return nil, "", err
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, "", err
	}
	maps.Copy(file.Context, flags)
	folder, err := os.MkdirTemp("", "cdk.out")
	return awscdk.NewApp(&awscdk.AppProps{Context: &file.Context, Outdir: jsii.String(folder)}), folder, err
}

// synthesisedFile is a file of cdk.out besides the template.
func synthesisedFile(t *testing.T, cfg config.Config, name string) []byte {
	t.Helper()
	app, folder, err := testApp(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if _, err := NewStack(app, cfg); err != nil {
		t.Fatal(err)
	}
	app.Synth(nil)
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// of is the template of a deployment.
func of(t *testing.T, deployment string) template {
	t.Helper()
	templates, err := synthesise()
	if err != nil {
		t.Fatal(err)
	}
	return templates[deployment]
}

// each runs a test for the deployments named, or for all.
func each(t *testing.T, test func(t *testing.T, template template, cfg config.Config), names ...string) {
	t.Helper()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(deployments()))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { test(t, of(t, name), deployments()[name]) })
	}
}

// template is the template in the form for CloudFormation.
type template struct {
	text      []byte
	Resources map[string]resource
	Outputs   map[string]struct{ Description, Value any }
}

type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           []string
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// all are the resources of a type, by logical id.
func (t template) all(kind string) map[string]resource {
	found := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == kind {
			found[id] = r
		}
	}
	return found
}

// unscoped is a logical id without the name of its part.
func unscoped(id string) string {
	for _, part := range []string{"Storage", "Network", "Front", "Service", "Observability"} {
		if rest, found := strings.CutPrefix(id, part); found && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			return rest
		}
	}
	return id
}

// one is the only resource of a type whose logical id, without the name of its part, begins like this.
func (t template) one(tt *testing.T, kind, prefix string) resource {
	tt.Helper()
	var found []string
	for id := range t.all(kind) {
		if strings.HasPrefix(unscoped(id), prefix) {
			found = append(found, id)
		}
	}
	if len(found) != 1 {
		tt.Fatalf("%s %s…: got %q, want one", kind, prefix, found)
	}
	return t.Resources[found[0]]
}

// at is the value at a path of map keys and list indexes, or nil.
func at(value any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[key]
		case int:
			list, _ := value.([]any)
			if key >= len(list) {
				return nil
			}
			value = list[key]
		}
	}
	return value
}

// get is the value of a property.
func (r resource) get(path ...any) any { return at(any(r.Properties), path...) }

// text is a value as JSON, to search for words in it, or to compare it.
func text(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// attributes are the key-value pairs of a load balancer, target group or listener.
func (r resource) attributes(property string) map[string]any {
	pairs := map[string]any{}
	list, _ := r.Properties[property].([]any)
	for _, pair := range list {
		pairs[at(pair, "Key").(string)] = at(pair, "Value")
	}
	return pairs
}

// section is the text of a document below a heading, to the next one of its rank.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", file, heading)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}
