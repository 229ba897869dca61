package s3store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

const (
	// stallTimeout ends an attempt that makes no progress: S3 answers within seconds,
	// and takes bytes all the time.
	stallTimeout = 30 * time.Second
	// completeTimeout is that of CompleteMultipartUpload, which may take minutes
	// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
	completeTimeout = 10 * time.Minute

	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// operation is a kind of S3 request.
type operation struct {
	name     string
	stores   bool          // its outcome tells whether instances can be stored
	single   bool          // one attempt: somebody else comes back to it
	detached bool          // an attempt that was begun goes on when the context ends: its answer is wanted
	stall    time.Duration // zero: stallTimeout
}

// do does one S3 request: it waits for a slot, however long that takes, and tries
// for RetryTime. call makes one attempt.
func (s *Store) do(ctx context.Context, slots *slots, op operation, call func(context.Context, *watch) error) error {
	start := time.Now()
	err := s.try(ctx, slots, op, call)
	if s.config.Observe != nil {
		s.config.Observe(op.name, time.Since(start), err)
	}
	if isSlowDown(err) {
		err = errors.Join(ErrSlowDown, err)
	}
	s.note(op, err)
	return err
}

func (s *Store) try(ctx context.Context, slots *slots, op operation, call func(context.Context, *watch) error) error {
	outlasted := s.outlasted()
	var tried time.Duration // without the waiting for slots
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := slots.acquire(ctx); err != nil {
			return err
		}
		begun := time.Now()
		err := s.once(ctx, op, call)
		slots.release(err)
		tried += time.Since(begun)
		if err == nil || op.single || !op.passes(err) || ctx.Err() != nil || tried >= s.config.RetryTime || outlasted {
			return err
		}
		jittered := min(pause/2+rand.N(pause/2), s.config.RetryTime-tried) //nolint:gosec // no secret
		tried += jittered
		select {
		case <-ctx.Done():
			return err
		case <-time.After(jittered):
		}
	}
}

// outlasted says that nothing could be stored for RetryTime, up to now: whoever comes now
// need not wait as long again to learn of it.
func (s *Store) outlasted() bool {
	const upToNow = 5 * time.Second
	h := s.Health()
	return h.Failure != nil && time.Since(h.FailingSince) > s.config.RetryTime && time.Since(h.FailedAt) < upToNow
}

// once makes one attempt, and cuts it when it makes no progress.
func (s *Store) once(ctx context.Context, op operation, call func(context.Context, *watch) error) error {
	attempt := ctx
	if op.detached {
		attempt = context.WithoutCancel(ctx)
	}
	attempt, cancel := context.WithCancelCause(attempt)
	defer cancel(nil)
	w := &watch{after: op.stall}
	if w.after == 0 {
		w.after = min(stallTimeout, max(s.config.RetryTime, time.Second))
	}
	w.timer = time.AfterFunc(w.after, func() { cancel(errStall) })
	defer w.timer.Stop()
	err := call(attempt, w)
	if err != nil && errors.Is(context.Cause(attempt), errStall) {
		err = fmt.Errorf("%w in %s: %w", errStall, w.after, err)
	}
	if err != nil {
		err = briefError{err}
	}
	s.note(op, err)
	return err
}

// briefError tells what an attempt met in no more words than a record, and readiness, should have: S3's, or a stranger's in its place.
type briefError struct{ error }

const briefBytes = 1000

// Error implements error.
func (e briefError) Error() string {
	text := e.error.Error()
	if len(text) > briefBytes {
		text = text[:briefBytes] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// Unwrap gives the error itself.
func (e briefError) Unwrap() error { return e.error }

var errStall = errors.New("S3 has made no progress")

// watch ends an attempt after a while without progress.
type watch struct {
	timer *time.Timer
	after time.Duration
}

func (w *watch) progress() { w.timer.Reset(w.after) }

// singleAttempt keeps the SDK from trying again by itself: its quota of retries is one for
// the whole process, and it counts attempts and not time.
func singleAttempt(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// passes says whether the same request may succeed a little later: whenever S3 has
// not answered, or has blamed itself. After a conflict of conditional writes a
// PutObject may be repeated; the parts of a CompleteMultipartUpload are gone
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
func (op operation) passes(err error) bool {
	switch status := statusCode(err); {
	case status == 0, status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return true
	}
	switch errorCode(err) {
	case "RequestTimeout", "ExpiredToken", "RequestTimeTooSkewed", "OperationAborted":
		return true
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch": // damaged on the way; the right bytes are here
		return true
	case conditionalRequestConflict:
		return op.name == "PutObject"
	}
	return isSlowDown(err)
}

func isSlowDown(err error) bool {
	switch errorCode(err) {
	case "SlowDown", "ServiceUnavailable", "ThrottlingException", "Throttling", "TooManyRequests", "RequestLimitExceeded":
		return true
	}
	status := statusCode(err)
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

// isRefusal says that S3 answered as it was asked to, and did nothing for a
// condition that the request set, or since the upload is gone.
func isRefusal(err error) bool {
	switch errorCode(err) {
	case conditionalRequestConflict, "PreconditionFailed", "NoSuchUpload":
		return true
	}
	return errors.Is(err, context.Canceled)
}

// statusCode is the HTTP status of an S3 error; 0 when there was no answer, or one of
// success that broke off, so that it cannot be told what it said.
func statusCode(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusMultipleChoices {
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
