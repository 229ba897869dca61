package client

import (
	"context"
	"errors"
	"time"
)

// VerifyOptions are the flags and arguments of `stowrs verify`, as Options are those of send.
type VerifyOptions struct {
	// URL of the service, as for send. Empty only with --checksums.
	URL string `arg:"--url" placeholder:"URL" help:"Service to ask with storage commitment: https://host[/base], with or without /studies."`

	CACert   string `arg:"--cacert" placeholder:"FILE" help:"Certification authorities to trust instead of the system's (PEM)."`
	Cert     string `arg:"--cert" placeholder:"FILE" help:"Client certificate with its chain (PEM)."`
	Key      string `arg:"--key" placeholder:"FILE" help:"Private key of the client certificate (PEM)."`
	Insecure bool   `arg:"--insecure" help:"Do not verify the certificate of the service. For tests only."`

	Header    []string `arg:"--header,separate" placeholder:"LINE" help:"Send 'Name: value' with each request. May be given more than once."`
	TokenFile string   `arg:"--token-file" placeholder:"FILE" help:"Send the content of FILE as Authorization: Bearer."`

	Batch    int           `arg:"--batch" default:"1000" placeholder:"N" help:"Maximum number of instances in one request."`
	Parallel int           `arg:"--parallel" default:"4" placeholder:"N" help:"Number of concurrent requests."`
	MaxWait  time.Duration `arg:"--max-wait" default:"1h" placeholder:"TIME" help:"How long to wait for a service that does not answer, or answers that it is not available."`

	Journal   string   `arg:"--journal" placeholder:"FILE" help:"Ask about all instances in the journal of stowrs send, instead of PATH."`
	FilesFrom string   `arg:"--files-from" placeholder:"FILE" help:"Read paths of files and folders from FILE, one per line; - is standard input."`
	Include   []string `arg:"--include,separate" placeholder:"PATTERN" help:"Read only files that match, as for send."`
	Exclude   []string `arg:"--exclude,separate" placeholder:"PATTERN" help:"Leave out files, and folders, that match."`

	// Checksums also compares checksums with S3. It needs Checksum.
	Checksums bool `arg:"--checksums" help:"Also compare bytes: the CRC64NVME of each object in S3 with that of the file (or of the journal). Needs the settings of the service: BUCKETNAME, PREFIX, OBJECTSUFFIX and AWS credentials that may read. Without --url only S3 is asked."`

	// Paths are files and folders.
	Paths []string `arg:"positional" placeholder:"PATH" help:"Files and folders with DICOM instances."`

	// Checksum returns the CRC64NVME of the object of an instance, which is named by valid UIDs. The result is base64 of 8 bytes, as S3
	// writes it; empty: the object has no such checksum over all of its bytes. It must be safe for concurrent use. It is an argument because
	// this package does not import the AWS SDK.
	Checksum func(ctx context.Context, study, series, instance string) (crc64nvme string, found bool, err error) `arg:"-"`
}

func (o VerifyOptions) validate() error {
	var violations []error
	if o.Journal != "" && (len(o.Paths) > 0 || o.FilesFrom != "") {
		violations = append(violations, errors.New("--journal names the instances: give no PATH and no --files-from with it"))
	}
	if o.URL == "" && !o.Checksums {
		violations = append(violations, errors.New("--url is required, unless there is --checksums"))
	}
	return errors.Join(append(violations, o.options().validate())...)
}

// options are the Options of send with the same access and the same paths.
func (o VerifyOptions) options() Options {
	paths := o.Paths
	if o.Journal != "" {
		paths = []string{"."}
	}
	return Options{
		URL: o.URL, CACert: o.CACert, Cert: o.Cert, Key: o.Key, Insecure: o.Insecure, Header: o.Header, TokenFile: o.TokenFile, Accept: "json",
		Batch: o.Batch, BatchBytes: 1 << 62, Parallel: o.Parallel, Attempts: 1, MaxWait: o.MaxWait,
		FilesFrom: o.FilesFrom, Include: o.Include, Exclude: o.Exclude, Paths: paths,
	}
}
