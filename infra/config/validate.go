package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Concern is something that can be deployed, but is risky.
type Concern struct {
	ID   string // the same for the same concern, so that it can be acknowledged
	Text string
}

// Violation is one field with a value that cannot be deployed.
type Violation struct {
	Field string // path from Config, such as Certificate.CertificateArn
	Value string // as Go writes it
	Rule  string // what it must be, and why
	Do    string // what to write instead, or where to find it
}

// Violations are all fields that cannot be deployed, as an error.
type Violations []Violation

// Error has a line for each field and its rule, and one for what to do.
func (v Violations) Error() string {
	text := "this configuration cannot be deployed:"
	for _, violation := range v {
		text += "\n  " + violation.Error()
	}
	return text
}

// Error returns the violation in two lines: the field and its rule, and what to do.
func (v Violation) Error() string {
	return fmt.Sprintf("%s = %s: %s\n    %s", v.Field, v.Value, v.Rule, v.Do)
}

// Validate checks the whole configuration before a resource is described, and returns all violations at once, in the
// order of the table in docs/aws.md. Warnings concern configurations that can be deployed, but are risky.
// It reads nothing but the folders of the images.
func Validate(c Config) (warnings []Concern, violations Violations) {
	var v validation
	v.naming(c)
	v.certificate(c)
	v.loadBalancer(c)
	v.domain(c)
	v.endpointService(c)
	v.network(c)
	v.storage(c)
	v.service(c)
	v.containers(c)
	v.nginxEnv(c)
	v.env(c)
	v.envSizes(c)
	v.observability(c)
	v.audit(c)
	v.tags(c.ResourceTags)
	return warn(c), v.violations
}

// validation collects violations.
type validation struct{ violations Violations }

// rule reports whether ok is true, and collects a violation if it is not.
func (v *validation) rule(ok bool, field string, value any, rule, do string) bool {
	if !ok {
		text := fmt.Sprintf("%#v", value)
		if readable, is := value.(fmt.Stringer); is { // sizes and durations
			text = readable.String()
		}
		v.violations = append(v.violations, Violation{Field: field, Value: text, Rule: rule, Do: do})
	}
	return ok
}

// oneOf checks an enumeration; names are the Go constants of its values.
func oneOf[T ~string](v *validation, field string, value T, values []T, names string) bool {
	return v.rule(slices.Contains(values, value), field, string(value), "is none of its values", "write "+names)
}

// everyone returns an entry of AllowedPeers that admits more than a private network (10.0.0.0/8 at the largest) without a
// certificate, and whom it admits; empty if there is none.
func (c Config) everyone() (peer, who string) {
	if c.Certificate.AuthMode != Anonymous {
		return "", ""
	}
	for _, peer := range c.LoadBalancer.AllowedPeers {
		prefix, err := netip.ParsePrefix(peer)
		switch {
		case err != nil || prefix.Bits() >= 8:
		case c.LoadBalancer.Scheme == Internal:
			return peer, "anyone in the VPC and the networks joined to it"
		default:
			return peer, "anyone on the internet"
		}
	}
	return "", ""
}

// warn lists configurations that can be deployed but put data at risk.
func warn(c Config) []Concern {
	var warnings []Concern
	add := func(id, format string, values ...any) {
		warnings = append(warnings, Concern{ID: "stowrs:" + id, Text: fmt.Sprintf(format, values...)})
	}
	if peer, who := c.everyone(); who != "" && c.LoadBalancer.AllowEveryone {
		add("everyone", "THE ARCHIVE IS WRITABLE BY THE WORLD: AuthMode is Anonymous and LoadBalancer.AllowedPeers has %s, "+
			"so %s can store into it, without a certificate. AllowEveryone says that this is meant.", peer, who)
	}
	if c.Storage.Retention == Destroy {
		add("destroy", "Storage.Retention is Destroy: destroying the stack deletes its empty buckets, keys and logs for good, but for the buckets of access logs and of the trail. Use Retain for anything but a trial.")
	} else if !c.Protection {
		add("unprotected", "Protection is off: one command deletes the load balancer and the stack. Once the first deployment has succeeded, set it to true and deploy again.")
	}
	if zones := fargateZones()[c.Region]; zones != "" && len(c.Network.AvailabilityZones) == 0 {
		add("zones", "Not every zone of %[1]s can have the tasks or the endpoints: %[2]s. Network.AvailabilityZones should name two that can; "+
			"`aws ec2 describe-availability-zones --region %[1]s --query 'AvailabilityZones[].[ZoneName,ZoneId]' --output text` says which yours are.", c.Region, zones)
	}
	return warnings
}

// Names begin with AppName: a load balancer's may have 32 characters, and not begin with internal-.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
var (
	appName    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`)
)

const appNameMax = 20

func (v *validation) naming(c Config) {
	v.rule(appName.MatchString(c.AppName), "AppName", c.AppName, "must be lower case letters, digits and single hyphens, a letter first and no hyphen last",
		"write a name such as stowrs-to-s3")
	v.rule(len(c.AppName) <= appNameMax, "AppName", c.AppName, fmt.Sprintf("has %d characters, and %d are allowed: it begins the names of all resources", len(c.AppName), appNameMax),
		"shorten it")
	v.rule(!strings.HasPrefix(c.AppName, "internal-"), "AppName", c.AppName, "must not begin with internal-, which AWS reserves in names of load balancers", "choose another beginning")
	if v.rule(c.Region != "", "Region", c.Region, "is empty: the AWS profile has no region, so that CDK_DEFAULT_REGION is not set",
		"write one such as eu-central-1, or give the profile one: aws configure set region eu-central-1") {
		v.rule(regionName.MatchString(c.Region), "Region", c.Region, "must be the name of an AWS region",
			"write one such as eu-central-1, or defaultRegion() for that of the AWS profile")
	}
	v.rule(c.PermissionsBoundary == "" || policyArn.MatchString(c.PermissionsBoundary) && strings.HasPrefix(c.PermissionsBoundary, "arn:"+Partition(c.Region)+":"), "PermissionsBoundary", c.PermissionsBoundary,
		"is not the ARN of an IAM policy", fmt.Sprintf("write arn:%s:iam::123456789012:policy/NAME, from `aws iam list-policies --scope Local`, or nothing", Partition(c.Region)))
	v.rule(c.Account == "" || account.MatchString(c.Account), "Account", c.Account, "is no account: 12 digits", "copy it from `aws sts get-caller-identity`, or write nothing for that of the credentials")
}

func (v *validation) certificate(c Config) {
	const field = "Certificate."
	cert := c.Certificate
	oneOf(v, field+"AuthMode", cert.AuthMode, []AuthMode{Anonymous, ClientAuth}, "Anonymous or ClientAuth")
	if !oneOf(v, field+"CertificateMode", cert.CertificateMode, []CertificateMode{ACM, FromS3}, "ACM or FromS3") {
		return
	}
	if cert.CertificateMode == FromS3 {
		v.bucketPrefix(field+"CertificateBucket", cert.CertificateBucket)
		v.rule(c.Storage.ExistingDicomBucket != "" || cert.CertificateBucket != c.Storage.DicomBucket, field+"CertificateBucket", cert.CertificateBucket,
			"must differ from Storage.DicomBucket: private keys and images are kept apart", "choose another prefix")
		return
	}
	v.rule(cert.AuthMode != ClientAuth, field+"AuthMode", cert.AuthMode,
		"cannot be ClientAuth when CertificateMode is ACM: the network load balancer ends TLS then, and it cannot ask clients for certificates, so everyone would be let in unverified",
		"set CertificateMode to FromS3 and put certificate.crt, certificate.key and truststore.crt into the certificate bucket, or set AuthMode to Anonymous")
	if !c.requestsCertificate() {
		v.certificateArn(field+"CertificateArn", cert.CertificateArn, c.Region)
	}
}

// policyArn is that of a policy of the account, or of AWS.
var policyArn = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+$`)

var (
	account       = regexp.MustCompile(`^[0-9]{12}$`)
	certificateID = regexp.MustCompile(`^certificate/[0-9a-zA-Z-]+$`)
)

// certificateArn reports the first rule that is broken.
func (v *validation) certificateArn(field, arn, region string) {
	shape := fmt.Sprintf("arn:%s:acm:%s:123456789012:certificate/ID", Partition(region), region)
	find := fmt.Sprintf("copy it from the ACM console, https://%s.console.aws.amazon.com/acm/home?region=%[1]s#/certificates/list, or from\n"+
		"    aws acm list-certificates --region %[1]s --query 'CertificateSummaryList[].[DomainName,CertificateArn]' --output table\n"+
		"    If there is none yet, request one for your domain name:\n"+
		"    aws acm request-certificate --region %[1]s --validation-method DNS --domain-name stow.example.org\n"+
		"    With LoadBalancer.DomainName and HostedZone, a zone in Route 53, the stack requests one itself.", region)
	if !v.rule(arn != "", field, arn, "is required when CertificateMode is ACM: the ARN of the certificate in ACM that clients will see", find) {
		return
	}
	parts := strings.SplitN(arn, ":", 6)
	if !v.rule(len(parts) == 6 && parts[0] == "arn", field, arn, "is not an ARN", "it looks like "+shape+":\n    "+find) {
		return
	}
	switch {
	case parts[2] != "acm":
		v.rule(false, field, arn, fmt.Sprintf("belongs to the service %q: the listener takes certificates of ACM", parts[2]), "import it into ACM, and\n    "+find)
	case parts[3] != region:
		v.rule(false, field, arn, fmt.Sprintf("is in the region %q, and Region is %q: a load balancer takes certificates of its own region only", parts[3], region),
			"request or import the certificate in "+region+", or change Region;\n    "+find)
	default:
		v.rule(parts[1] == Partition(region) && account.MatchString(parts[4]) && certificateID.MatchString(parts[5]), field, arn,
			"is not the ARN of a certificate", "it looks like "+shape+":\n    "+find)
	}
}
