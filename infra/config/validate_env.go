package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Idle times after which the load balancer closes a silent connection. That of a TLS listener is fixed.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-listeners.html#listener-attributes
const (
	tlsIdleTimeout = 350 * time.Second
	tcpIdleTimeout = 3600 * time.Second
)

// fargateStopTimeout is the longest time that Fargate gives a container between SIGTERM and SIGKILL; the app needs cuttingTime of it
// to abort what is not finished by then.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_timeout
const (
	fargateStopTimeout = 120 * time.Second
	cuttingTime        = 8 * time.Second
)

// Limits of the app itself.
const (
	leastMemoryBudget = 32 * MiB
	leastWindow       = 64 * KiB
	leastHeadReserve  = 16 * MiB  // for the oldest instance, even if HEADWINDOW is less
	requestBytes      = 16 * KiB  // that each request holds besides its instances
	leastBuffers      = 8 * MiB   // that must be left for the buffers of instances
	budgetPerRequest  = 128 * KiB // of MEMORYBUDGET, for each of MAXREQUESTS
	budgetPerThread   = 256 * KiB // of MEMORYBUDGET, for each of THREADCOUNT
	mostRequests      = 1024
	mostThreads       = 1024
	mostMinRate       = 100 * MiB
	maxByteSize       = ByteSize(1) << 62
	maxKeyBytes       = 1024     // of S3
	uidsKeyBytes      = 3*64 + 3 // study/series/instance and the slash behind the prefix
)

const envField = "Service.App.Env."

// storageClasses are those of general purpose buckets that an object can be put into directly.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
func storageClasses() string {
	return "STANDARD STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER_IR GLACIER DEEP_ARCHIVE"
}

var keyCharacters = regexp.MustCompile(`^[a-zA-Z0-9_./-]*$`)

// env checks the environment of the app with the app's own rules, and with those of the load balancer and Fargate.
func (v *validation) env(c Config) {
	e := c.Service.App.Env
	prefix := strings.Trim(strings.TrimSpace(e.Prefix), "/")
	v.rule(keyCharacters.MatchString(prefix) && !strings.Contains(prefix, "//"), envField+"Prefix", e.Prefix, "may have letters, digits and - _ . / only, and no empty folder", "write one such as instance1")
	suffix := strings.TrimSpace(e.ObjectSuffix)
	v.rule(keyCharacters.MatchString(suffix) && !strings.Contains(suffix, "/"), envField+"ObjectSuffix", e.ObjectSuffix, "may have letters, digits and - _ . only", "write one such as .dcm, or nothing")
	room := maxKeyBytes - uidsKeyBytes - len(suffix)
	v.rule(len(prefix) <= room, envField+"Prefix", e.Prefix, fmt.Sprintf("may have %d characters at most with this ObjectSuffix: a key of S3 has %d bytes", room, maxKeyBytes), "write a shorter one")
	wado := strings.TrimRight(strings.TrimSpace(e.WADOURL), "/")
	v.rule(wado == "" || isURL(wado), envField+"WADOURL", e.WADOURL, "must be an http or https URL without query", "write one such as https://pacs.example.org/dicomweb, or nothing")
	oneOf(v, envField+"LogLevel", e.LogLevel, []LogLevel{Debug, Info, Warning, Error, Critical}, "Debug, Info, Warning, Error or Critical")
	v.responseDelay(c)
	v.rule(e.ThreadCount >= 0 && e.ThreadCount <= mostThreads, envField+"ThreadCount", e.ThreadCount, "must lie between 0 and 1024", "write 0, and it goes with MemoryBudget")
	v.rule(e.RetryTime >= time.Second && e.RetryTime <= time.Hour, envField+"RetryTime", e.RetryTime, "must lie between 1 s and 1 h", "write 60 * time.Second")
	v.rule(e.MaxRequests >= 1 && e.MaxRequests <= mostRequests, envField+"MaxRequests", e.MaxRequests, "must lie between 1 and 1024", "write 512")
	oneOf(v, envField+"OnDuplicate", e.OnDuplicate, []OnDuplicate{Overwrite, Reject}, "Overwrite or Reject")
	oneOf(v, envField+"Commitment", e.Commitment, []Commitment{"", On, Off}, "On, Off, or empty: On with ClientAuth, Off with Anonymous")
	v.kmsKey(envField+"KMSKeyID", e.KMSKeyID, c.Region)
	class := strings.TrimSpace(e.StorageClass)
	v.rule(class == "" || strings.Contains(" "+storageClasses()+" ", " "+class+" "), envField+"StorageClass", e.StorageClass, "is no storage class of a general purpose bucket",
		"write one of "+storageClasses()+", or nothing for STANDARD")
	for i, origin := range e.CORSOrigins {
		trimmed := strings.TrimSpace(origin)
		v.rule(trimmed == "*" || isURL(trimmed) && !strings.Contains(trimmed, ","), fmt.Sprintf("%sCORSOrigins[%d]", envField, i), origin,
			"is not an origin", "write one such as https://viewer.example.org, or *")
	}
	v.rule(e.StopTimeout > 0 && e.StopTimeout <= fargateStopTimeout-cuttingTime, envField+"StopTimeout", e.StopTimeout,
		"must be above 0 and at most 112 s: Fargate kills after 120 s, and the app needs 8 s to abort what is left", "write 110 * time.Second")
	v.rule(e.SweepAge >= 10*time.Minute, envField+"SweepAge", e.SweepAge, "must be at least 10 minutes: a slow client may take some for a part", "write 30 * time.Minute")
}

func (v *validation) responseDelay(c Config) {
	idle, listener := tlsIdleTimeout, "a TLS listener (CertificateMode ACM)"
	if c.Certificate.CertificateMode == FromS3 {
		idle, listener = tcpIdleTimeout, "a TCP listener (CertificateMode FromS3)"
	}
	delay := c.Service.App.Env.ResponseDelay
	v.rule(delay >= 0 && delay < idle, envField+"ResponseDelay", delay,
		fmt.Sprintf("must be 0 or more and below %.0f seconds, after which %s of the load balancer cuts a silent connection", idle.Seconds(), listener),
		"write one such as 2 * time.Second")
}

// kmsKey checks that the key is named by its ARN, which the role of the task can be granted.
func (v *validation) kmsKey(field, arn, region string) {
	if arn == "" {
		return
	}
	shape := fmt.Sprintf("arn:%s:kms:%s:123456789012:key/ID", Partition(region), region)
	parts := strings.SplitN(arn, ":", 6)
	v.rule(len(parts) == 6 && parts[0] == "arn" && parts[1] == Partition(region) && parts[2] == "kms" && parts[3] == region &&
		account.MatchString(parts[4]) && kmsKeyID.MatchString(parts[5]), field, arn,
		"is not the ARN of a key in "+region, "write "+shape+", from `aws kms list-keys --region "+region+"`; the bucket's encryption needs none")
}

var kmsKeyID = regexp.MustCompile(`^key/[0-9a-zA-Z-]+$`)

// envSizes checks the sizes in the environment of the app; containers adds that they fit into the container.
func (v *validation) envSizes(c Config) {
	e := c.Service.App.Env
	for _, size := range []struct {
		field string
		value ByteSize
		least ByteSize
		usual string
	}{
		{"MemoryBudget", e.MemoryBudget, leastMemoryBudget, "1 * GiB"},
		{"HeadWindow", e.HeadWindow, leastWindow, "32 * MiB"},
		{"MetadataLimit", e.MetadataLimit, leastWindow, "16 * MiB"},
		{"MinRate", e.MinRate, 0, "16 * KiB, or 0 for no limit"},
		{"MaxInstanceSize", e.MaxInstanceSize, 0, "0 for no limit"},
		{"MaxRequestSize", e.MaxRequestSize, 0, "0 for no limit"},
	} {
		v.rule(size.value >= size.least && size.value <= maxByteSize, envField+size.field, size.value, fmt.Sprintf("must be at least %s", size.least), "write "+size.usual)
	}
	v.rule(e.MinRate <= mostMinRate, envField+"MinRate", e.MinRate, fmt.Sprintf("must be at most %s a second: slower clients are cut", mostMinRate), "write 16 * KiB, or 0 for no limit")
	if e.MemoryBudget < leastMemoryBudget || e.HeadWindow < leastWindow || e.MetadataLimit < leastWindow {
		return
	}
	requests := ByteSize(max(1, min(e.MaxRequests, mostRequests)))
	v.rule(requests <= e.MemoryBudget/budgetPerRequest, envField+"MaxRequests", e.MaxRequests,
		fmt.Sprintf("must be at most MemoryBudget (%s) / %s", e.MemoryBudget, budgetPerRequest), "lower it, or raise MemoryBudget")
	v.rule(e.ThreadCount > mostThreads || ByteSize(e.ThreadCount) <= e.MemoryBudget/budgetPerThread, envField+"ThreadCount", e.ThreadCount,
		fmt.Sprintf("must be at most MemoryBudget (%s) / %s", e.MemoryBudget, budgetPerThread), "lower it, or raise MemoryBudget")
	const plenty = ByteSize(1) << 60 // a larger value is cut, so that the sum is too large but does not overflow
	needed := min(e.MetadataLimit, plenty) + min(max(e.HeadWindow, leastHeadReserve), plenty) + requests*requestBytes + leastBuffers
	v.rule(e.MemoryBudget >= needed, envField+"MemoryBudget", e.MemoryBudget,
		fmt.Sprintf("must be at least %s: MetadataLimit (%s), HeadWindow (%s, %s at least), %s for each of MaxRequests (%d), and %s for buffers",
			needed, e.MetadataLimit, e.HeadWindow, leastHeadReserve, requestBytes, e.MaxRequests, leastBuffers),
		"raise it, or lower one of them")
}

// isURL reports whether s is an http or https URL without query and fragment.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
