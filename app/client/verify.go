package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"stowrs-to-s3/app/dicom"
)

// Verified is the outcome of Verify.
type Verified struct {
	There      int64 // instances that are stored; with checksums, that are stored with the same bytes
	Missing    int64 // instances that are not stored
	Unverified int64 // instances of a journal whose UIDs are stored, but with unknown bytes (see Counts.Unverified); zero with checksums
	Different  int64 // objects with different bytes, or without a checksum to compare
	Failed     int64 // instances whose state is unknown: the file cannot be read, or the service gives no answer about them
	Skipped    int64 // files that are not instances
	Stopped    error // why the run ended early; nil: it did not
}

// VerifyExitCode is the exit code of a process after Verify returned these results; --help lists the codes.
func VerifyExitCode(v Verified, err error) int {
	return ExitCode(Summary{Counts: Counts{Failed: v.Missing + v.Unverified + v.Different + v.Failed}, Stopped: v.Stopped}, err)
}

// Verify asks a service which of the instances in o.Paths, or in o.Journal, it has stored (storage commitment, PS3.18 §13). To
// stdout it writes a line for each instance that is not stored, and then the numbers. Memory does not grow with the number of files.
//
// The error reports why Verify could not begin (a *UsageError), what could not be written, or that there was no instance. Everything
// else is in Verified.
func Verify(ctx context.Context, o VerifyOptions, stdout, stderr io.Writer) (Verified, error) {
	return verify(ctx, o, stdout, stderr, firstPause)
}

func verify(ctx context.Context, o VerifyOptions, stdout, stderr io.Writer, pause time.Duration) (Verified, error) {
	v, err := newVerifier(o, stdout, stderr, pause)
	if err != nil {
		return Verified{}, &UsageError{err}
	}
	if err := v.run(ctx); err != nil {
		return Verified{}, &UsageError{err}
	}
	r := v.verified
	v.out.print(describeVerified(r, o.Checksums))
	if r.There > 0 && !o.Checksums {
		v.out.print(describeByName)
	}
	if r.Stopped != nil {
		v.out.print("stopped before the end: " + r.Stopped.Error())
	}
	if r.Stopped == nil && r.There+r.Missing+r.Unverified+r.Different+r.Failed == 0 {
		return r, errNothing
	}
	return r, v.out.err
}

// verifier is the state of one Verify.
type verifier struct {
	options VerifyOptions
	access  Options
	base    *url.URL // of the service, without /studies; nil: only S3 is asked
	target  *url.URL
	client  *http.Client
	gate    *gate
	walk    *walk
	batches *batches
	asked   chan []*asked // batches to ask about
	stop    context.CancelCauseFunc

	unpacker unpacker

	mu       sync.Mutex
	out      *lines
	notes    *lines
	verified Verified
}

// asked is one instance.
type asked struct {
	path                    string
	file                    candidate // for its checksum; its path is empty for an instance of a journal
	study, series, instance string
	class                   string // SOP Class UID; empty: unknown, because a journal does not contain it
	crc64nvme               string // of the file; empty: not yet known
	outcome                 string // in a journal

	run  fingerprint // in a journal: the inputs of its run
	runs int         // in a journal: the number of its run, from 1
}

func newVerifier(o VerifyOptions, stdout, stderr io.Writer, pause time.Duration) (*verifier, error) {
	v := &verifier{options: o, access: o.options(), out: &lines{w: stdout}, notes: &lines{w: stderr}, asked: make(chan []*asked)}
	if o.URL == "" {
		v.access.URL = "http://localhost" // only for validate: no request is sent to it
	}
	if err := v.options.validate(); err != nil {
		return nil, err
	}
	var err error
	if v.target, err = v.access.target(); err != nil {
		return nil, err
	}
	if o.URL != "" {
		base := *v.target
		base.Path = studiesPath.ReplaceAllString(base.Path, "")
		base.RawPath = ""
		v.base = &base
	}
	if v.client, err = newHTTPClient(v.access); err != nil {
		return nil, err
	}
	v.gate = newGate(o.MaxWait, pause, v.note)
	v.batches = newBatches(o.Batch, 1<<62)
	v.walk = &walk{
		wanted: v.access.filter(), found: v.batches.put, unpacker: &v.unpacker,
		pass: v.skip,
		fail: func(path string, err error) { v.fail(path, describeFileError(err)) },
	}
	if o.Journal != "" {
		return v, nil
	}
	if err := v.walk.begin(o.Paths); err != nil {
		return nil, err
	}
	return v, v.walk.openList(o.FilesFrom)
}

// run asks about all instances. Its only error is that of a journal that cannot be read.
func (v *verifier) run(ctx context.Context) (err error) {
	defer v.client.CloseIdleConnections()
	ctx, v.stop = context.WithCancelCause(ctx)
	defer v.stop(nil)
	v.unpacker.stopped = ctx.Err
	defer v.unpacker.close() // the files were only read
	var workers, finders sync.WaitGroup
	if v.options.Journal != "" {
		finders.Go(func() { err = v.readJournal(ctx) })
	} else {
		finders.Go(func() {
			defer close(v.batches.queue)
			_ = v.walk.run(ctx) // the only error is that of ctx
		})
		for range v.options.Parallel {
			finders.Go(func() { v.identify(ctx) })
		}
	}
	for range v.options.Parallel {
		workers.Go(func() {
			for batch := range v.asked {
				v.verify(ctx, batch)
			}
		})
	}
	finders.Wait()
	close(v.asked)
	workers.Wait()
	if ctx.Err() != nil {
		if v.verified.Stopped = context.Cause(ctx); errors.Is(v.verified.Stopped, context.Canceled) {
			v.verified.Stopped = errInterrupted
		}
	}
	return err
}

// identify reads the UIDs of files, batch by batch, and hands the instances over.
func (v *verifier) identify(ctx context.Context) {
	for {
		files := v.batches.take(ctx)
		if len(files) == 0 {
			return
		}
		var batch []*asked
		for _, file := range files {
			i, err := identify(file)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				v.skip(file.path, "not DICOM")
			case i.fate == failed:
				v.fail(i.path, i.detail)
			default:
				batch = append(batch, &asked{path: i.path, file: file, class: i.sopClassUID, study: i.studyInstanceUID, series: i.seriesInstanceUID, instance: i.sopInstanceUID})
			}
		}
		v.hand(ctx, batch)
	}
}

// hand gives a batch to the next free worker.
func (v *verifier) hand(ctx context.Context, batch []*asked) {
	select {
	case v.asked <- batch:
	case <-ctx.Done():
	}
}

// verify asks about a batch. Instances that have not been asked about when ctx ends are not counted.
func (v *verifier) verify(ctx context.Context, batch []*asked) {
	batch = slices.DeleteFunc(batch, func(a *asked) bool {
		named := dicom.ValidUID(a.study) && dicom.ValidUID(a.series) && dicom.ValidUID(a.instance)
		if !named {
			v.missing(a, "one of its UIDs is not a UID, so that no service has stored it")
		}
		return !named
	})
	if v.base != nil && len(batch) > 0 {
		batch = v.commit(ctx, batch)
	}
	for _, a := range batch {
		if ctx.Err() != nil {
			return
		}
		switch {
		case v.options.Checksum != nil:
			v.compare(ctx, a)
		case a.outcome == outcomeUnverified:
			v.tell(func(r *Verified) { r.Unverified++ }, "unverified "+a.line()+": "+describeUnverified)
		default:
			v.count(func(r *Verified) { r.There++ })
		}
	}
}

// compare compares the checksum of an instance with that of its object in S3.
func (v *verifier) compare(ctx context.Context, a *asked) {
	want := a.crc64nvme
	switch {
	case want != "":
	case a.file.path == "":
		v.fail(a.path, "the journal has no checksum of it: ask about the file itself")
		return
	default:
		var err error
		if want, err = checksumOf(a.file); err != nil {
			v.fail(a.path, describeFileError(err))
			return
		}
	}
	got, found, err := v.options.Checksum(ctx, a.study, a.series, a.instance)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		v.fail(a.path, printable(err.Error()))
	case !found:
		v.missing(a, "there is no object")
	case got == "":
		v.tell(func(r *Verified) { r.Different++ }, "unknown    "+a.line()+": S3 has no CRC64NVME of the whole object")
	case got != want:
		v.tell(func(r *Verified) { r.Different++ }, "different  "+a.line()+": S3 has CRC64NVME "+printable(got)+", the file "+want)
	default:
		v.count(func(r *Verified) { r.There++ })
	}
}
