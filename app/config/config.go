// Package config reads the environment of the service into one struct, and
// checks it: every violation at once, each with its variable, value and rule.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/s3store"
)

// Config is the environment of `stowrs serve`. The AWS SDK reads AWS_* itself.
type Config struct {
	BucketName   string `env:"BUCKETNAME"`   // bucket for DICOM; required
	Prefix       string `env:"PREFIX"`       // key = [PREFIX/]study/series/instance
	ObjectSuffix string `env:"OBJECTSUFFIX"` // appended to every key
	WADOURL      string `env:"WADOURL"`      // base of every RetrieveURL; empty: RetrieveURL has no value
	KMSKeyID     string `env:"KMSKEYID"`     // empty: the bucket's default encryption
	StorageClass string `env:"STORAGECLASS"` // empty: STANDARD

	LogLevel      string        `env:"LOGLEVEL"      envDefault:"WARNING"` // DEBUG INFO WARNING ERROR CRITICAL
	ResponseDelay Seconds       `env:"RESPONSEDELAY" envDefault:"0"`       // waited before the response
	ThreadCount   int           `env:"THREADCOUNT"   envDefault:"128"`     // parallel S3 requests of the process
	MemoryBudget  ByteSize      `env:"MEMORYBUDGET"  envDefault:"256MiB"`  // buffers, metadata and what requests hold besides, all together
	HeadWindow    ByteSize      `env:"HEADWINDOW"    envDefault:"32MiB"`   // longest head before the UIDs
	MetadataLimit ByteSize      `env:"METADATALIMIT" envDefault:"16MiB"`   // metadata of metadata + bulkdata requests, all together
	MinRate       ByteSize      `env:"MINRATE"       envDefault:"16KiB"`   // bytes per second below which a client that holds a buffer is cut
	MaxRequests   int           `env:"MAXREQUESTS"   envDefault:"512"`     // requests being served; more get 503
	RetryTime     time.Duration `env:"RETRYTIME"     envDefault:"60s"`     // one S3 request is tried for so long before its instance fails

	MaxInstanceSize ByteSize `env:"MAXINSTANCESIZE" envDefault:"0"` // 0: no limit but S3's
	MaxRequestSize  ByteSize `env:"MAXREQUESTSIZE"  envDefault:"0"` // 0: no limit

	OnDuplicate  string   `env:"ONDUPLICATE"  envDefault:"overwrite"` // overwrite, reject
	StrictAccept bool     `env:"STRICTACCEPT" envDefault:"false"`     // 406 where the standard asks for it
	CORSOrigins  []string `env:"CORSORIGINS"`                         // origins allowed to upload from a browser; empty: none
	TrustedProxy []string `env:"TRUSTEDPROXY"`                        // addresses or CIDRs whose X-Client-DN, X-Real-IP, X-Request-Id, X-Forwarded-Proto and -Host are believed

	StopTimeout   time.Duration `env:"STOPTIMEOUT"   envDefault:"110s"` // to finish what is in flight after SIGTERM
	SweepAge      time.Duration `env:"SWEEPAGE"      envDefault:"30m"`  // own multipart uploads that nothing was added to for so long are aborted
	PProf         bool          `env:"PPROF"         envDefault:"false"`
	ListenAddress string        `env:"LISTENADDRESS" envDefault:":8080"`          // STOW-RS
	AdminAddress  string        `env:"ADMINADDRESS"  envDefault:"127.0.0.1:9090"` // health, readiness, Prometheus metrics
}

// Load reads the environment, a map of names to values, and validates it. The
// error joins all violations.
func Load(environment map[string]string) (Config, error) {
	var c Config
	environment = trimmed(environment)
	parseErr := env.ParseWithOptions(&c, env.Options{Environment: environment})
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
	return c, errors.Join(violations...)
}

// Violation is one variable that cannot be used as it is.
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

// ByteSize is a number of bytes, written as such or with a unit: 16KiB, 256MiB, 1GB.
type ByteSize int64

// UnmarshalText reads what humanize.ParseBytes does.
func (b *ByteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return errors.New("must be a number of bytes, such as 1048576, 16KiB or 256MiB")
	}
	*b = ByteSize(n)
	return nil
}

func (b ByteSize) String() string { return humanize.IBytes(uint64(b)) } //nolint:gosec // never negative

// Levels are the values of LOGLEVEL, from the most to the least talkative.
func Levels() []string { return []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} }

const (
	// minMemoryBudget is what a few instances at a time need, whatever the other limits are.
	minMemoryBudget = 32 << 20
	// minReserve is for the front of an instance that waits for its end, and one more part.
	minReserve = 16 << 20
	// requestBytes is what each request holds besides its instances: the buffer through which its body is taken apart.
	requestBytes = 16 << 10
	// minBuffers must be left of MEMORYBUDGET for the buffers of instances.
	minBuffers = 8 << 20
	// budgetPerRequest: as many requests as have so much of MEMORYBUDGET each may be served at the same time.
	budgetPerRequest = 128 << 10
	// budgetPerThread is for what S3 requests hold besides the budget, which is in proportion to it.
	budgetPerThread = 256 << 10
	// maxMaxRequests: more connections are for another instance of the service.
	maxMaxRequests = 1024

	maxKeyBytes  = 1024       // S3: the longest key
	uidsKeyBytes = 3*64 + 2*1 // study/series/instance; a UID has 64 characters at most (PS3.5 §9.1)
)

// BufferBytes are what MEMORYBUDGET leaves for the bytes of instances.
func (c Config) BufferBytes() int64 {
	return int64(c.MemoryBudget - c.MetadataLimit - ByteSize(c.MaxRequests)*requestBytes)
}

// ReserveBytes are those of them that only the first in the line may take: as much as one instance can need at once.
func (c Config) ReserveBytes() int64 { return int64(max(c.HeadWindow, minReserve)) }

// neededBudget is the least MEMORYBUDGET that goes with the other limits.
func (c Config) neededBudget() ByteSize {
	const plenty = ByteSize(1) << 60 // whatever is more, the sum is too much, and no overflow
	sum := min(c.MetadataLimit, plenty) + min(ByteSize(c.ReserveBytes()), plenty) + ByteSize(min(c.MaxRequests, maxMaxRequests))*requestBytes + minBuffers
	return max(minMemoryBudget, sum)
}

func (c Config) validate() []Violation {
	var violations []Violation
	rule := func(ok bool, variable string, value any, format string, args ...any) {
		if !ok {
			violations = append(violations, Violation{variable, fmt.Sprint(value), fmt.Sprintf(format, args...)})
		}
	}
	rule(c.BucketName != "", "BUCKETNAME", c.BucketName, "is required: the S3 bucket that receives the DICOM instances")
	rule(!strings.Contains(c.BucketName, "/"), "BUCKETNAME", c.BucketName, "must be the name of a bucket alone; put folders into PREFIX")
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
	rule(c.ThreadCount >= 1 && c.ThreadCount <= 1024, "THREADCOUNT", c.ThreadCount, "must lie between 1 and 1024")
	rule(c.MemoryBudget < minMemoryBudget || c.ThreadCount > 1024 || ByteSize(c.ThreadCount) <= c.MemoryBudget/budgetPerThread, "THREADCOUNT", c.ThreadCount,
		"must be at most %d with MEMORYBUDGET=%s, which gives each %s", c.MemoryBudget/budgetPerThread, c.MemoryBudget, ByteSize(budgetPerThread))
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
	rule(c.StopTimeout > 0, "STOPTIMEOUT", c.StopTimeout, "must be a positive duration, such as 110s")
	rule(c.SweepAge >= time.Second, "SWEEPAGE", c.SweepAge, "must be at least 1s; 10m or more is sensible, since a slow client may take minutes for a part")
	rule(isAddress(c.ListenAddress), "LISTENADDRESS", c.ListenAddress, "must be [host]:port, such as :8080 or 127.0.0.1:8080")
	rule(isAddress(c.AdminAddress), "ADMINADDRESS", c.AdminAddress, "must be [host]:port, such as :9090 or 127.0.0.1:9090")
	rule(c.ListenAddress != c.AdminAddress || strings.HasSuffix(c.AdminAddress, ":0"), "ADMINADDRESS", c.AdminAddress, "must differ from LISTENADDRESS")
	for _, origin := range c.CORSOrigins {
		rule(origin == "*" || isURL(origin), "CORSORIGINS", origin, "must be origins such as https://viewer.example.org, separated by commas, or *")
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

// hasOddFolder tells whether a folder of a key is one that proxies, and servers that keep objects in files, read as another one.
func hasOddFolder(key string) bool {
	return strings.Contains(key, "//") || slices.ContainsFunc(strings.Split(key, "/"), func(folder string) bool { return folder == "." || folder == ".." })
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
