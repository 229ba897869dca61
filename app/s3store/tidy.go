package s3store

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

const (
	// tidyEvery is the interval of Tidy.
	tidyEvery = 5 * time.Second
	// suspectAge is the time that another process, which has just begun an upload under the same key, has to send its first
	// part. After a failure it is also the time until the next attempt.
	suspectAge = 30 * time.Second
	// maxSuspects limits the memory for them in an outage; the sweep finds the others.
	maxSuspects = 10_000
)

// Tidy aborts abandoned multipart uploads, until ctx ends. Uploads that remained after a
// kill -9 or a power cut are found at start and then every half of age:
// uploads of this service to which nothing was added for age. Uploads for which the answer to
// CreateMultipartUpload was lost, and uploads that could not be
// aborted in an outage, are aborted within a minute.
func (s *Store) Tidy(ctx context.Context, age time.Duration) {
	var swept, failed time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(tidyEvery, age/2)):
		}
		if s.Health().LastAnswer.IsZero() {
			continue
		}
		s.tidyOnce(ctx, age, &swept, &failed)
	}
}

// tidyOnce ends in time for the next sweep: a list that has no end must not keep other uploads open. swept and failed are when the last sweep began, and when
// abortSuspects last failed.
func (s *Store) tidyOnce(ctx context.Context, age time.Duration, swept, failed *time.Time) {
	round, cancel := context.WithTimeout(ctx, max(age/2, tidyEvery))
	defer cancel()
	s.abortLeft(round)
	if due := time.Now().Add(-suspectAge); failed.Before(due) && !s.abortSuspects(round, due, due) {
		*failed = time.Now()
	}
	if time.Since(*swept) >= age/2 {
		*swept = time.Now()
		aborted, err := s.Sweep(round, age)
		if err != nil && round.Err() != nil {
			err = fmt.Errorf("it did not end in time for the next one, which begins again: %w", err)
		}
		s.report(ctx, aborted, err)
	}
}

func (s *Store) report(ctx context.Context, aborted int, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "sweep of multipart uploads failed", "aborted", aborted, "error", err)
	} else if aborted > 0 {
		s.log.WarnContext(ctx, "multipart uploads that nobody goes on with aborted", "aborted", aborted)
	}
}

// Settle retries failed aborts, and aborts uploads whose creation was never answered, until none is left or ctx ends.
// The next start finds those that remain. It is for the end of the service, when no new upload begins here.
func (s *Store) Settle(ctx context.Context) {
	for begun := time.Now(); ; {
		if s.abortLeft(ctx) && s.abortSuspects(ctx, begun, time.Now().Add(-suspectAge)) && s.noSuspects() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(maxPause / 4):
		}
	}
}

// abortLeft retries failed aborts, until one fails again, and
// says whether none is left.
func (s *Store) abortLeft(ctx context.Context) bool {
	s.mu.Lock()
	left := maps.Clone(s.left)
	s.mu.Unlock()
	for id, key := range left {
		if s.abort(ctx, key, id) != nil || ctx.Err() != nil {
			return false
		}
		s.mu.Lock()
		delete(s.left, id)
		s.mu.Unlock()
	}
	return true
}

// abortSuspects aborts uploads without a part that were begun before young, under keys for which an answer was lost before due: the
// creators of these uploads do not know them. A key remains a suspect while there are younger uploads under it. abortSuspects ends at the first failure.
func (s *Store) abortSuspects(ctx context.Context, due, young time.Time) bool {
	s.mu.Lock()
	suspects := maps.Clone(s.suspects)
	s.mu.Unlock()
	for key, since := range suspects {
		if since.After(due) {
			continue
		}
		spared := false
		aborted, err := s.sweep(ctx, key, func(u upload) bool {
			if u.key != key || len(u.parts) > 0 {
				return false
			}
			spared = spared || u.begun.After(young)
			return !u.begun.After(young)
		})
		s.report(ctx, aborted, err)
		if err != nil {
			return false
		}
		s.mu.Lock()
		if !spared && s.suspects[key].Equal(since) {
			delete(s.suspects, key)
		}
		s.mu.Unlock()
	}
	return true
}

// noSuspects says that no answer to CreateMultipartUpload is missing.
func (s *Store) noSuspects() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.suspects) == 0
}

// Sweep aborts multipart uploads of this service to which nothing was added for
// age, and on which this process does not work. An upload belongs to the service if
// its key has the form of Key under the configured prefix. It returns how many it
// aborted. An error ends it early, except that of an upload that S3 refuses to list or to abort: then it continues with the others.
func (s *Store) Sweep(ctx context.Context, age time.Duration) (int, error) {
	before := time.Now().Add(-age)
	prefix := strings.TrimSuffix(Key(s.config.Prefix, "", "", "", ""), "//")
	return s.sweep(ctx, prefix, func(u upload) bool {
		return !slices.ContainsFunc(append(u.parts, u.begun), before.Before)
	})
}

// upload is a multipart upload as S3 describes it, with times of this machine's clock.
type upload struct {
	key   string
	begun time.Time
	parts []time.Time // when they were added
}

// sweep aborts multipart uploads of this service under prefix for which left says that they
// are abandoned; left is first called before their parts are known.
func (s *Store) sweep(ctx context.Context, prefix string, left func(upload) bool) (aborted int, err error) {
	const uid = `[0-9]+(\.[0-9]+)*`
	own := regexp.MustCompile("^" + regexp.QuoteMeta(strings.TrimSuffix(Key(s.config.Prefix, "", "", "", ""), "//")) +
		uid + "/" + uid + "/" + uid + regexp.QuoteMeta(s.config.Suffix) + "$")
	input := &s3.ListMultipartUploadsInput{Bucket: &s.config.Bucket, Prefix: &prefix}
	var refused error // of the last upload that S3 has refused to abort
	for more := true; more; {
		var page *s3.ListMultipartUploadsOutput
		err := s.do(ctx, s.asking, operation{name: "ListMultipartUploads"}, func(ctx context.Context, _ *watch) (err error) {
			if page, err = s.client.ListMultipartUploads(ctx, input, singleAttempt); err == nil && page.IsTruncated == nil {
				return errForeign // a list that is not from S3 proves nothing about uploads that it does not contain
			}
			return err
		})
		if err != nil {
			return aborted, fmt.Errorf("list multipart uploads: %w", s.explain(err, "s3:ListBucketMultipartUploads"))
		}
		more = *page.IsTruncated && (advances(input.KeyMarker, page.NextKeyMarker) || advances(input.UploadIdMarker, page.NextUploadIdMarker))
		input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		ahead := aheadOf(page.ResultMetadata)
		for _, listed := range page.Uploads {
			u, id := upload{key: aws.ToString(listed.Key), begun: aws.ToTime(listed.Initiated).Add(ahead)}, aws.ToString(listed.UploadId)
			if !own.MatchString(u.key) || s.isActive(id) || !left(u) {
				continue
			}
			gone, err := s.abortIf(ctx, u, id, left)
			switch {
			case err == nil && gone:
				aborted++
			case err != nil && statusCode(err) == http.StatusForbidden: // of this upload: a policy may be about some keys
				refused = err
			case err != nil:
				return aborted, err
			}
		}
	}
	return aborted, refused
}

// aheadOf is how far this machine's clock is ahead of the one by which S3 has answered; negative: it is behind. By a clock that is an hour ahead, as one
// that shows local time, the uploads of other processes would be old when they begin; by one that is behind, no upload would ever be old.
func aheadOf(answer middleware.Metadata) time.Duration {
	const noise = 5 * time.Second // S3 tells whole seconds, and its answer takes time
	at, ok := awsmiddleware.GetServerTime(answer)
	if ahead := time.Since(at); ok && ahead.Abs() > noise {
		return ahead
	}
	return 0
}

// abortIf looks at the parts of an upload, and aborts it if left says so.
func (s *Store) abortIf(ctx context.Context, u upload, id string, left func(upload) bool) (aborted bool, err error) {
	if u.parts, err = s.partTimes(ctx, u.key, id); err != nil || !left(u) {
		return false, err
	}
	if err := s.abort(ctx, u.key, id); err != nil {
		return false, fmt.Errorf("abort multipart upload: %w", s.explain(err, "s3:AbortMultipartUpload"))
	}
	return true, nil
}

func (s *Store) isActive(uploadID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[uploadID]
}

// partTimes returns the times at which the parts of an upload were added; none if the upload does not exist.
func (s *Store) partTimes(ctx context.Context, key, uploadID string) (times []time.Time, err error) {
	input := &s3.ListPartsInput{Bucket: &s.config.Bucket, Key: &key, UploadId: &uploadID}
	for more := true; more; {
		var page *s3.ListPartsOutput
		err := s.do(ctx, s.asking, operation{name: "ListParts"}, func(ctx context.Context, _ *watch) (err error) {
			page, err = s.client.ListParts(ctx, input, singleAttempt)
			if err == nil && (page.IsTruncated == nil || *page.IsTruncated && !advances(input.PartNumberMarker, page.NextPartNumberMarker)) {
				return errForeign
			}
			return err
		})
		if errorCode(err) == "NoSuchUpload" {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list parts: %w", s.explain(err, "s3:ListMultipartUploadParts"))
		}
		more = *page.IsTruncated
		input.PartNumberMarker = page.NextPartNumberMarker
		for _, p := range page.Parts {
			times = append(times, aws.ToTime(p.LastModified).Add(aheadOf(page.ResultMetadata)))
		}
	}
	return times, nil
}
