package s3store

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// tidyEvery is how often Tidy looks for what is due.
	tidyEvery = 5 * time.Second
	// suspectAge is left to whoever has just begun an upload under the same key: its first part
	// follows at once. After a failure it is also the time until the next try.
	suspectAge = 30 * time.Second
	// maxSuspects bounds the memory for them in an outage; the sweep finds the others.
	maxSuspects = 10_000
)

// Tidy aborts multipart uploads that nobody goes on with, until ctx ends. Those that a
// kill -9 or a power cut left behind are found at start and then every half of age:
// the service's own, to which nothing was added for age. Those whose
// CreateMultipartUpload was answered, but not to us, and those that could not be
// aborted in an outage, are gone within a minute.
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
		s.abortLeft(ctx)
		if due := time.Now().Add(-suspectAge); failed.Before(due) && !s.abortSuspects(ctx, due, due) {
			failed = time.Now()
		}
		if time.Since(swept) >= age/2 {
			swept = time.Now()
			aborted, err := s.Sweep(ctx, age)
			s.report(ctx, aborted, err)
		}
	}
}

func (s *Store) report(ctx context.Context, aborted int, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "sweep of multipart uploads failed", "aborted", aborted, "error", err)
	} else if aborted > 0 {
		s.log.WarnContext(ctx, "multipart uploads that nobody goes on with aborted", "aborted", aborted)
	}
}

// Settle tries again what could not be aborted, and aborts what was created without our knowledge, until nothing is left or ctx ends:
// then the next start finds it. It is for the end of the service, when nothing has just begun here.
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

// abortLeft tries again what could not be aborted, until the first that fails again, and
// says whether nothing is left.
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

// abortSuspects aborts the uploads without a part, begun before young, under the keys for which an answer was lost before due: those
// whose creator does not know of them. A suspect stays one while there are younger ones under its key. It ends at the first failure.
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

// Sweep aborts the service's own multipart uploads to which nothing was added for
// age, and which this process does not work on. An upload is the service's own when
// its key has the shape of Key under the configured prefix. It returns how many it
// aborted; an error ends it early.
func (s *Store) Sweep(ctx context.Context, age time.Duration) (int, error) {
	before := time.Now().Add(-age)
	prefix := strings.TrimSuffix(Key(s.config.Prefix, "", "", "", ""), "//")
	return s.sweep(ctx, prefix, func(u upload) bool {
		return !slices.ContainsFunc(append(u.parts, u.begun), before.Before)
	})
}

// upload is a multipart upload as S3 knows it.
type upload struct {
	key   string
	begun time.Time
	parts []time.Time // when they were added
}

// sweep aborts the service's own multipart uploads under prefix for which left says
// that nobody goes on with them; it is asked before their parts are known, too.
func (s *Store) sweep(ctx context.Context, prefix string, left func(upload) bool) (aborted int, err error) {
	const uid = `[0-9]+(\.[0-9]+)*`
	own := regexp.MustCompile("^" + regexp.QuoteMeta(strings.TrimSuffix(Key(s.config.Prefix, "", "", "", ""), "//")) +
		uid + "/" + uid + "/" + uid + regexp.QuoteMeta(s.config.Suffix) + "$")
	input := &s3.ListMultipartUploadsInput{Bucket: &s.config.Bucket, Prefix: &prefix}
	for more := true; more; {
		var page *s3.ListMultipartUploadsOutput
		err := s.do(ctx, s.asking, operation{name: "ListMultipartUploads"}, func(ctx context.Context, _ *watch) (err error) {
			if page, err = s.client.ListMultipartUploads(ctx, input, singleAttempt); err == nil && page.IsTruncated == nil {
				return errForeign // nothing must be thought of what it does not list
			}
			return err
		})
		if err != nil {
			return aborted, fmt.Errorf("list multipart uploads: %w", s.explain(err, "s3:ListBucketMultipartUploads"))
		}
		more = *page.IsTruncated && page.NextKeyMarker != nil
		input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		for _, listed := range page.Uploads {
			u, id := upload{key: aws.ToString(listed.Key), begun: aws.ToTime(listed.Initiated)}, aws.ToString(listed.UploadId)
			if !own.MatchString(u.key) || s.isActive(id) || !left(u) {
				continue
			}
			if u.parts, err = s.partTimes(ctx, u.key, id); err != nil {
				return aborted, err
			}
			if !left(u) {
				continue
			}
			if err := s.abort(ctx, u.key, id); err != nil {
				return aborted, fmt.Errorf("abort multipart upload: %w", s.explain(err, "s3:AbortMultipartUpload"))
			}
			aborted++
		}
	}
	return aborted, nil
}

func (s *Store) isActive(uploadID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[uploadID]
}

// partTimes are the times at which the parts of an upload were added; none when it is gone.
func (s *Store) partTimes(ctx context.Context, key, uploadID string) (times []time.Time, err error) {
	input := &s3.ListPartsInput{Bucket: &s.config.Bucket, Key: &key, UploadId: &uploadID}
	for more := true; more; {
		var page *s3.ListPartsOutput
		err := s.do(ctx, s.asking, operation{name: "ListParts"}, func(ctx context.Context, _ *watch) (err error) {
			if page, err = s.client.ListParts(ctx, input, singleAttempt); err == nil && page.IsTruncated == nil {
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
		more = *page.IsTruncated && page.NextPartNumberMarker != nil
		input.PartNumberMarker = page.NextPartNumberMarker
		for _, p := range page.Parts {
			times = append(times, aws.ToTime(p.LastModified))
		}
	}
	return times, nil
}
