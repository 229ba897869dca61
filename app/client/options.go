package client

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/storeresponse"
)

// Options are the flags and arguments of `stowrs send`. The tags are those of
// github.com/alexflint/go-arg, which also fills in the defaults; code that makes
// Options itself sets every field that has one.
type Options struct {
	// URL of the STOW-RS service: its base, its /studies, or the /studies/{study} that all instances belong to.
	URL string `arg:"--url,required" placeholder:"URL" help:"STOW-RS service: https://host[/base], with or without /studies or /studies/{study}."`

	CACert   string `arg:"--cacert" placeholder:"FILE" help:"Certification authorities to trust instead of the system's (PEM)."`
	Cert     string `arg:"--cert" placeholder:"FILE" help:"Client certificate with its chain (PEM)."`
	Key      string `arg:"--key" placeholder:"FILE" help:"Private key of the client certificate (PEM). Without it the key is taken from the file of --cert."`
	Insecure bool   `arg:"--insecure" help:"Do not verify the certificate of the service. For tests only."`

	Header    []string `arg:"--header,separate" placeholder:"LINE" help:"Send 'Name: value' with each request. May be given more than once. Others on this machine can see it: --token-file keeps a secret."`
	TokenFile string   `arg:"--token-file" placeholder:"FILE" help:"Send the content as Authorization: Bearer. It is read again for each request, so that it may be renewed."`

	Accept     string        `arg:"--accept" default:"json" placeholder:"TYPE" help:"Media type of the answer: json or xml."`
	Batch      int           `arg:"--batch" default:"100" placeholder:"N" help:"Instances in one request at most."`
	BatchBytes ByteSize      `arg:"--batch-bytes" default:"256MiB" placeholder:"SIZE" help:"Bytes in one request at most. A larger instance travels alone."`
	Parallel   int           `arg:"--parallel" default:"4" placeholder:"N" help:"Requests at the same time."`
	Attempts   int           `arg:"--attempts" default:"5" placeholder:"N" help:"Times an instance that fails for now is sent at most, with growing pauses, and once more so often at the end."`
	MaxWait    time.Duration `arg:"--max-wait" default:"1h" placeholder:"TIME" help:"How long to wait for a service that does not answer, or answers that it is not available."`
	Journal    string        `arg:"--journal" placeholder:"FILE" help:"Write down what is stored, and leave out what the file says is stored and unchanged: a run that was ended goes on."`
	Report     string        `arg:"--report" placeholder:"FILE" help:"Write a line of JSON for each file that failed, was skipped, or was stored with a warning."`
	Response   bool          `arg:"--response" help:"Print the last response: status line, headers and body."`

	BandwidthLimit ByteSize `arg:"--bwlimit" placeholder:"SIZE" help:"Bytes per second at most, of all requests together."`
	DryRun         bool     `arg:"--dry-run" help:"Look at all files, and say what would be sent; send nothing."`

	FilesFrom string   `arg:"--files-from" placeholder:"FILE" help:"Read paths of files and folders from FILE, one a line; - is standard input."`
	Include   []string `arg:"--include,separate" placeholder:"PATTERN" help:"Look only at files that match: *.dcm, or with a slash the whole path. May be given more than once."`
	Exclude   []string `arg:"--exclude,separate" placeholder:"PATTERN" help:"Leave out files, and folders with all that is in them, that match. May be given more than once."`

	// Paths are files and folders.
	Paths []string `arg:"positional" placeholder:"PATH" help:"Files and folders with DICOM instances."`

	// Command is the command line, which is told, without its secrets, to go on after an interruption.
	Command []string `arg:"-"`
}

// ByteSize is a number of bytes that people write with a unit: 64MB, 256MiB, 1.5GB, 4096.
type ByteSize int64

// UnmarshalText reads a size of 1 byte to 2^63-1 bytes.
func (s *ByteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n == 0 || n > 1<<63-1 {
		return fmt.Errorf("%q is not a size, as 64MB or 256MiB", text)
	}
	*s = ByteSize(n)
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
		violations = append(violations, errors.New("--key without --cert"))
	}
	if len(o.Paths) == 0 && o.FilesFrom == "" {
		violations = append(violations, errors.New("there is no PATH and no --files-from"))
	}
	if err := o.validateAccess(); err != nil {
		violations = append(violations, err)
	}
	if err := o.filter().validate(); err != nil {
		violations = append(violations, err)
	}
	return errors.Join(violations...)
}

func (o Options) filter() filter { return filter{include: o.Include, exclude: o.Exclude} }

// journal is the file of --journal; a dry run begins none.
func (o Options) journal() string {
	if _, err := os.Stat(o.Journal); o.DryRun && err != nil {
		return ""
	}
	return o.Journal
}

func (o Options) mediaType() string {
	if o.Accept == "xml" {
		return storeresponse.MediaTypeXML
	}
	return storeresponse.MediaTypeJSON
}
