// Package client is the STOW-RS client behind `stowrs send`: it finds DICOM instances in
// files and folders, sends them in Store transactions (PS3.18 §10.5) and continues until
// each is stored or has failed for a reason that another attempt would not change.
//
// Files are sent unchanged, byte for byte, streamed from disk. An instance counts as
// stored only if an answer names it in ReferencedSOPSequence (0008,1199); a status alone
// is not sufficient. (The one exception is counted separately: see Counts.Unverified.)
//
// Memory does not grow with the number of files: see walk, batches and tally.
package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// firstPause is the pause before the second attempt; each later pause is twice as long (±25 %).
const firstPause = time.Second

// mostPostponed is how many instances can wait in memory for the second pass.
const mostPostponed = 10_000

// Send sends the instances in o.Paths to o.URL. It writes progress and skipped files to stderr,
// and the summary (with o.Response, the last response before it) to stdout.
//
// The error reports why Send could not begin (a *UsageError: options that cannot be used, or
// a path that does not exist), what could not be written, or that there was no instance. Everything else is in the Summary.
func Send(ctx context.Context, o Options, stdout, stderr io.Writer) (Summary, error) {
	return send(ctx, o, stdout, stderr, firstPause)
}

func send(ctx context.Context, o Options, stdout, stderr io.Writer, pause time.Duration) (Summary, error) {
	o = o.withStandardInput()
	s, w, err := prepare(o, pause)
	if err != nil {
		return Summary{}, &UsageError{err}
	}
	defer s.client.CloseIdleConnections()
	if s.journal, err = openJournal(o.journal(), s.target); err != nil {
		return Summary{}, &UsageError{err}
	}
	report, err := openReport(o.Report)
	if err != nil {
		return Summary{}, &UsageError{err}
	}
	s.begin(newTally(report), stderr)
	if o.Insecure {
		s.progress.note(describeInsecure())
	}
	summary := s.run(ctx, w)

	out := &lines{w: stdout}
	if o.Response && s.last != nil {
		out.response(s.last)
	}
	failures, warnings := s.tally.groups()
	out.summary(summary, failures, warnings)
	if summary.Stopped != nil {
		out.print(describeGoOn(o))
	}
	if err := errors.Join(s.journal.close(), report.close()); err != nil {
		return summary, err
	}
	if summary.Stopped == nil && summary.Stored+summary.Failed+summary.Before+summary.Ready == 0 {
		return summary, errNothing
	}
	return summary, out.err
}

// prepare checks options and paths before anything is sent.
func prepare(o Options, pause time.Duration) (*sender, *walk, error) {
	if err := o.validate(); err != nil {
		return nil, nil, err
	}
	target, err := o.target()
	if err != nil {
		return nil, nil, err
	}
	client, err := newHTTPClient(o)
	if err != nil {
		return nil, nil, err
	}
	s := &sender{options: o, target: target, client: client, firstPause: pause, limiter: newLimiter(o.BandwidthLimit)}
	w := s.newWalk()
	if err := w.begin(o.Paths); err != nil {
		return nil, nil, err
	}
	return s, w, w.openList(o.FilesFrom)
}

// sender is the state that the requests of one Send share.
type sender struct {
	options    Options
	target     *url.URL
	client     *http.Client
	firstPause time.Duration
	tally      *tally
	progress   *progress
	gate       *gate
	pace       *pace
	limiter    *rate.Limiter // nil: none
	journal    *journal
	batches    *batches
	unpacker   unpacker
	census     *census                 // of a dry run
	stop       context.CancelCauseFunc // ends the run
	expect     atomic.Bool             // the server has not refused Expect: 100-continue

	mu        sync.Mutex
	last      *answer     // the latest one
	postponed []*instance // for the second pass
}

func (s *sender) newWalk() *walk {
	return &walk{
		wanted:   s.options.filter(),
		unpacker: &s.unpacker,
		found: func(ctx context.Context, c candidate) error {
			if s.journal.knows(c) {
				s.tally.count(func(counts *Counts) { counts.Before++; counts.BeforeBytes += c.size })
				return nil
			}
			s.tally.count(func(counts *Counts) { counts.Found++; counts.FoundBytes += c.size })
			return s.batches.put(ctx, c)
		},
		pass: s.skip,
		fail: func(path string, err error) {
			i := &instance{candidate: candidate{path: path}}
			i.fail(0, describeFileError(err))
			s.record([]*instance{i})
		},
	}
}

// begin sets up what run needs.
func (s *sender) begin(t *tally, stderr io.Writer) {
	s.tally, s.progress = t, newProgress(stderr, t)
	s.gate = newGate(s.options.MaxWait, s.firstPause, s.progress.note)
	s.progress.pause = s.gate.pause
	s.pace = newPace(s.options.Parallel)
	s.census = newCensus()
	s.batches = newBatches(s.options.Batch, int64(s.options.BatchBytes))
	s.expect.Store(true)
}

// run returns when each file is stored, skipped or has failed, or when the run is stopped.
func (s *sender) run(ctx context.Context, w *walk) Summary {
	started := time.Now()
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	s.unpacker.stopped = ctx.Err
	if !s.options.DryRun {
		s.progress.note(describeStart(s.target))
		s.tell(outcomeWalking)
	}
	done := make(chan struct{})
	var teller, workers sync.WaitGroup
	teller.Go(func() { s.progress.run(done) })
	workers.Go(func() { // ends with the walk, or ctx
		defer close(s.batches.queue)
		if w.run(ctx) == nil {
			s.tally.count(func(counts *Counts) { counts.Walked = true })
		}
	})
	for range s.options.Parallel {
		workers.Go(func() {
			for s.sendNext(ctx) {
			}
		})
	}
	workers.Wait()
	s.secondPass(ctx)
	if !s.options.DryRun && ctx.Err() == nil {
		s.tell(outcomeWalked)
	}
	_ = s.unpacker.close() // the files were only read
	close(done)
	teller.Wait()
	summary := Summary{Counts: s.tally.snapshot(), Duration: time.Since(started)}
	if ctx.Err() != nil {
		if summary.Stopped = context.Cause(ctx); errors.Is(summary.Stopped, context.Canceled) {
			summary.Stopped = errInterrupted
		}
	}
	return summary
}

// sendFiles identifies the files of a batch and sends those that are instances.
func (s *sender) sendFiles(ctx context.Context, files []candidate) {
	var batch []*instance
	for _, file := range files {
		if ctx.Err() != nil {
			return
		}
		i, err := identify(file)
		if ctx.Err() != nil { // this may be the reason why the file could not be read
			return
		}
		if err != nil { // dicom.ErrNotDICOM, the only possible error
			s.progress.add(file.size)
			s.skip(file.path, "not DICOM")
			continue
		}
		i.unanswered = s.journal.wasSending(file)
		batch = append(batch, i)
	}
	s.record(batch)
	if s.options.DryRun {
		s.leave(pendingOf(batch))
		return
	}
	s.deliver(ctx, apart(pendingOf(batch)), false)
}

// sendNext sends one batch; false: there is no further batch, or the run is stopped.
func (s *sender) sendNext(ctx context.Context) bool {
	if !s.pace.enter(ctx) {
		return false
	}
	defer s.pace.leave()
	batch := s.batches.take(ctx)
	s.sendFiles(ctx, batch)
	return len(batch) > 0
}

// announce records in the journal which instances are sent for the first time, so
// that a later run knows that they may be stored.
func (s *sender) announce(instances []*instance) error {
	var first []*instance
	for _, i := range instances {
		if !i.begun {
			i.begun = true
			first = append(first, i)
		}
	}
	return s.journal.begin(first)
}

// record counts the instances whose fate is known, and writes it into the journal.
func (s *sender) record(instances []*instance) {
	var settled []*instance
	for _, i := range instances {
		if i.fate != pending && !i.told {
			i.told = true
			settled = append(settled, i)
		}
	}
	if !s.options.DryRun {
		if err := s.journal.settle(settled); err != nil {
			s.stop(err)
		}
	}
	for _, i := range settled {
		s.progress.add(i.size)
		s.tally.settle(i)
	}
}

// tell writes into the journal how far the run has come.
func (s *sender) tell(outcome string) {
	if err := s.journal.tell(s.options.inputs(), outcome); err != nil {
		s.stop(err)
	}
}

func (s *sender) skip(path, why string) {
	tell, last := s.tally.skip(path, why)
	if tell {
		s.progress.note(describeSkip(path, why))
	}
	if last {
		s.progress.note(describeMoreSkips())
	}
}

func (s *sender) keep(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = a
}
