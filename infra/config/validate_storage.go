package config

import (
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
)

// bucketPrefixMax leaves 13 of the 63 characters of a bucket's name for a hyphen and 12 random ones.
const bucketPrefixMax = 50

// bucketName is S3's rule: labels of lower case letters, digits and hyphens, separated by single dots.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	bucketName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	likeIPAddress = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// reserved reports whether S3 keeps names with this beginning for itself.
func reserved(name string) bool {
	return slices.ContainsFunc([]string{"xn--", "sthree-", "amzn-s3-demo-"}, func(s string) bool { return strings.HasPrefix(name, s) })
}

func (v *validation) bucketPrefix(field, prefix string) {
	v.rule(bucketName.MatchString(prefix), field, prefix, "must be lower case letters, digits, dots and hyphens, with letters or digits first, last and on both sides of a dot",
		"write a prefix such as hospital-dicom")
	v.rule(len(prefix) <= bucketPrefixMax, field, prefix, fmt.Sprintf("has %d characters, and %d are allowed: a hyphen and 12 random ones follow it, within the 63 of S3", len(prefix), bucketPrefixMax),
		"shorten it")
	v.rule(!reserved(prefix), field, prefix, "begins with letters that S3 reserves", "choose another beginning")
}

func (v *validation) storage(c Config) {
	const field = "Storage."
	s := c.Storage
	v.kmsKey(field+"ExistingDicomKey", s.ExistingDicomKey, c.Region)
	if s.ExistingDicomBucket == "" {
		v.bucketPrefix(field+"DicomBucket", s.DicomBucket)
		v.rule(s.ExistingDicomKey == "" || s.Encryption == KMS, field+"ExistingDicomKey", s.ExistingDicomKey, "encrypts ExistingDicomBucket, which there is none of, or a new bucket with Encryption KMS",
			"set Encryption to KMS, or delete it")
	} else {
		v.existingBucket(s)
	}
	v.kmsKey(field+"ExistingCertificateKey", s.ExistingCertificateKey, c.Region)
	v.kmsKey(field+"ExistingRecordsKey", s.ExistingRecordsKey, c.Region)
	v.rule(s.ExistingRecordsKey == "" || s.ExistingRecordsKey != s.ExistingDicomKey, field+"ExistingRecordsKey", s.ExistingRecordsKey,
		"is ExistingDicomKey as well: whoever may read logs could decrypt images", "write another key, or nothing: the stack makes one")
	v.rule(s.ExistingCertificateKey == "" || s.ExistingCertificateKey != s.ExistingDicomKey && s.ExistingCertificateKey != s.ExistingRecordsKey, field+"ExistingCertificateKey", s.ExistingCertificateKey,
		"is the key of images or of logs as well: private keys, images and logs are kept apart", "write another key, or nothing: the stack makes one")
	if s.ExistingLogBucket != "" {
		v.bucketName(field+"ExistingLogBucket", s.ExistingLogBucket)
		v.rule(s.ExistingLogBucket != s.ExistingDicomBucket, field+"ExistingLogBucket", s.ExistingLogBucket, "is ExistingDicomBucket as well: logs of a bucket that are put into it log themselves",
			"write a bucket for logs alone, or nothing: the stack makes one")
	}
	oneOf(v, field+"Encryption", s.Encryption, []Encryption{S3Managed, KMS}, "S3Managed or KMS")
	oneOf(v, field+"Retention", s.Retention, []Retention{Retain, Destroy}, "Retain or Destroy")
	days := func(name string, value int) {
		v.rule(value >= 0 && value <= 36500, field+name, value, "must lie between 0 and 36500 days", "write 0 to leave it off")
	}
	days("ObjectLockDays", s.ObjectLockDays)
	days("NoncurrentVersionDays", s.NoncurrentVersionDays)
	v.transitions(s.Transitions)
	v.rule(s.ObjectLockDays <= 0 || s.Retention != Destroy, field+"ObjectLockDays", s.ObjectLockDays, "locks objects, and with Retention Destroy the bucket is to be deleted with the stack",
		"set Retention to Retain, or ObjectLockDays to 0")
}

// transitionClasses are those to which a lifecycle rule can move an object, from those of lower steps only.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
func transitionClasses() map[string]int {
	return map[string]int{"STANDARD_IA": 1, "INTELLIGENT_TIERING": 2, "ONEZONE_IA": 3, "GLACIER_IR": 3, "GLACIER": 4, "DEEP_ARCHIVE": 5}
}

func (v *validation) transitions(list []Transition) {
	const (
		classes = "STANDARD_IA INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE"
		iaDays  = 30 // an object's first days are not for STANDARD_IA and ONEZONE_IA, and S3 charges for as many there
	)
	step, infrequent, before := transitionClasses(), func(class string) bool { return strings.HasSuffix(class, "_IA") }, Transition{AfterDays: -1}
	for i, t := range list {
		path := fmt.Sprintf("Storage.Transitions[%d].", i)
		if v.rule(step[t.StorageClass] > 0, path+"StorageClass", t.StorageClass, "is no storage class to which S3 moves objects", "write one of "+classes) {
			v.rule(step[t.StorageClass] > step[before.StorageClass], path+"StorageClass", t.StorageClass, "is none to which S3 moves objects from "+before.StorageClass,
				"keep to the order "+classes+", and not from ONEZONE_IA to GLACIER_IR")
		}
		least, why := before.AfterDays+1, "ages rise from one to the next"
		if infrequent(before.StorageClass) {
			least, why = before.AfterDays+iaDays, "S3 charges for 30 days in "+before.StorageClass
		} else if infrequent(t.StorageClass) && least < iaDays {
			least, why = iaDays, "S3 moves nothing there that is younger"
		}
		v.rule(t.AfterDays >= least && t.AfterDays <= 36500, path+"AfterDays", t.AfterDays, fmt.Sprintf("must lie between %d and 36500 days: %s", least, why), "write another number")
		before = t
	}
}

// bucketName checks the whole name of an existing bucket.
func (v *validation) bucketName(field, name string) {
	v.rule(bucketName.MatchString(name) && !likeIPAddress.MatchString(name) && len(name) >= 3 && len(name) <= 63, field, name,
		"is not the name of a bucket: 3 to 63 lower case letters, digits, dots and hyphens", "copy it from `aws s3 ls`, without s3:// and folders")
}

// existingBucket checks the name of an existing bucket, and that no field requires something that only a new bucket can have.
func (v *validation) existingBucket(s StorageConfig) {
	const field = "Storage."
	v.bucketName(field+"ExistingDicomBucket", s.ExistingDicomBucket)
	const untouched = "is a setting of a new bucket, and ExistingDicomBucket keeps its own"
	v.rule(s.ObjectLockDays == 0, field+"ObjectLockDays", s.ObjectLockDays, untouched, "set it to 0, and lock the bucket itself")
	v.rule(s.NoncurrentVersionDays == 0, field+"NoncurrentVersionDays", s.NoncurrentVersionDays, untouched, "set it to 0, and give the bucket a lifecycle rule itself")
	v.rule(len(s.Transitions) == 0, field+"Transitions", s.Transitions, untouched, "delete them, and give the bucket a lifecycle rule itself")
}

// logRetentionDays are the periods that CloudWatch Logs allows.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func logRetentionDays() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (v *validation) observability(c Config) {
	const field = "Observability."
	o := c.Observability
	v.rule(slices.Contains(logRetentionDays(), o.LogRetentionDays), field+"LogRetentionDays", o.LogRetentionDays, "is no period that CloudWatch Logs knows",
		"write one of "+strings.Trim(fmt.Sprint(logRetentionDays()), "[]"))
	address, err := mail.ParseAddress(o.AlarmEmail)
	v.rule(o.AlarmEmail == "" || err == nil && address.Address == o.AlarmEmail, field+"AlarmEmail", o.AlarmEmail, "is not an email address",
		"write one such as imaging@example.org, or nothing")
	if o.AlarmTopic == "" {
		return
	}
	parts := strings.SplitN(o.AlarmTopic, ":", 6)
	v.rule(len(parts) == 6 && parts[0] == "arn" && parts[1] == Partition(c.Region) && parts[2] == "sns" && parts[3] == c.Region && account.MatchString(parts[4]) && topicName.MatchString(parts[5]),
		field+"AlarmTopic", o.AlarmTopic, "is not the ARN of a topic in "+c.Region, fmt.Sprintf("write arn:%s:sns:%s:123456789012:NAME, from `aws sns list-topics --region %[2]s`", Partition(c.Region), c.Region))
	v.rule(o.AlarmEmail == "", field+"AlarmTopic", o.AlarmTopic, "is told instead of an address, and AlarmEmail has one", "delete one of the two: the topic may have the address as a subscriber")
}

// Limits of tags; `deployment` and those of CDK need some of the 50 that a resource may have.
// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
const maxTags = 40

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func (v *validation) tags(tags map[string]string) {
	const field = "ResourceTags"
	v.rule(len(tags) <= maxTags, field, len(tags), fmt.Sprintf("has more than %d tags", maxTags), "delete some")
	keys := make([]string, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		path, value := fmt.Sprintf("%s[%q]", field, key), tags[key]
		v.rule(key != "" && len([]rune(key)) <= 128 && tagText.MatchString(key), path, value, "has a key that AWS refuses: 1 to 128 letters, digits, spaces and _ . : / = + - @", "change the key")
		v.rule(len([]rune(value)) <= 256 && tagText.MatchString(value), path, value, "has a value that AWS refuses: up to 256 letters, digits, spaces and _ . : / = + - @", "change the value")
		v.rule(!strings.HasPrefix(strings.ToLower(key), "aws:"), path, value, "has a key that begins with aws:, which is reserved", "change the key")
		v.rule(key != "deployment", path, value, "is the tag that the stack sets itself, to AppName", "choose another key")
	}
}
