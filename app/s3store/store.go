// Package s3store stores DICOM instances as S3 objects: one object an instance,
// byte for byte, acknowledged by S3 together with its CRC64NVME.
//
// An instance that fits one buffer (8 MiB) is a PutObject; a larger one is a
// multipart upload whose parts leave while the rest still arrives. Memory is
// bounded by Config.MemoryBudgetBytes, whatever the number and size of the instances.
//
// Objects: Key(prefix, study, series, instance, suffix), content type
// application/dicom, with metadata x-amz-meta-request-id, -sop-class and
// -transfer-syntax. Each is written with a full-object CRC64NVME that S3 verifies.
//
// The service's role needs these actions, on the bucket or on its objects under PREFIX:
//
//	s3:PutObject                    every instance (also allows the multipart upload)
//	s3:AbortMultipartUpload         failed instances, and the sweep at start
//	s3:ListBucket                   the readiness probe (HeadBucket)
//	s3:ListBucketMultipartUploads   the sweep at start
//	s3:GetObject                    only with ONDUPLICATE=reject: compare with the stored object (HeadObject)
//	kms:GenerateDataKey, kms:Decrypt   only with a KMS key: PutObject, and parts of multipart uploads
package s3store

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/semaphore"
)

// Config says where and how instances are stored.
type Config struct {
	Bucket string
	Prefix string // before every key, without slashes at its ends; empty: none
	Suffix string // after every key; empty: none

	Threads           int   // parallel S3 requests, at least 1
	MemoryBudgetBytes int64 // all buffers together; a quarter of it is the largest part
	HeadWindowBytes   int64 // reserved out of the budget for heads that outgrow a buffer
	AsideBytes        int64 // reserved out of the budget for what requests keep besides buffers (Aside)
	MaxInstanceBytes  int64 // larger instances fail with ErrTooLarge; 0: only S3's limit

	RejectDuplicates bool   // ErrDuplicate instead of overwriting an object that holds other bytes
	KMSKeyID         string // empty: the bucket's default encryption
	StorageClass     string // empty: STANDARD

	// PartBytes and ChunkBytes are for tests that scale S3's limits down.
	// Zero: 8 MiB parts, made of 256 KiB chunks.
	PartBytes  int64
	ChunkBytes int

	// Observe is called after every S3 request; nil: not at all. Safe for concurrent use.
	Observe func(operation string, duration time.Duration, err error)
}

// Errors that Upload.Wait returns, wrapped; test with errors.Is. Any other error
// but those of the source and the context is a failure of S3.
var (
	// ErrTooLarge: the instance is over MaxInstanceBytes or over what 10,000 parts hold.
	ErrTooLarge = errors.New("instance is too large")
	// ErrDuplicate: with RejectDuplicates, another object is stored under the key, and it stays.
	ErrDuplicate = errors.New("other bytes are stored under the same key")
	// ErrSlowDown: S3 answered 503 to all attempts.
	ErrSlowDown = errors.New("S3 asks to slow down")
)

// Store stores instances in one bucket. It is safe for concurrent use.
type Store struct {
	config Config
	client *s3.Client
	log    *slog.Logger
	parts  partSizes
	pool   *pool // buffers of instances
	lane   *pool // the reserve for one head that outgrows its buffer
	aside  *semaphore.Weighted
	slots  *semaphore.Weighted

	asideInUse atomic.Int64

	lastAnswer atomic.Int64 // Unix nanoseconds of S3's last success, 0: none yet
}

// New makes a Store; it does not call S3. The configuration must be valid:
// a memory budget of at least four parts, of which head window and aside leave a largest part.
func New(config Config, client *s3.Client, log *slog.Logger) *Store {
	if config.PartBytes == 0 {
		config.PartBytes = firstPartBytes
	}
	if config.ChunkBytes == 0 {
		config.ChunkBytes = chunkBytes
	}
	return &Store{
		config: config,
		client: client,
		log:    log,
		parts:  newPartSizes(config.PartBytes, int64(config.ChunkBytes), config.MemoryBudgetBytes),
		pool:   newPool(config.MemoryBudgetBytes-config.HeadWindowBytes-config.AsideBytes, config.ChunkBytes),
		lane:   newPool(config.HeadWindowBytes, config.ChunkBytes),
		aside:  semaphore.NewWeighted(config.AsideBytes),
		slots:  semaphore.NewWeighted(int64(config.Threads)),
	}
}

// LargestPartBytes is the size that parts may grow to within a memory budget: a quarter of it, and S3's 5 GiB at most.
func LargestPartBytes(memoryBudgetBytes int64) int64 { return min(memoryBudgetBytes/4, maxPartBytes) }

// MaxInstanceBytes is the largest instance that 10,000 parts hold within a memory budget: when its sender
// declares its length, and when not. MAXINSTANCESIZE may be lower.
func MaxInstanceBytes(memoryBudgetBytes int64) (declared, undeclared int64) {
	parts := newPartSizes(firstPartBytes, chunkBytes, memoryBudgetBytes)
	return parts.maxBytes(true), parts.maxBytes(false)
}

// Key is the object's key, [prefix/]study/series/instance[suffix], with no leading or double slash.
// The UIDs must have been checked: a key is never built from anything but digits and dots.
func Key(prefix, studyInstanceUID, seriesInstanceUID, sopInstanceUID, suffix string) string {
	key := studyInstanceUID + "/" + seriesInstanceUID + "/" + sopInstanceUID + suffix
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		key = prefix + "/" + key
	}
	return key
}

// StorageClasses are the values that Config.StorageClass may have.
func StorageClasses() []string {
	var names []string
	for _, class := range types.StorageClass("").Values() {
		names = append(names, string(class))
	}
	return names
}

// LastAnswer is the time of S3's last success; zero: there was none yet.
func (s *Store) LastAnswer() time.Time {
	if nanos := s.lastAnswer.Load(); nanos != 0 {
		return time.Unix(0, nanos)
	}
	return time.Time{}
}

// BufferedBytes is the memory that instances hold at this moment, at most MemoryBudgetBytes.
func (s *Store) BufferedBytes() int64 {
	return s.pool.inUse.Load() + s.lane.inUse.Load() + s.asideInUse.Load()
}

// Probe asks S3 for the bucket (HeadBucket). The error says what to mend.
func (s *Store) Probe(ctx context.Context) error {
	_, err := request(ctx, s, "HeadBucket", func(ctx context.Context) (*s3.HeadBucketOutput, error) {
		return s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.config.Bucket})
	})
	return s.explain(err, "s3:ListBucket")
}

// request does one S3 request when a slot of Threads is free.
func request[T any](ctx context.Context, s *Store, operation string, call func(context.Context) (T, error)) (T, error) {
	var none T
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return none, err
	}
	defer s.slots.Release(1)
	start := time.Now()
	out, err := call(ctx)
	if s.config.Observe != nil {
		s.config.Observe(operation, time.Since(start), err)
	}
	if err != nil {
		return none, classify(err)
	}
	s.lastAnswer.Store(time.Now().UnixNano())
	return out, nil
}

// classify adds ErrSlowDown to the errors that are one.
func classify(err error) error {
	if statusCode(err) == http.StatusServiceUnavailable || errorCode(err) == "SlowDown" {
		return errors.Join(ErrSlowDown, err)
	}
	return err
}

// statusCode is the HTTP status of an S3 error; 0 when there was no answer.
func statusCode(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// errorCode is the code of an S3 error, such as NoSuchKey; empty when there was no answer.
func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
