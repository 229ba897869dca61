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

	LogLevel      string   `env:"LOGLEVEL"      envDefault:"WARNING"` // DEBUG INFO WARNING ERROR CRITICAL
	ResponseDelay Seconds  `env:"RESPONSEDELAY" envDefault:"0"`       // waited before the response
	ThreadCount   int      `env:"THREADCOUNT"   envDefault:"16"`      // parallel S3 requests of the process
	MemoryBudget  ByteSize `env:"MEMORYBUDGET"  envDefault:"256MiB"`  // all part buffers together
	HeadWindow    ByteSize `env:"HEADWINDOW"    envDefault:"32MiB"`   // longest head before the UIDs
	MetadataLimit ByteSize `env:"METADATALIMIT" envDefault:"16MiB"`   // metadata of metadata + bulkdata requests, all together
	MinRate       ByteSize `env:"MINRATE"       envDefault:"16KiB"`   // bytes per second below which a client that holds a buffer is cut
	MaxRequests   int      `env:"MAXREQUESTS"   envDefault:"256"`     // requests being served; more get 503

	MaxInstanceSize ByteSize `env:"MAXINSTANCESIZE" envDefault:"0"` // 0: no limit but S3's
	MaxRequestSize  ByteSize `env:"MAXREQUESTSIZE"  envDefault:"0"` // 0: no limit

	OnDuplicate  string   `env:"ONDUPLICATE"  envDefault:"overwrite"` // overwrite, reject
	StrictAccept bool     `env:"STRICTACCEPT" envDefault:"false"`     // 406 where the standard asks for it
	CORSOrigins  []string `env:"CORSORIGINS"`                         // origins allowed to upload from a browser; empty: none
	TrustedProxy []string `env:"TRUSTEDPROXY"`                        // addresses or CIDRs whose X-Client-DN, X-Real-IP and X-Request-Id are believed

	StopTimeout   time.Duration `env:"STOPTIMEOUT"   envDefault:"110s"` // to finish what is in flight after SIGTERM
	SweepAge      time.Duration `env:"SWEEPAGE"      envDefault:"168h"` // own multipart uploads older than this are aborted at start
	PProf         bool          `env:"PPROF"         envDefault:"false"`
	ListenAddress string        `env:"LISTENADDRESS" envDefault:":8080"` // STOW-RS
	AdminAddress  string        `env:"ADMINADDRESS"  envDefault:":9090"` // health, readiness, Prometheus metrics
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

// minMemoryBudget gives four buffers of the smallest part.
const minMemoryBudget = 32 << 20

func (c Config) validate() []Violation {
	var violations []Violation
	rule := func(ok bool, variable string, value any, format string, args ...any) {
		if !ok {
			violations = append(violations, Violation{variable, fmt.Sprint(value), fmt.Sprintf(format, args...)})
		}
	}
	rule(c.BucketName != "", "BUCKETNAME", c.BucketName, "is required: the S3 bucket that receives the DICOM instances")
	rule(!strings.Contains(c.BucketName, "/"), "BUCKETNAME", c.BucketName, "must be the name of a bucket alone; put folders into PREFIX")
	rule(keyCharacters(c.Prefix) && !strings.Contains(c.Prefix, "//"), "PREFIX", c.Prefix, "may have letters, digits and - _ . / only, and no empty folder")
	rule(keyCharacters(c.ObjectSuffix) && !strings.Contains(c.ObjectSuffix, "/"), "OBJECTSUFFIX", c.ObjectSuffix, "may have letters, digits and - _ . only")
	rule(c.WADOURL == "" || isURL(c.WADOURL), "WADOURL", c.WADOURL, "must be an http or https URL without query, such as https://pacs.example.org/dicomweb")
	rule(c.StorageClass == "" || slices.Contains(s3store.StorageClasses(), c.StorageClass), "STORAGECLASS", c.StorageClass, "must be one of %s", strings.Join(s3store.StorageClasses(), " "))
	rule(slices.Contains(Levels(), c.LogLevel), "LOGLEVEL", c.LogLevel, "must be one of %s", strings.Join(Levels(), " "))
	rule(c.ResponseDelay >= 0 && time.Duration(c.ResponseDelay) <= time.Hour, "RESPONSEDELAY", c.ResponseDelay, "must lie between 0 and 3600 seconds")
	rule(c.ThreadCount >= 1 && c.ThreadCount <= 1024, "THREADCOUNT", c.ThreadCount, "must lie between 1 and 1024")
	rule(c.MaxRequests >= 1, "MAXREQUESTS", c.MaxRequests, "must be at least 1")
	rule(c.MemoryBudget >= minMemoryBudget, "MEMORYBUDGET", c.MemoryBudget, "must be at least %s", ByteSize(minMemoryBudget))
	left := int64(c.MemoryBudget) - s3store.LargestPartBytes(int64(c.MemoryBudget))
	rule(c.HeadWindow >= 64<<10, "HEADWINDOW", c.HeadWindow, "must be at least 64 KiB")
	rule(c.MetadataLimit >= 64<<10, "METADATALIMIT", c.MetadataLimit, "must be at least 64 KiB")
	rule(c.MemoryBudget < minMemoryBudget || int64(c.HeadWindow+c.MetadataLimit) <= left, "HEADWINDOW", c.HeadWindow,
		"and METADATALIMIT (%s) must not be more than three quarters of MEMORYBUDGET (%s): they are reserved out of it", c.MetadataLimit, ByteSize(left))
	rule(c.OnDuplicate == "overwrite" || c.OnDuplicate == "reject", "ONDUPLICATE", c.OnDuplicate, "must be overwrite or reject")
	rule(c.StopTimeout > 0, "STOPTIMEOUT", c.StopTimeout, "must be a positive duration, such as 110s")
	rule(c.SweepAge > 0, "SWEEPAGE", c.SweepAge, "must be a positive duration, such as 168h")
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

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
