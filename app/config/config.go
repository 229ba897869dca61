// Package config reads the environment of the service into one struct, and
// checks it: every violation at once, each with its variable, value and rule.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/trace"
)

// Config is the environment of `stowrs serve`. The AWS SDK reads AWS_* itself, and package trace OTEL_*.
type Config struct {
	BucketName   string `env:"BUCKETNAME"`   // bucket for DICOM; required
	Prefix       string `env:"PREFIX"`       // key = [PREFIX/]study/series/instance
	ObjectSuffix string `env:"OBJECTSUFFIX"` // appended to every key
	WADOURL      string `env:"WADOURL"`      // base of every RetrieveURL; empty: RetrieveURL has no value
	KMSKeyID     string `env:"KMSKEYID"`     // empty: the bucket's default encryption
	StorageClass string `env:"STORAGECLASS"` // empty: STANDARD

	LogLevel      string        `env:"LOGLEVEL"      envDefault:"WARNING"` // DEBUG INFO WARNING ERROR CRITICAL
	ResponseDelay Seconds       `env:"RESPONSEDELAY" envDefault:"0"`       // wait before the response
	ThreadCount   int           `env:"THREADCOUNT"`                        // concurrent S3 requests of the process; 0: one for each MiB of MEMORYBUDGET, at most 512
	MemoryBudget  ByteSize      `env:"MEMORYBUDGET"  envDefault:"256MiB"`  // memory for buffers, metadata and everything else that requests hold
	HeadWindow    ByteSize      `env:"HEADWINDOW"    envDefault:"32MiB"`   // how far into an instance its UIDs are searched
	MetadataLimit ByteSize      `env:"METADATALIMIT" envDefault:"16MiB"`   // memory for metadata and bulkdata that requests keep, all together
	MinRate       ByteSize      `env:"MINRATE"       envDefault:"16KiB"`   // bytes per second that a client must deliver, else its request ends
	MaxRequests   int           `env:"MAXREQUESTS"   envDefault:"512"`     // concurrent requests; further ones get 503
	RetryTime     time.Duration `env:"RETRYTIME"     envDefault:"60s"`     // how long one S3 request is retried before its instance fails

	MaxInstanceSize ByteSize `env:"MAXINSTANCESIZE" envDefault:"0"` // 0: only S3's limit
	MaxRequestSize  ByteSize `env:"MAXREQUESTSIZE"  envDefault:"0"` // 0: no limit

	OnDuplicate  string   `env:"ONDUPLICATE"  envDefault:"overwrite"` // overwrite, reject
	Commitment   string   `env:"COMMITMENT"   envDefault:"on"`        // on, or off: no storage commitment, which tells whether UIDs exist
	StrictAccept bool     `env:"STRICTACCEPT" envDefault:"false"`     // 406 where the standard requires it
	CORSOrigins  []string `env:"CORSORIGINS"`                         // origins allowed to upload from a browser; empty: none
	TrustedProxy []string `env:"TRUSTEDPROXY"`                        // addresses or CIDRs whose X-Client-DN, X-Real-IP, X-Request-Id, X-Forwarded-Proto and -Host are trusted

	StopTimeout   time.Duration `env:"STOPTIMEOUT"   envDefault:"110s"` // time to finish requests in flight after SIGTERM
	SweepAge      time.Duration `env:"SWEEPAGE"      envDefault:"30m"`  // own multipart uploads to which nothing was added for this time are aborted
	PProf         bool          `env:"PPROF"         envDefault:"false"`
	ListenAddress string        `env:"LISTENADDRESS" envDefault:":8080"`          // STOW-RS
	AdminAddress  string        `env:"ADMINADDRESS"  envDefault:"127.0.0.1:9090"` // status page, health, readiness, Prometheus metrics
}

// Load reads the environment, a map of names to values, and validates it. The
// error contains all violations.
func Load(environment map[string]string) (Config, error) {
	var c Config
	environment = trimmed(environment)
	parseErr := env.ParseWithOptions(&c, env.Options{Environment: environment})
	if c.ThreadCount == 0 {
		c.ThreadCount = max(1, min(defaultMaxThreads, int(c.MemoryBudget/defaultBudgetPerThread)))
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	c.WADOURL = strings.TrimRight(c.WADOURL, "/")
	c.CORSOrigins, c.TrustedProxy = compact(c.CORSOrigins), compact(c.TrustedProxy)
	var violations []error
	var aggregate env.AggregateError
	unreadable := map[string]bool{}
	if errors.As(parseErr, &aggregate) {
		for _, err := range aggregate.Errors {
			violations = append(violations, readable(err, environment, unreadable))
		}
	} else if parseErr != nil {
		violations = append(violations, parseErr)
	}
	for _, v := range c.validate() {
		if !unreadable[v.Variable] {
			violations = append(violations, v)
		}
	}
	if err := trace.Check(environment); err != nil {
		violations = append(violations, err)
	}
	return c, errors.Join(violations...)
}

// Violation is one variable with an invalid value.
type Violation struct {
	Variable string
	Value    string
	Rule     string // what it must be
}

func (v Violation) Error() string { return fmt.Sprintf("%s=%q: %s", v.Variable, v.Value, v.Rule) }

// Seconds is a duration written as a number of seconds, or as a Go duration such as 500ms.
type Seconds time.Duration

// UnmarshalText reads "2", "0.5" or "500ms".
func (s *Seconds) UnmarshalText(text []byte) error {
	value := string(text)
	d, err := time.ParseDuration(value)
	if err != nil {
		d, err = time.ParseDuration(value + "s")
	}
	if err != nil {
		return errors.New("must be a number of seconds, such as 2 or 0.5")
	}
	*s = Seconds(d)
	return nil
}

func (s Seconds) String() string { return time.Duration(s).String() }

// ByteSize is a number of bytes, written as a number or with a unit: 16KiB, 256MiB, 1GB.
type ByteSize int64

// UnmarshalText reads the forms of humanize.ParseBytes.
func (b *ByteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return errors.New("must be a number of bytes, such as 1048576, 16KiB or 256MiB")
	}
	*b = ByteSize(n)
	return nil
}

func (b ByteSize) String() string { return humanize.IBytes(uint64(b)) } //nolint:gosec // never negative

// Levels are the values of LOGLEVEL, from the most to the least verbose.
func Levels() []string { return []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} }

const (
	// minMemoryBudget is the memory for a few concurrent instances, whatever the other limits are.
	minMemoryBudget = 32 << 20
	// minReserve is enough for the front of an instance that waits for its end, and one more part.
	minReserve = 16 << 20
	// requestBytes is the memory of each request besides its instances: the buffer through which its body is split.
	requestBytes = 16 << 10
	// minBuffers of MEMORYBUDGET must remain for the buffers of instances.
	minBuffers = 8 << 20
	// budgetPerRequest is the least share of MEMORYBUDGET for each of MAXREQUESTS.
	budgetPerRequest = 128 << 10
	// threadBytes is the memory of each S3 request besides its instance: the buffers of its connection, and the stacks of its goroutines.
	threadBytes = 192 << 10
	// budgetPerThread is the least share of MEMORYBUDGET for each of THREADCOUNT.
	budgetPerThread = 256 << 10
	// defaultBudgetPerThread keeps the process within its memory limit when all threads are used.
	defaultBudgetPerThread = 1 << 20
	// defaultMaxThreads store 2,500 small instances per second if S3 takes 200 ms to answer. With fewer threads they would be the
	// limit, and these cost nothing if S3 answers sooner: unused threads are not started, and SlowDown reduces their number.
	defaultMaxThreads = 512
	// maxMaxRequests: for more connections, start another instance of the service.
	maxMaxRequests = 1024

	// maxMinRate is nearly the rate of 1 Gbit/s: a higher one would cut every client of such a network.
	maxMinRate = ByteSize(100 << 20)

	maxKeyBytes  = 1024       // S3: the longest key
	uidsKeyBytes = 3*64 + 2*1 // study/series/instance; a UID has 64 characters at most (PS3.5 §9.1)
)

// bucketName is what S3-compatible servers have as names, some of them with capitals and _, which new buckets of AWS lack
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
var bucketName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._:-]*)?$`)

// BufferBytes is the part of MEMORYBUDGET for the bytes of instances. S3 requests use the part of it that is not needed.
func (c Config) BufferBytes() int64 {
	left := int64(c.MemoryBudget - c.MetadataLimit - ByteSize(c.MaxRequests)*requestBytes)
	return min(left, max(left-int64(c.ThreadCount)*threadBytes, c.ReserveBytes()+minBuffers))
}

// ReserveBytes is the part of it that only the first in the queue may take: as much as one instance can need at once.
func (c Config) ReserveBytes() int64 { return int64(max(c.HeadWindow, minReserve)) }

// neededBudget is the smallest MEMORYBUDGET that the other limits allow.
func (c Config) neededBudget() ByteSize {
	const plenty = ByteSize(1) << 60 // larger limits are too large in any case, and the sum must not overflow
	sum := min(c.MetadataLimit, plenty) + min(ByteSize(c.ReserveBytes()), plenty) + ByteSize(min(c.MaxRequests, maxMaxRequests))*requestBytes + minBuffers
	return max(minMemoryBudget, sum)
}

// Commits says whether the Storage Commitment Service is served.
func (c Config) Commits() bool { return c.Commitment == "on" }

func (c Config) validate() []Violation {
	var violations []Violation
	rule := func(ok bool, variable string, value any, format string, args ...any) {
		if !ok {
			violations = append(violations, Violation{variable, fmt.Sprint(value), fmt.Sprintf(format, args...)})
		}
	}
	rule(c.BucketName != "", "BUCKETNAME", c.BucketName, "is required: the S3 bucket that receives the DICOM instances")
	rule(bucketName.MatchString(c.BucketName), "BUCKETNAME", c.BucketName,
		"must be the name of a bucket alone, of letters, digits and - _ . that begins with a letter or digit, or the ARN of an access point with colons only; put folders into PREFIX")
	rule(keyCharacters(c.Prefix) && !hasOddFolder(c.Prefix), "PREFIX", c.Prefix, "may have letters, digits and - _ . / only, and no folder that is empty, . or ..")
	room := maxKeyBytes - uidsKeyBytes - len("/") - len(c.ObjectSuffix)
	rule(len(c.Prefix) <= room, "PREFIX", c.Prefix, "may have %d characters at most with this OBJECTSUFFIX: a key of S3 has %d bytes, three UIDs and their slashes take %d",
		room, maxKeyBytes, uidsKeyBytes+len("/"))
	rule(keyCharacters(c.ObjectSuffix) && !strings.Contains(c.ObjectSuffix, "/"), "OBJECTSUFFIX", c.ObjectSuffix, "may have letters, digits and - _ . only")
	rule(c.WADOURL == "" || isURL(c.WADOURL), "WADOURL", c.WADOURL, "must be an http or https URL without query and password, such as https://pacs.example.org/dicomweb")
	rule(!strings.ContainsFunc(c.KMSKeyID, func(r rune) bool { return r <= ' ' || r > '~' }), "KMSKEYID", c.KMSKeyID, "must be the ARN, id or alias of a KMS key")
	rule(c.StorageClass == "" || slices.Contains(s3store.StorageClasses(), c.StorageClass), "STORAGECLASS", c.StorageClass, "must be one of %s", strings.Join(s3store.StorageClasses(), " "))
	rule(slices.Contains(Levels(), c.LogLevel), "LOGLEVEL", c.LogLevel, "must be one of %s", strings.Join(Levels(), " "))
	rule(c.ResponseDelay >= 0 && time.Duration(c.ResponseDelay) <= time.Hour, "RESPONSEDELAY", c.ResponseDelay, "must lie between 0 and 3600 seconds")
	rule(c.ThreadCount >= 1 && c.ThreadCount <= 1024, "THREADCOUNT", c.ThreadCount, "must lie between 1 and 1024; 0 is the default")
	rule(c.MemoryBudget < minMemoryBudget || c.ThreadCount > 1024 || ByteSize(c.ThreadCount) <= c.MemoryBudget/budgetPerThread, "THREADCOUNT", c.ThreadCount,
		"must be at most %d with MEMORYBUDGET=%s, which gives each %s", c.MemoryBudget/budgetPerThread, c.MemoryBudget, ByteSize(budgetPerThread))
	rule(c.MinRate <= maxMinRate, "MINRATE", c.MinRate, "must be at most %s a second: slower clients are cut; 0 cuts none", maxMinRate)
	rule(c.RetryTime >= time.Second && c.RetryTime <= time.Hour, "RETRYTIME", c.RetryTime, "must lie between 1s and 1h")
	rule(c.MaxRequests >= 1 && c.MaxRequests <= maxMaxRequests, "MAXREQUESTS", c.MaxRequests, "must lie between 1 and %d", maxMaxRequests)
	rule(c.MemoryBudget < minMemoryBudget || c.MaxRequests > maxMaxRequests || ByteSize(c.MaxRequests) <= c.MemoryBudget/budgetPerRequest, "MAXREQUESTS", c.MaxRequests,
		"must be at most %d with MEMORYBUDGET=%s, which gives each request %s", c.MemoryBudget/budgetPerRequest, c.MemoryBudget, ByteSize(budgetPerRequest))
	rule(c.HeadWindow >= 64<<10, "HEADWINDOW", c.HeadWindow, "must be at least 64 KiB")
	rule(c.MetadataLimit >= 64<<10, "METADATALIMIT", c.MetadataLimit, "must be at least 64 KiB")
	rule(c.MemoryBudget >= c.neededBudget(), "MEMORYBUDGET", c.MemoryBudget,
		"must be at least %s: METADATALIMIT (%s), HEADWINDOW (%s, %s at least), %s for each of MAXREQUESTS (%d), and %s for buffers; never less than %s",
		c.neededBudget(), c.MetadataLimit, c.HeadWindow, ByteSize(minReserve), ByteSize(requestBytes), c.MaxRequests, ByteSize(minBuffers), ByteSize(minMemoryBudget))
	rule(c.OnDuplicate == "overwrite" || c.OnDuplicate == "reject", "ONDUPLICATE", c.OnDuplicate, "must be overwrite or reject")
	rule(slices.Contains([]string{"on", "off"}, c.Commitment), "COMMITMENT", c.Commitment, "must be on or off")
	rule(c.StopTimeout > 0, "STOPTIMEOUT", c.StopTimeout, "must be a positive duration, such as 110s")
	rule(c.SweepAge >= time.Second, "SWEEPAGE", c.SweepAge, "must be at least 1s; 10m or more is sensible, since a slow client may take minutes for a part")
	rule(isAddress(c.ListenAddress), "LISTENADDRESS", c.ListenAddress, "must be [host]:port, such as :8080 or 127.0.0.1:8080")
	rule(isAddress(c.AdminAddress), "ADMINADDRESS", c.AdminAddress, "must be [host]:port, such as :9090 or 127.0.0.1:9090")
	rule(c.ListenAddress != c.AdminAddress || strings.HasSuffix(c.AdminAddress, ":0"), "ADMINADDRESS", c.AdminAddress, "must differ from LISTENADDRESS")
	for _, origin := range c.CORSOrigins {
		rule(origin == "*" || isOrigin(origin), "CORSORIGINS", origin, "must be origins as browsers send them (RFC 6454 §6.2), such as https://viewer.example.org or http://viewer:3000: lower case, no path, no port that is the scheme's own; separated by commas, or *")
	}
	for _, address := range c.TrustedProxy {
		_, err := parsePrefix(address)
		rule(err == nil, "TRUSTEDPROXY", address, "must be IP addresses or CIDRs, separated by commas, such as 127.0.0.1")
	}
	return violations
}

// TrustedPrefixes are the networks of TRUSTEDPROXY; call it on a valid Config.
func (c Config) TrustedPrefixes() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, address := range c.TrustedProxy {
		if prefix, err := parsePrefix(address); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

func parsePrefix(address string) (netip.Prefix, error) {
	if strings.Contains(address, "/") {
		return netip.ParsePrefix(address)
	}
	addr, err := netip.ParseAddr(address)
	return netip.PrefixFrom(addr, addr.BitLen()), err
}

func keyCharacters(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./", r)
	})
}

// hasOddFolder says whether a key has a folder that proxies, and servers that keep objects in files, would read as another one.
func hasOddFolder(key string) bool {
	return strings.Contains(key, "//") || slices.ContainsFunc(strings.Split(key, "/"), func(folder string) bool { return folder == "." || folder == ".." })
}

// isURL says whether s can be used in a header unchanged (RFC 3986 §2): an http or https URL without query, fragment and password.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }) && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// isOrigin says whether s is an origin in the form in which a browser sends it, with which it is compared.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isURL(s) && s == strings.ToLower(u.Scheme+"://"+u.Host) && (u.Port() == "" || u.Port() != map[string]string{"http": "80", "https": "443"}[u.Scheme])
}
