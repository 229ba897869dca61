package client

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/storeresponse"
)

// Options are the flags and arguments of `stowrs send`. The tags are those of
// github.com/alexflint/go-arg, which also sets the defaults; code that makes
// Options itself must set every field that has a default.
type Options struct {
	// URL of the STOW-RS service: its base, its /studies, or the /studies/{study} that all instances belong to.
	URL string `arg:"--url,required" placeholder:"URL" help:"STOW-RS service: https://host[/base], with or without /studies or /studies/{study}."`

	CACert   string `arg:"--cacert" placeholder:"FILE" help:"Certification authorities to trust instead of the system's (PEM)."`
	Cert     string `arg:"--cert" placeholder:"FILE" help:"Client certificate with its chain (PEM)."`
	Key      string `arg:"--key" placeholder:"FILE" help:"Private key of the client certificate (PEM). Without it, the key is read from the file of --cert."`
	Insecure bool   `arg:"--insecure" help:"Do not verify the certificate of the service. For tests only."`

	Header    []string `arg:"--header,separate" placeholder:"LINE" help:"Send 'Name: value' with each request; @FILE: the lines of a file, read for each request. May be given more than once. Others on this machine can see a command line: put secrets into a file."`
	TokenFile string   `arg:"--token-file" placeholder:"FILE" help:"Send the content of FILE as Authorization: Bearer. It is read again for each request, so that it may be renewed."`

	Accept     string        `arg:"--accept" default:"json" placeholder:"TYPE" help:"Media type of the answer: json or xml."`
	Batch      int           `arg:"--batch" default:"100" placeholder:"N" help:"Maximum number of instances in one request."`
	BatchBytes SizeFlag      `arg:"--batch-bytes" default:"256MiB" placeholder:"SIZE" help:"Maximum number of bytes in one request. A larger instance is sent alone."`
	Parallel   int           `arg:"--parallel" default:"16" placeholder:"N" help:"Maximum number of concurrent requests. It begins with 4, and adds more as long as this increases the throughput."`
	Attempts   int           `arg:"--attempts" default:"5" placeholder:"N" help:"How often an instance that fails for a temporary reason is sent at most, with growing pauses; at the end it is tried as often again."`
	MaxWait    time.Duration `arg:"--max-wait" default:"1h" placeholder:"TIME" help:"How long to wait for a service that does not answer, or answers that it is not available."`
	Journal    string        `arg:"--journal" placeholder:"FILE" help:"Record in FILE what is stored, and skip files that are recorded as stored and have not changed: so an interrupted run can continue."`
	Report     string        `arg:"--report" placeholder:"FILE" help:"Write a line of JSON for each file that failed, was skipped, or was stored with a warning."`
	Response   bool          `arg:"--response" help:"Print the last response: status line, headers and body."`

	BandwidthLimit SizeFlag `arg:"--bwlimit" placeholder:"SIZE" help:"Maximum number of bytes per second, for all requests together."`
	DryRun         bool     `arg:"--dry-run" help:"Read all files, show what would be sent, and which files have the same UIDs but different bytes; send nothing."`

	FilesFrom string   `arg:"--files-from" placeholder:"FILE" help:"Read paths of files and folders from FILE, one per line; - is standard input."`
	Include   []string `arg:"--include,separate" placeholder:"PATTERN" help:"Send only files that match: *.dcm, or with a slash the whole path. May be given more than once."`
	Exclude   []string `arg:"--exclude,separate" placeholder:"PATTERN" help:"Leave out files, and folders with everything in them, that match. May be given more than once."`

	// Paths are files and folders.
	Paths []string `arg:"positional" placeholder:"PATH" help:"Files, folders and archives (zip, tar, tar.gz) with DICOM instances; - reads paths from standard input."`

	// Command is the command line, which is printed, without its secrets, so that the user can continue after an interruption.
	Command []string `arg:"-"`
}

// SizeFlag is a number of bytes that people write with a unit: 64MB, 256MiB, 1.5GB, 4096.
type SizeFlag int64

// UnmarshalText reads a size of 1 byte to 2^63-1 bytes.
func (s *SizeFlag) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n == 0 || n > 1<<63-1 {
		return fmt.Errorf("%q is not a size, as 64MB or 256MiB", text)
	}
	*s = SizeFlag(n)
	return nil
}

// validate reports all violations at once.
func (o Options) validate() error {
	var violations []error
	for _, number := range []struct {
		flag  string
		value int64
	}{{"--batch", int64(o.Batch)}, {"--batch-bytes", int64(o.BatchBytes)}, {"--parallel", int64(o.Parallel)}, {"--attempts", int64(o.Attempts)}} {
		if number.value < 1 {
			violations = append(violations, fmt.Errorf("%s is %d, must be at least 1", number.flag, number.value))
		}
	}
	if o.MaxWait < 0 {
		violations = append(violations, fmt.Errorf("--max-wait is %s, must not be negative", o.MaxWait))
	}
	if o.Accept != "json" && o.Accept != "xml" {
		violations = append(violations, fmt.Errorf("--accept is %q, must be json or xml", o.Accept))
	}
	if o.Key != "" && o.Cert == "" {
		violations = append(violations, errors.New("--key without --cert: a client certificate needs both"))
	}
	if len(o.Paths) == 0 && o.FilesFrom == "" {
		violations = append(violations, errors.New("there is no PATH and no --files-from"))
	}
	if o.Journal != "" && sameFileName(o.Journal, o.Report) {
		violations = append(violations, errors.New("--report would replace the file of --journal"))
	}
	if err := o.validateAccess(); err != nil {
		violations = append(violations, err)
	}
	if err := o.filter().validate(); err != nil {
		violations = append(violations, err)
	}
	return errors.Join(violations...)
}

func sameFileName(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return absolute(a) == absolute(b) || errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// withStandardInput replaces the path - by --files-from -.
func (o Options) withStandardInput() Options {
	if o.FilesFrom == "" && slices.Contains(o.Paths, "-") {
		o.FilesFrom = "-"
		o.Paths = slices.DeleteFunc(slices.Clone(o.Paths), func(path string) bool { return path == "-" })
	}
	return o
}

func (o Options) filter() filter { return filter{include: o.Include, exclude: o.Exclude} }

// journal is the file of --journal; empty in a dry run if the file does not exist, because a dry run creates none.
func (o Options) journal() string {
	if _, err := os.Stat(o.Journal); o.DryRun && err != nil {
		return ""
	}
	return o.Journal
}

// inputs describes the paths and filters of a run, so that the journal shows whether a run with the same inputs has ended. A long
// description is cut, and gets a checksum.
func (o Options) inputs() string {
	const limit = 1 << 10 // bytes
	var paths []string
	for _, path := range o.Paths {
		paths = append(paths, absolute(path))
	}
	text := strings.Join(paths, " ")
	for _, more := range []struct {
		flag   string
		values []string
	}{{"--files-from", []string{o.FilesFrom}}, {"--include", o.Include}, {"--exclude", o.Exclude}} {
		if all := strings.Join(more.values, " "); all != "" {
			text += " " + more.flag + " " + all
		}
	}
	if len(text) > limit {
		text = fmt.Sprintf("%s… (SHA-256 of all: %x)", text[:limit], sha256.Sum256([]byte(text)))
	}
	return "a run of " + strings.ToValidUTF8(text, "\uFFFD")
}

func (o Options) mediaType() string {
	if o.Accept == "xml" {
		return storeresponse.MediaTypeXML
	}
	return storeresponse.MediaTypeJSON
}
