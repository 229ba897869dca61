package config

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each rule, alone: the edit breaks nothing else.
func TestRules(t *testing.T) {
	arn := func(s string) func(*Config) { return func(c *Config) { c.Certificate.CertificateArn = s } }
	topic := func(arn, email string) func(*Config) {
		return func(c *Config) { c.Observability.AlarmTopic, c.Observability.AlarmEmail = arn, email }
	}
	move := func(list ...Transition) func(*Config) { return func(c *Config) { c.Storage.Transitions = list } }
	peers := func(s ...string) func(*Config) { return func(c *Config) { c.LoadBalancer.AllowedPeers = s } }
	principals := func(s ...string) func(*Config) {
		return func(c *Config) { c.LoadBalancer.EndpointService.AllowedPrincipals = s }
	}
	vpc := func(s string) func(*Config) { return func(c *Config) { c.Network.VpcCIDR = s } }
	zones := func(s ...string) func(*Config) { return func(c *Config) { c.Network.AvailabilityZones = s } }
	env := func(edit func(*AppEnv)) func(*Config) { return func(c *Config) { edit(&c.Service.App.Env) } }
	tag := func(key, value string) func(*Config) {
		return func(c *Config) { c.ResourceTags = map[string]string{key: value} }
	}
	testRules(t, map[string]rule{
		"name with capitals":        {func(c *Config) { c.AppName = "StowRS" }, "AppName", `"StowRS": must be lower case letters, digits and single hyphens, a letter first and no hyphen last`},
		"name with a digit first":   {func(c *Config) { c.AppName = "1stow" }, "AppName", "a letter first"},
		"name with a hyphen last":   {func(c *Config) { c.AppName = "stow-" }, "AppName", "no hyphen last"},
		"name with two hyphens":     {func(c *Config) { c.AppName = "stow--rs" }, "AppName", "single hyphens"},
		"name of 21 characters":     {func(c *Config) { c.AppName = strings.Repeat("a", 21) }, "AppName", "has 21 characters, and 20 are allowed"},
		"name reserved by AWS":      {func(c *Config) { c.AppName = "internal-stow" }, "AppName", "must not begin with internal-"},
		"region that is none":       {func(c *Config) { c.Region = "Frankfurt"; c.Certificate = clientAuth() }, "Region", `"Frankfurt": must be the name of an AWS region`},
		"AuthMode misspelt":         {func(c *Config) { c.Certificate.AuthMode = "anonmyous" }, "Certificate.AuthMode", "\"anonmyous\": is none of its values\n    write Anonymous or ClientAuth"}, //nolint:misspell // as the guide of the older service has it
		"CertificateMode misspelt":  {func(c *Config) { c.Certificate.CertificateMode = "S3" }, "Certificate.CertificateMode", "write ACM or FromS3"},
		"ACM and client certs":      {func(c *Config) { c.Certificate.AuthMode = ClientAuth }, "Certificate.AuthMode", "\"clientauth\": cannot be ClientAuth when CertificateMode is ACM: the network load balancer ends TLS then, and it cannot ask clients for certificates, so everyone would be let in unverified\n    set CertificateMode to FromS3 and put certificate.crt, certificate.key and truststore.crt into the certificate bucket, or set AuthMode to Anonymous"},
		"ARN missing":               {arn(""), "Certificate.CertificateArn", "aws acm list-certificates --region us-east-1"},
		"ARN that is none":          {arn("stow.example.org"), "Certificate.CertificateArn", "is not an ARN\n    it looks like arn:aws:acm:us-east-1:123456789012:certificate/ID"},
		"ARN of IAM":                {arn("arn:aws:iam::123456789012:server-certificate/stow"), "Certificate.CertificateArn", `belongs to the service "iam": the listener takes certificates of ACM`},
		"ARN elsewhere":             {arn(strings.Replace(testArn, "us-east-1", "eu-west-1", 1)), "Certificate.CertificateArn", `is in the region "eu-west-1", and Region is "us-east-1": a load balancer takes certificates of its own region only`},
		"ARN of another partition":  {arn(strings.Replace(testArn, "arn:aws:", "arn:aws-cn:", 1)), "Certificate.CertificateArn", "is not the ARN of a certificate"},
		"ARN with a short account":  {arn(strings.Replace(testArn, "123456789012", "1234", 1)), "Certificate.CertificateArn", "is not the ARN of a certificate"},
		"ARN of a private CA":       {arn(strings.Replace(testArn, "certificate/", "certificate-authority/", 1)), "Certificate.CertificateArn", "is not the ARN of a certificate"},
		"certificate bucket":        {func(c *Config) { c.Certificate = clientAuth(); c.Certificate.CertificateBucket = "" }, "Certificate.CertificateBucket", "must be lower case letters"},
		"one bucket for both":       {func(c *Config) { c.Certificate = clientAuth(); c.Storage.DicomBucket = "stowrstos3-certs" }, "Certificate.CertificateBucket", "must differ from Storage.DicomBucket"},
		"everyone may store":        {peers("198.51.100.0/24", "0.0.0.0/0"), "LoadBalancer.AllowedPeers", "\"0.0.0.0/0\": would let anyone on the internet store"},
		"half of everyone":          {peers("128.0.0.0/1"), "LoadBalancer.AllowedPeers", "would let anyone on the internet store"},
		"nobody may connect":        {peers(), "LoadBalancer.AllowedPeers", "is empty, so nobody could connect"},
		"peer IPv6":                 {peers("2001:db8::/32"), "LoadBalancer.AllowedPeers[0]", "\"2001:db8::/32\": is IPv6, which is refused: the VPC and its load balancer have IPv4 addresses only, so this peer could never connect\n    write the IPv4 CIDR from which it connects"},
		"peer IPv6 address":         {peers("2001:db8::1"), "LoadBalancer.AllowedPeers[0]", "is IPv6, which is refused"},
		"peer mapped into IPv6":     {peers("::ffff:198.51.100.0/120"), "LoadBalancer.AllowedPeers[0]", "is IPv6, which is refused"},
		"peer without mask":         {peers("198.51.100.7"), "LoadBalancer.AllowedPeers[0]", "is an address, and must be a CIDR\n    write 198.51.100.7/32"},
		"peer by name":              {peers("pacs.example.org"), "LoadBalancer.AllowedPeers[0]", "is not an IPv4 CIDR"},
		"peer with host bits":       {peers("198.51.100.7/24"), "LoadBalancer.AllowedPeers[0]", "has bits behind its first 24\n    write 198.51.100.0/24 for the network, or 198.51.100.7/32 for the address"},
		"peer twice":                {peers("198.51.100.7/32", "198.51.100.7/32"), "LoadBalancer.AllowedPeers[1]", "is there twice"},
		"too many peers":            {peers(manyPeers(61)...), "LoadBalancer.AllowedPeers", "has more entries than a security group has rules, 60"},
		"scheme":                    {func(c *Config) { c.LoadBalancer.Scheme = "public" }, "LoadBalancer.Scheme", "write InternetFacing or Internal"},
		"fixed addresses, internal": {func(c *Config) { c.LoadBalancer.Scheme = Internal; c.LoadBalancer.ElasticIPs = twoAddresses() }, "LoadBalancer.ElasticIPs", "are addresses of the internet"},
		"too few fixed addresses":   {func(c *Config) { c.LoadBalancer.ElasticIPs = twoAddresses()[:1] }, "LoadBalancer.ElasticIPs", "must be as many as availability zones, 2"},
		"an address, not its id":    {func(c *Config) { c.LoadBalancer.ElasticIPs = []string{"198.51.100.1", twoAddresses()[0]} }, "LoadBalancer.ElasticIPs[0]", "is not an allocation id"},
		"an address twice":          {func(c *Config) { c.LoadBalancer.ElasticIPs = []string{twoAddresses()[0], twoAddresses()[0]} }, "LoadBalancer.ElasticIPs[1]", "is there twice"},
		"drained too long":          {func(c *Config) { c.LoadBalancer.DrainSeconds = 3601 }, "LoadBalancer.DrainSeconds", "3601: must lie between 0 and 3600 seconds"},
		"drained before":            {func(c *Config) { c.LoadBalancer.DrainSeconds = -1 }, "LoadBalancer.DrainSeconds", "must lie between 0 and 3600 seconds"},

		"everybody's endpoints":  {principals("*"), "LoadBalancer.EndpointService.AllowedPrincipals[0]", "\"*\": is not the ARN of an account, a role or a user\n    write arn:aws:iam::123456789012:root for all of an account"},
		"endpoints of a number":  {principals("210987654321"), "LoadBalancer.EndpointService.AllowedPrincipals[0]", "is not the ARN of an account"},
		"endpoints of all roles": {principals("arn:aws:iam::210987654321:role/*"), "LoadBalancer.EndpointService.AllowedPrincipals[0]", "is not the ARN of an account"},
		"endpoints elsewhere":    {principals("arn:aws-cn:iam::210987654321:root"), "LoadBalancer.EndpointService.AllowedPrincipals[0]", "write arn:aws:iam"},
		"endpoints of one twice": {principals("arn:aws:iam::210987654321:root", "arn:aws:iam::210987654321:root"), "LoadBalancer.EndpointService.AllowedPrincipals[1]", "is there twice"},

		"VPC that is none":       {vpc("10.0.0.0"), "Network.VpcCIDR", "is not an IPv4 CIDR"},
		"VPC IPv6":               {vpc("fd00::/64"), "Network.VpcCIDR", "is not an IPv4 CIDR"},
		"VPC with host bits":     {vpc("10.0.0.1/16"), "Network.VpcCIDR", "has bits behind its first 16\n    write 10.0.0.0/16"},
		"VPC too large":          {vpc("10.0.0.0/8"), "Network.VpcCIDR", "is a /8, and AWS allows /16 to /28"},
		"VPC smaller than any":   {vpc("10.0.0.0/29"), "Network.VpcCIDR", "is a /29, and AWS allows /16 to /28"},
		"VPC public":             {vpc("8.8.0.0/16"), "Network.VpcCIDR", "is not private"},
		"VPC behind 172.16/12":   {vpc("172.32.0.0/16"), "Network.VpcCIDR", "(RFC 1918)"},
		"VPC too small":          {vpc("10.0.0.0/26"), "Network.VpcCIDR", "\"10.0.0.0/26\": is too small: 2 zones make 4 subnets of /28, and 4 tasks need /27 or larger\n    make it a /25 or larger, or lower Service.MaxTaskCount"},
		"VPC too small for many": {func(c *Config) { c.Network.VpcCIDR = "10.0.0.0/24"; c.Service.MaxTaskCount = 100 }, "Network.VpcCIDR", "make it a /23 or larger"},
		"four zones":             {zones("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"), "Network.AvailabilityZones", "has 4 zones, and 3 are allowed"},
		"zone of another region": {zones("us-east-1a", "us-west-2b"), "Network.AvailabilityZones[1]", "is not an availability zone of us-east-1\n    write names such as us-east-1a"},
		"local zone":             {zones("us-east-1a", "us-east-1-bos-1a"), "Network.AvailabilityZones[1]", "is not an availability zone"},
		"zone twice":             {zones("us-east-1a", "us-east-1a"), "Network.AvailabilityZones[1]", "is there twice"},
		"egress":                 {func(c *Config) { c.Network.Egress = "internet" }, "Network.Egress", "write Endpoints, NAT or Existing"},

		"prefix with capitals":    {func(c *Config) { c.Storage.DicomBucket = "DICOM" }, "Storage.DicomBucket", "must be lower case letters, digits, dots and hyphens"},
		"prefix with two dots":    {func(c *Config) { c.Storage.DicomBucket = "a..b" }, "Storage.DicomBucket", "on both sides of a dot"},
		"prefix with hyphen last": {func(c *Config) { c.Storage.DicomBucket = "dicom-" }, "Storage.DicomBucket", "first, last"},
		"prefix of 51":            {func(c *Config) { c.Storage.DicomBucket = strings.Repeat("d", 51) }, "Storage.DicomBucket", "has 51 characters, and 50 are allowed"},
		"prefix reserved":         {func(c *Config) { c.Storage.DicomBucket = "xn--dicom" }, "Storage.DicomBucket", "S3 reserves"},
		"existing with a folder":  {func(c *Config) { c.Storage.ExistingDicomBucket = "images/in" }, "Storage.ExistingDicomBucket", "is not the name of a bucket"},
		"existing like an IP":     {func(c *Config) { c.Storage.ExistingDicomBucket = "192.0.2.1" }, "Storage.ExistingDicomBucket", "is not the name of a bucket"},
		"existing to be locked":   {func(c *Config) { c.Storage.ExistingDicomBucket = "images"; c.Storage.ObjectLockDays = 1 }, "Storage.ObjectLockDays", "ExistingDicomBucket keeps its own"},
		"existing to be cleaned":  {func(c *Config) { c.Storage.ExistingDicomBucket = "images"; c.Storage.NoncurrentVersionDays = 1 }, "Storage.NoncurrentVersionDays", "ExistingDicomBucket keeps its own"},
		"encryption":              {func(c *Config) { c.Storage.Encryption = "none" }, "Storage.Encryption", "write S3Managed or KMS"},
		"retention":               {func(c *Config) { c.Storage.Retention = "" }, "Storage.Retention", "write Retain or Destroy"},
		"locked before":           {func(c *Config) { c.Storage.ObjectLockDays = -1 }, "Storage.ObjectLockDays", "must lie between 0 and 36500 days"},
		"old versions for ages":   {func(c *Config) { c.Storage.NoncurrentVersionDays = 36501 }, "Storage.NoncurrentVersionDays", "must lie between 0 and 36500 days"},
		"locked and destroyed":    {func(c *Config) { c.Storage.ObjectLockDays = 1; c.Storage.Retention = Destroy }, "Storage.ObjectLockDays", "with Retention Destroy"},
		"log retention":           {func(c *Config) { c.Observability.LogRetentionDays = 2190 }, "Observability.LogRetentionDays", "write one of 1 3 5 7 14 30"},
		"address":                 {func(c *Config) { c.Observability.AlarmEmail = "Imaging <imaging@example.org>" }, "Observability.AlarmEmail", "is not an email address"},
		"tag reserved":            {tag("AWS:x", "y"), `ResourceTags["AWS:x"]`, "begins with aws:"},
		"tag of the stack":        {tag("deployment", "y"), `ResourceTags["deployment"]`, "the stack sets itself"},
		"tag without key":         {tag("", "y"), `ResourceTags[""]`, "has a key that AWS refuses"},
		"tag with a bad value":    {tag("x", "a;b"), `ResourceTags["x"]`, "has a value that AWS refuses"},
		"too many tags":           {func(c *Config) { c.ResourceTags = manyTags(41) }, "ResourceTags", "has more than 40 tags"},

		"CPU":                          {func(c *Config) { c.Service.CPU = 3000 }, "Service.CPU", "write 256, 512, 1024, 2048, 4096, 8192 or 16384"},
		"memory too low":               {func(c *Config) { c.Service.Memory = 3072; c.Service.App.Memory = 2048 }, "Service.Memory", "3072: is no size that Fargate has with CPU 2048\n    write 4096 to 16384 in steps of 1024, or change CPU"},
		"memory off the step":          {func(c *Config) { c.Service.Memory = 6000 }, "Service.Memory", "is no size that Fargate has"},
		"no task":                      {func(c *Config) { c.Service.TaskCount = 0 }, "Service.TaskCount", "must lie between 1 and 250"},
		"fewer at most":                {func(c *Config) { c.Service.TaskCount = 5 }, "Service.MaxTaskCount", "must lie between TaskCount (5) and 250"},
		"more than can be":             {func(c *Config) { c.Service.MaxTaskCount = 251 }, "Service.MaxTaskCount", "must lie between TaskCount (1) and 250"},
		"two tasks, one zone":          {func(c *Config) { c.Service.TaskCount = 2; c.Network.AvailabilityZones = []string{"us-east-1a"} }, "Service.TaskCount", "needs two availability zones"},
		"architecture":                 {func(c *Config) { c.Service.CPUArchitecture = "RISCV" }, "Service.CPUArchitecture", "write ARM64 or X86_64"},
		"nginx without memory":         {func(c *Config) { c.Service.Nginx.Memory = 0 }, "Service.Nginx.Memory", "must be at least 128 MiB"},
		"app without CPU":              {func(c *Config) { c.Service.App.CPU = 0 }, "Service.App.CPU", "must be at least 128 units"},
		"containers too large":         {func(c *Config) { c.Service.App.Memory = 4097 }, "Service.App.Memory", "4097: and that of nginx (1024) make 5121 MiB, more than Service.Memory (4096)"},
		"containers too many to count": {func(c *Config) { c.Service.Nginx.CPU = math.MaxInt }, "Service.App.CPU", "more than Service.CPU (2048)"},
		"containers too fast":          {func(c *Config) { c.Service.Nginx.CPU = 1025 }, "Service.App.CPU", "make 2049 units, more than Service.CPU (2048)"},
		"image by tag":                 {func(c *Config) { c.Service.App.Image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stowrs:1" }, "Service.App.Image", "with its digest"},
		"image elsewhere": {func(c *Config) {
			c.Service.Nginx.Image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/certsync@sha256:" + strings.Repeat("0", 64)
		}, "Service.Nginx.Image", "in us-east-1"},
		"folder":               {func(c *Config) { c.Service.Nginx.SourceDirectory = "../nowhere" }, "Service.Nginx.SourceDirectory", "is not a folder: "},
		"no folder":            {func(c *Config) { c.Service.App.SourceDirectory = "" }, "Service.App.SourceDirectory", "is not a folder"},
		"folder without image": {func(c *Config) { c.Service.App.SourceDirectory = "." }, "Service.App.SourceDirectory", "has no Dockerfile"},

		"delay over TLS":        {env(func(e *AppEnv) { e.ResponseDelay = 350 * time.Second }), "Service.App.Env.ResponseDelay", "5m50s: must be 0 or more and below 350 seconds, after which a TLS listener (CertificateMode ACM) of the load balancer cuts a silent connection"},
		"delay over TCP":        {func(c *Config) { c.Certificate = clientAuth(); c.Service.App.Env.ResponseDelay = time.Hour }, "Service.App.Env.ResponseDelay", "below 3600 seconds, after which a TCP listener (CertificateMode FromS3)"},
		"budget over the limit": {env(func(e *AppEnv) { e.MemoryBudget = 2817 * MiB }), "Service.App.Env.MemoryBudget", "2817MiB: and the 256MiB that the app needs besides it are more than Service.App.Memory (3072 MiB), so the container would be killed"},
		"stopped too late":      {env(func(e *AppEnv) { e.StopTimeout = 113 * time.Second }), "Service.App.Env.StopTimeout", "at most 112 s: Fargate kills after 120 s"},
		"boundary":              {func(c *Config) { c.PermissionsBoundary = "boundary" }, "PermissionsBoundary", "arn:aws:iam::123456789012:policy/NAME"},
		"boundary, a role":      {func(c *Config) { c.PermissionsBoundary = "arn:aws:iam::123456789012:role/x" }, "PermissionsBoundary", "is not the ARN of an IAM policy"},
		"topic elsewhere":       {topic("arn:aws:sns:eu-west-1:123456789012:imaging", ""), "Observability.AlarmTopic", "is not the ARN of a topic in us-east-1"},
		"topic and address":     {topic("arn:aws:sns:us-east-1:123456789012:imaging", "imaging@example.org"), "Observability.AlarmTopic", "delete one of the two"},
		"prefix list misspelt":  {peers("pl-xyz"), "LoadBalancer.AllowedPeers[0]", "or the id of a prefix list"},
		"to no class":           {move(Transition{1, "COLD"}), "Storage.Transitions[0].StorageClass", "write one of STANDARD_IA INTELLIGENT_TIERING"},
		"back to a dearer one":  {move(Transition{1, "GLACIER"}, Transition{400, "STANDARD_IA"}), "Storage.Transitions[1].StorageClass", "none to which S3 moves objects from GLACIER"},
		"from one zone":         {move(Transition{30, "ONEZONE_IA"}, Transition{90, "GLACIER_IR"}), "Storage.Transitions[1].StorageClass", "not from ONEZONE_IA to GLACIER_IR"},
		"before it is there":    {move(Transition{-1, "GLACIER"}), "Storage.Transitions[0].AfterDays", "must lie between 0"},
		"moved too early":       {move(Transition{29, "STANDARD_IA"}), "Storage.Transitions[0].AfterDays", "between 30 and 36500 days: S3 moves nothing there that is younger"},
		"moved on too early":    {move(Transition{30, "STANDARD_IA"}, Transition{59, "GLACIER"}), "Storage.Transitions[1].AfterDays", "between 60 and 36500 days: S3 charges for 30 days in STANDARD_IA"},
		"moved both at once":    {move(Transition{90, "GLACIER"}, Transition{90, "DEEP_ARCHIVE"}), "Storage.Transitions[1].AfterDays", "between 91 and 36500 days: ages rise"},
		"existing to be moved":  {func(c *Config) { c.Storage.ExistingDicomBucket = "images"; move(Transition{1, "GLACIER"})(c) }, "Storage.Transitions", "ExistingDicomBucket keeps its own"},
		"account":               {func(c *Config) { c.Account = "1234" }, "Account", "is no account: 12 digits"},
		"no region":             {func(c *Config) { c.Region = ""; c.Certificate.CertificateMode = FromS3 }, "Region", "aws configure set region"},
		"policy of old TLS":     {func(c *Config) { c.LoadBalancer.TLSPolicy = "ELBSecurityPolicy-2016-08" }, "LoadBalancer.TLSPolicy", "TLS 1.2 or 1.3"},
		"key of another region": {func(c *Config) {
			c.Storage.ExistingDicomBucket = "archive"
			c.Storage.ExistingDicomKey = "arn:aws:kms:eu-west-1:123456789012:key/0"
		}, "Storage.ExistingDicomKey", "is not the ARN of a key in us-east-1"},
		"clients, anonymous": {func(c *Config) { c.Service.Nginx.Env.AllowedClients = []string{"CN=a"} }, "Service.Nginx.Env.AllowedClients", "needs AuthMode ClientAuth"},
		"client that is none": {func(c *Config) {
			c.Certificate = clientAuth()
			c.Service.Nginx.Env.AllowedClients = []string{"modality-1"}
		}, "Service.Nginx.Env.AllowedClients[0]", "write a subject such as"},
		"lists, anonymous":       {func(c *Config) { c.Service.Nginx.Env.RequireCRL = true }, "Service.Nginx.Env.RequireCRL", "nothing to revoke"},
		"body below zero":        {func(c *Config) { c.Service.Nginx.Env.ClientMaxBodySize = -1 }, "Service.Nginx.Env.ClientMaxBodySize", "0 or more"},
		"connections":            {func(c *Config) { c.Service.Nginx.Env.ConnectionsPerAddress = 70000 }, "Service.Nginx.Env.ConnectionsPerAddress", "65535"},
		"looked at all the time": {func(c *Config) { c.Service.Nginx.Env.CertRefresh = 0 }, "Service.Nginx.Env.CertRefresh", "a second or more"},
		"no end of old requests": {func(c *Config) { c.Service.Nginx.Env.WorkerShutdownTimeout = 0 }, "Service.Nginx.Env.WorkerShutdownTimeout", "a second or more"},
		"no revision":            {func(c *Config) { c.Service.ImageRevision = "" }, "Service.ImageRevision", "when the images are to be built anew"},
		"version twice":          {func(c *Config) { c.Service.BuildArgs = map[string]string{"VERSION": "2"} }, `Service.BuildArgs["VERSION"]`, "ImageRevision"},
		"key by id":              {env(func(e *AppEnv) { e.KMSKeyID = "alias/dicom" }), "Service.App.Env.KMSKeyID", "is not the ARN of a key in us-east-1"},
		"key elsewhere":          {env(func(e *AppEnv) { e.KMSKeyID = "arn:aws:kms:eu-west-1:123456789012:key/0" }), "Service.App.Env.KMSKeyID", "is not the ARN of a key in us-east-1"},
		"class of another store": {env(func(e *AppEnv) { e.StorageClass = "EXPRESS_ONEZONE" }), "Service.App.Env.StorageClass", "write one of STANDARD STANDARD_IA"},
	})
}

// rule is an edit that breaks one rule of one field, and nothing else.
type rule struct {
	edit  func(*Config)
	field string
	want  string // value, rule and what to do
}

func testRules(t *testing.T, rules map[string]rule) {
	t.Helper()
	for name, row := range rules {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			row.edit(&c)
			wantViolation(t, c, row.field, row.want)
		})
	}
}

func twoAddresses() []string {
	return []string{"eipalloc-0123456789abcdef0", "eipalloc-0123456789abcdef1"}
}

func manyPeers(n int) []string {
	var peers []string
	for i := range n {
		peers = append(peers, "198.51.100."+strconv.Itoa(i)+"/32")
	}
	return peers
}

func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags["tag"+strconv.Itoa(i)] = ""
	}
	return tags
}

// The pairs of the documentation's table: their number, and the smallest and largest ones.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
func TestFargateSizes(t *testing.T) {
	want := map[int]struct{ pairs, least, most int }{
		256: {3, 512, 2048}, 512: {4, 1024, 4096}, 1024: {7, 2048, 8192}, 2048: {13, 4096, 16384}, 4096: {23, 8192, 30720},
		8192: {12, 16384, 61440}, 16384: {12, 32768, 122880},
	}
	for _, size := range fargateSizes() {
		var pairs []int
		for memory := range 200_000 {
			if size.has(memory) {
				pairs = append(pairs, memory)
			}
		}
		w := want[size.cpu]
		if len(pairs) != w.pairs || pairs[0] != w.least || pairs[len(pairs)-1] != w.most {
			t.Errorf("CPU %d: got %d pairs %v, want %d from %d to %d", size.cpu, len(pairs), pairs, w.pairs, w.least, w.most)
		}
	}
	if fargateSizes()[0].has(1536) {
		t.Error("256 units have no 1536 MiB")
	}
}

// The folders do not depend on whether the CLI runs in infra or in the folder above.
func TestFolder(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "infra"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "infra", "config.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for directory, want := range map[string]string{root: "app", filepath.Join(root, "infra"): "../app"} {
		t.Chdir(directory)
		if got := Folder("../app"); got != want {
			t.Errorf("in %s: got %s, want %s", filepath.Base(directory), got, want)
		}
		if got := Folder("/srv/app"); got != "/srv/app" {
			t.Errorf("an absolute path became %s", got)
		}
	}
}

func TestRegionFacts(t *testing.T) {
	for region, want := range map[string]struct {
		partition string
		endpoints bool
	}{
		"us-east-1": {"aws", false}, "eu-central-1": {"aws", false}, "ca-west-1": {"aws", true}, "cn-northwest-1": {"aws-cn", false},
		"us-gov-east-1": {"aws-us-gov", false}, "eusc-de-east-1": {"aws-eusc", true},
	} {
		if got := Partition(region); got != want.partition {
			t.Errorf("%s: got partition %s, want %s", region, got, want.partition)
		}
		if got := NeedsECSEndpoints(region); got != want.endpoints {
			t.Errorf("%s: got ECS endpoints %v, want %v", region, got, want.endpoints)
		}
	}
}

func TestSubnets(t *testing.T) {
	for _, row := range []struct {
		cidr  string
		zones []string
		want  int
	}{
		{"10.0.0.0/16", nil, 18}, {"10.0.0.0/16", []string{"a"}, 17}, {"10.0.0.0/16", []string{"a", "b", "c"}, 19}, {"192.168.0.0/25", nil, 27},
	} {
		if got := (NetworkConfig{VpcCIDR: row.cidr, AvailabilityZones: row.zones}).SubnetBits(); got != row.want {
			t.Errorf("%s in %d zones: got subnets of /%d, want /%d", row.cidr, len(row.zones), got, row.want)
		}
	}
}
