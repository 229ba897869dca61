// Package s3store stores DICOM instances as S3 objects: one object per instance,
// byte for byte, acknowledged by S3 together with its checksum.
//
// An instance of less than 8 MiB is a PutObject; a larger one is a multipart upload
// whose parts are sent while the rest still arrives. Memory comes from a
// [memory.Ledger], chunk by chunk as bytes arrive.
//
// Objects: Key(prefix, study, series, instance, suffix), content type
// application/dicom, with metadata x-amz-meta-request-id, -sop-class and
// -transfer-syntax. Each is written with a full-object CRC64NVME that S3 verifies.
//
// The service's role needs these actions, on the bucket or on its objects under PREFIX:
//
//	s3:PutObject                     every instance (also allows the multipart upload)
//	s3:GetObject                     look at the stored object (HeadObject): when an answer was lost, with ONDUPLICATE=reject, and of servers that acknowledge neither a checksum nor an MD5
//	s3:AbortMultipartUpload          failed instances, and the sweep
//	s3:ListBucket                    the readiness probe (HeadBucket), and storage commitment (ListObjectsV2)
//	s3:ListBucketMultipartUploads    the sweep
//	s3:ListMultipartUploadParts      the sweep: whether an upload is still active
//	kms:GenerateDataKey, kms:Decrypt   only with a KMS key: PutObject, and parts of multipart uploads
package s3store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"stowrs-to-s3/app/memory"
)

// Config says where and how instances are stored.
type Config struct {
	Bucket string
	Prefix string // before every key, without slashes at its ends; empty: none
	Suffix string // after every key; empty: none

	Threads          int           // parallel S3 requests at most, at least 1
	RetryTime        time.Duration // how long one S3 request is retried
	LargestPartBytes int64         // the size to which parts may grow, at least 8 MiB
	MaxInstanceBytes int64         // larger instances fail with ErrTooLarge; 0: only S3's limit

	RejectDuplicates bool   // ErrDuplicate instead of overwriting an object that holds other bytes
	KMSKeyID         string // empty: the bucket's default encryption
	StorageClass     string // empty: STANDARD

	// PartBytes is for tests that reduce S3's limits. Zero: 8 MiB.
	PartBytes int64

	// Observe is called after every S3 request, with the time of all its attempts; nil: never. It must be safe for concurrent use.
	Observe func(operation string, duration time.Duration, err error)
}

// Errors that Upload.Wait returns, wrapped; test with errors.Is. Any other error
// but those of the source and the context is a failure of S3.
var (
	// ErrTooLarge: the instance is over MaxInstanceBytes or over what 10,000 parts hold.
	ErrTooLarge = errors.New("instance is too large")
	// ErrDuplicate: with RejectDuplicates, a different object is stored under the key, and remains.
	ErrDuplicate = errors.New("other bytes are stored under the same key")
	// ErrSlowDown: S3 asked to slow down until RetryTime had passed.
	ErrSlowDown = errors.New("S3 asks to slow down")
)

// Store stores instances in one bucket. It is safe for concurrent use.
type Store struct {
	config Config
	client *s3.Client
	ledger *memory.Ledger
	log    *slog.Logger
	parts  partSizes

	ending  chan struct{} // uploads that were received completely and are not finished
	idle    chan func()   // goroutines that wait for the next upload to finish
	leaving atomic.Int64  // bytes of instances that are being sent to S3

	storing *slots // requests that store
	asking  *slots // probes, aborts, comparisons and lists of uploads: they never wait behind instances
	listing *slots // lists of instances

	health health
	checks atomic.Bool // S3 has acknowledged a CRC64NVME
	warned atomic.Bool // the log says that S3 acknowledges none

	mu       sync.Mutex
	active   map[string]bool      // upload ids of this process
	suspects map[string]time.Time // keys for which the answer to a CreateMultipartUpload was lost, and when
	left     map[string]string    // keys of uploads that could not be aborted, by upload id
}

// endingPerThread limits the uploads that wait for S3 after their last byte: each has a goroutine, with the deep
// stack of the SDK, and some ten kilobytes besides its chunks. Twice as many as can be sent at the same time keep all slots busy.
const endingPerThread = 2

// askingSlots is the number of parallel requests that do not store.
const askingSlots = 16

// New makes a Store; it does not call S3.
func New(config Config, client *s3.Client, ledger *memory.Ledger, log *slog.Logger) *Store {
	if config.PartBytes == 0 {
		config.PartBytes = firstPartBytes
	}
	return &Store{
		config: config, client: client, ledger: ledger, log: log,
		parts:  newPartSizes(config.PartBytes, max(config.LargestPartBytes, config.PartBytes)),
		ending: make(chan struct{}, endingPerThread*config.Threads), idle: make(chan func()),
		storing: newSlots(config.Threads), asking: newSlots(askingSlots), listing: newSlots(listingSlots),
		active: map[string]bool{}, suspects: map[string]time.Time{}, left: map[string]string{},
	}
}

// LargestPartBytes is the size to which parts may grow within a memory budget: a quarter of it, and at most the 5 GiB of S3.
func LargestPartBytes(memoryBudgetBytes int64) int64 { return min(memoryBudgetBytes/4, maxPartBytes) }

// MaxInstanceBytes is the largest instance that fits into 10,000 parts within a memory budget, with and without
// a declared length. MAXINSTANCESIZE may be lower.
func MaxInstanceBytes(memoryBudgetBytes int64) (declared, undeclared int64) {
	parts := newPartSizes(firstPartBytes, max(LargestPartBytes(memoryBudgetBytes), firstPartBytes))
	return parts.maxBytes(true), parts.maxBytes(false)
}

// LeavingBytes is the memory of instances that are being sent to S3.
func (s *Store) LeavingBytes() int64 { return s.leaving.Load() }

// CorrectableBytes is how many of the first bytes of an instance Source.Correct may overwrite.
func (s *Store) CorrectableBytes() int64 { return s.parts.part }

// Key is the object's key, [prefix/]study/series/instance[suffix], with no leading or double slash.
// The UIDs must have been checked: a key is built only from digits and dots.
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

// Probe asks S3 once for the bucket (HeadBucket). The error says what to correct.
func (s *Store) Probe(ctx context.Context) error {
	err := s.once(ctx, operation{name: "HeadBucket"}, func(ctx context.Context, _ *watch) error {
		_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.config.Bucket}, singleAttempt)
		return err
	})
	return s.explain(err, "s3:ListBucket")
}

func (s *Store) encryption() (types.ServerSideEncryption, *string) {
	if s.config.KMSKeyID == "" {
		return "", nil
	}
	return types.ServerSideEncryptionAwsKms, &s.config.KMSKeyID
}
