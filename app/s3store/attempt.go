package s3store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"stowrs-to-s3/app/trace"
)

const (
	// stallTimeout ends an attempt that makes no progress: normally S3 answers within seconds,
	// and accepts bytes continuously.
	stallTimeout = 30 * time.Second
	// completeTimeout is the same for CompleteMultipartUpload, which may take minutes
	// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
	completeTimeout = 10 * time.Minute

	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// operation is a kind of S3 request.
type operation struct {
	name     string
	stores   bool          // its result shows whether instances can be stored
	single   bool          // only one attempt: another part of the program tries again later
	detached bool          // an attempt that has begun continues after the context ends, because its answer is needed
	stall    time.Duration // zero: stallTimeout
}

// do makes one S3 request: it waits for a slot without a limit, and retries
// for RetryTime. call makes one attempt.
func (s *Store) do(ctx context.Context, slots *slots, op operation, call func(context.Context, *watch) error) error {
	start := time.Now()
	ctx, span := trace.S3(ctx, op.name)
	err := s.try(ctx, slots, op, call)
	span.End(errorType(err))
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
	var tried time.Duration // without the time of waiting for slots
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := slots.acquire(ctx); err != nil {
			return err
		}
		begun := time.Now()
		trace.Event(ctx, "attempt", "") // behind the wait for a slot
		err := s.once(ctx, op, call)
		slots.release(err)
		tried += time.Since(begun)
		if err == nil || op.single || !op.passes(err) || ctx.Err() != nil || tried >= s.config.RetryTime || outlasted {
			return err
		}
		trace.Event(ctx, "attempt failed", errorType(err))
		jittered := min(pause/2+rand.N(pause/2), s.config.RetryTime-tried) //nolint:gosec // no secret
		tried += jittered
		select {
		case <-ctx.Done():
			return err
		case <-time.After(jittered):
		}
	}
}

// outlasted says that nothing could be stored for RetryTime, up to now: a new request
// need not wait as long again to find this out.
func (s *Store) outlasted() bool {
	const upToNow = 5 * time.Second
	h := s.Health()
	return h.Failure != nil && time.Since(h.FailingSince) > s.config.RetryTime && time.Since(h.FailedAt) < upToNow
}

// once makes one attempt, and cancels it if it makes no progress.
func (s *Store) once(ctx context.Context, op operation, call func(context.Context, *watch) error) error {
	attempt := ctx
	if op.detached {
		attempt = context.WithoutCancel(ctx)
	}
	attempt, cancel := context.WithCancelCause(attempt)
	defer cancel(nil)
	after := op.stall
	if after == 0 {
		after = min(stallTimeout, max(s.config.RetryTime/2, time.Second)) // so that an answer that never comes costs no instance
	}
	w := newWatch(after, func() { cancel(errStall) })
	defer w.end()
	err := call(w.context(attempt), w)
	if err != nil && errors.Is(context.Cause(attempt), errStall) {
		err = fmt.Errorf("%w in %s: %s", errStall, after, err.Error()) // not wrapped: it is not the end of the request's context
	}
	if err != nil {
		err = briefError{err}
	}
	s.note(op, err)
	return err
}

// briefError is an error of an attempt whose text is short enough for a record and for readiness; the text may be from S3, or from a stranger in its place.
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

// Unwrap returns the error itself.
func (e briefError) Unwrap() error { return e.error }

// singleAttempt turns the SDK's own retries off: its retry quota is shared by the whole
// process, and it counts attempts, not time.
func singleAttempt(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// passes says whether the same request may succeed a little later: whenever S3 has
// not answered, or has reported an error of its own. After a conflict of conditional writes a
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
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody": // damaged on the way; the correct bytes are still here
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

// isRefusal says that S3 answered correctly, but did nothing because of a condition that
// the request set, or because the upload no longer exists.
func isRefusal(err error) bool {
	switch errorCode(err) {
	case conditionalRequestConflict, "PreconditionFailed", "NoSuchUpload":
		return true
	}
	return errors.Is(err, context.Canceled)
}

// statusCode is the HTTP status of an S3 error; 0 if there was no answer, or a successful
// answer that broke off, so that its content is unknown.
func statusCode(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusMultipleChoices {
		return response.HTTPStatusCode()
	}
	return 0
}

// errorCode is the code of an S3 error, such as NoSuchKey; empty if there was no answer.
func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// errorType is the error.type of err in a trace: the code or the status of S3, or a word for an error of our own; empty: there is no error. It is never the text of
// the error, which may contain a key, nor a code with other characters than letters, which a server other than S3 may send.
func errorType(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, errStall):
		return "timeout"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, ErrDuplicate):
		return "duplicate"
	}
	noLetter := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	if code := errorCode(err); code != "" && len(code) <= 64 && !strings.ContainsFunc(code, noLetter) {
		return code
	}
	if status := statusCode(err); status != 0 {
		return strconv.Itoa(status)
	}
	return "_OTHER"
}
