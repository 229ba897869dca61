// Package client is the STOW-RS client behind `stowrs send`: it finds DICOM instances in
// files and folders, sends them in Store transactions (PS3.18 §10.5) and goes on until
// each is stored or has failed for a reason that another attempt would not change.
//
// What is sent is the file, byte for byte, streamed from disk. An instance counts as
// stored only if an answer names it in ReferencedSOPSequence (0008,1199); a status alone
// is not believed.
package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// Summary is the outcome of Send. Stored, Failures and Skipped together count every file found.
type Summary struct {
	Stored   int           // instances
	Bytes    int64         // of the stored instances
	Duration time.Duration // from the first request to the last answer
	Skipped  int           // files that are no instances
	Failures []Failure     // in the order of the walk
	Warnings []Warning     // of stored instances, in the order of the walk
}

// Failure is an instance that was not stored, or a path that could not be read.
type Failure struct {
	Path           string
	SOPInstanceUID string               // empty if the file does not tell
	Reason         storeresponse.Reason // zero if it is not the instance that was refused; then Detail says why
	Detail         string               // in words; may be empty if Reason is not zero
	Attempts       int                  // requests that carried the instance
}

// Warning is a stored instance of which the service had something to say.
type Warning struct {
	Path           string
	SOPInstanceUID string
	Reason         storeresponse.Reason
}

// firstPause is before the second attempt; each later one is twice as long (±25 %).
const firstPause = time.Second

// Send sends what o.Paths hold to o.URL. It writes progress and skipped files to stderr,
// and the summary (with o.Response the last response before it) to stdout.
//
// The error reports options that cannot be used, a path that does not exist, no instance
// in the paths, or a context cancelled before anything was sent. Everything later is in
// Summary.Failures: when ctx is cancelled, the requests under way end and what has not
// been reported stored by then has failed.
func Send(ctx context.Context, o Options, stdout, stderr io.Writer) (Summary, error) {
	return send(ctx, o, stdout, stderr, firstPause)
}

func send(ctx context.Context, o Options, stdout, stderr io.Writer, pause time.Duration) (Summary, error) {
	if err := o.validate(); err != nil {
		return Summary{}, err
	}
	target, err := o.target()
	if err != nil {
		return Summary{}, err
	}
	client, err := newHTTPClient(o)
	if err != nil {
		return Summary{}, err
	}
	defer client.CloseIdleConnections()
	out := &lines{w: stderr}
	if o.Insecure {
		out.print(describeInsecure())
	}
	found, err := scanPaths(ctx, o.Paths, func(path, why string) { out.print(describeSkip(path, why)) })
	if err != nil {
		return Summary{}, err
	}
	if len(found.instances) == 0 {
		return Summary{}, describeNothing(o.Paths, found.skipped)
	}

	s := &sender{options: o, target: target, client: client, firstPause: pause}
	s.expect.Store(true)
	started := time.Now()
	s.sendAll(ctx, found.instances, stderr)
	summary := summarise(found, time.Since(started))

	report := &lines{w: stdout}
	if o.Response && s.last != nil {
		report.response(s.last)
	}
	report.summary(summary)
	return summary, report.err
}

// sender is the state that the requests of one Send share.
type sender struct {
	options    Options
	target     *url.URL
	client     *http.Client
	firstPause time.Duration
	progress   *progress
	expect     atomic.Bool // the server has not refused Expect: 100-continue

	mu      sync.Mutex
	last    *answer // the latest
	stopped error   // why no more batches are begun; nil: they are
}

// sendAll returns when every instance has its fate.
func (s *sender) sendAll(ctx context.Context, instances []*instance, stderr io.Writer) {
	queue := withFate(instances, pending)
	all := batches(queue, s.options.Batch, int64(s.options.BatchBytes))
	s.progress = newProgress(stderr, bytesOf(queue))
	defer s.progress.finish()
	if len(queue) > 0 {
		s.progress.line(describeStart(len(queue), bytesOf(queue), len(all), s.target))
	}
	next := make(chan []*instance)
	var workers sync.WaitGroup
	for range min(s.options.Parallel, len(all)) {
		workers.Go(func() { // ends when next is closed
			for batch := range next {
				if why := s.whyStopped(ctx); why != nil {
					failAll(batch, describeUnsent(why))
					continue
				}
				s.deliver(ctx, batch)
			}
		})
	}
	for _, batch := range all {
		next <- batch
	}
	close(next)
	workers.Wait()
}

// stop makes the batches that have not begun fail for the same reason.
func (s *sender) stop(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = why
}

func (s *sender) whyStopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *sender) keep(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = a
}

func summarise(found *scan, duration time.Duration) Summary {
	summary := Summary{Duration: duration, Skipped: found.skipped}
	for _, i := range found.instances {
		if i.fate != stored {
			summary.Failures = append(summary.Failures, Failure{
				Path: i.path, SOPInstanceUID: i.sopInstanceUID, Reason: i.reason, Detail: i.detail, Attempts: i.attempts,
			})
			continue
		}
		summary.Stored++
		summary.Bytes += i.size
		if i.warning != 0 {
			summary.Warnings = append(summary.Warnings, Warning{Path: i.path, SOPInstanceUID: i.sopInstanceUID, Reason: i.warning})
		}
	}
	return summary
}
