package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// errInterrupted ends a delivery whose context is done.
var errInterrupted = errors.New("interrupted")

// deliver sends the instances of one batch until each is stored or has failed. Every
// attempt is a new request with only those that no answer has settled yet. A request
// that is too large is halved.
func (s *sender) deliver(ctx context.Context, batch []*instance) {
	started := time.Now()
	var last exchange
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.RandomizationFactor = s.firstPause, 2, 0.25
	_, err := backoff.Retry(ctx,
		func() (struct{}, error) { return struct{}{}, s.attempt(ctx, batch, &last) },
		backoff.WithBackOff(pauses),
		backoff.WithMaxTries(uint(max(s.options.Attempts, 1))),
		backoff.WithMaxElapsedTime(0), // attempts are limited, their duration is not
		backoff.WithNotify(func(err error, pause time.Duration) {
			s.progress.note(describeRetry(err, len(withFate(batch, pending)), pause))
		}),
	)
	rest := withFate(batch, pending)
	if errors.Is(err, errTooLarge) {
		s.progress.note(describeSplit(last.answer, len(rest)))
		half := len(rest) / 2
		s.deliver(ctx, rest[:half])
		s.deliver(ctx, rest[half:])
		return
	}
	for _, i := range rest {
		if ctx.Err() != nil {
			i.remember(0, errInterrupted.Error())
		}
		i.fail(i.reason, i.detail)
	}
	switch {
	case ctx.Err() != nil: // the bar stays where it is
	case unreachable(err):
		s.stop(err)
	default:
		s.progress.add(bytesOf(rest))
	}
	s.progress.line(describeRequest(batch, last, time.Since(started)))
}

// attempt sends what is pending of a batch once. A file that turns out to have changed
// fails, and the others go at once, because the service saw only a broken request: such
// a request is no attempt, and there are at most as many of them as instances.
func (s *sender) attempt(ctx context.Context, batch []*instance, last *exchange) error {
	for {
		s.failChanged(withFate(batch, pending))
		sent := withFate(batch, pending)
		if len(sent) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return backoff.Permanent(errInterrupted)
		}
		*last = s.post(ctx, sent)
		err := s.settle(sent, *last)
		left := bytesOf(withFate(sent, pending))
		s.progress.add(bytesOf(sent) - left - last.bytes)
		if last.answer == nil && last.unsendable != nil {
			continue
		}
		for _, i := range sent {
			i.attempts++
		}
		return err
	}
}

// settle applies an exchange to the instances that were sent.
func (s *sender) settle(sent []*instance, e exchange) error {
	if e.unsendable != nil {
		e.unsendable.fail(0, describeFileError(e.why))
		sent = withFate(sent, pending)
	}
	if e.answer != nil {
		s.keep(e.answer)
		err := e.answer.settle(sent)
		if errors.Is(err, errTooLarge) {
			return backoff.Permanent(err)
		}
		return err
	}
	why := describeNoAnswer(e.err)
	for _, i := range sent {
		i.remember(0, why)
	}
	err := &temporaryError{why: why, cause: e.err}
	if hopeless(e.err) {
		return backoff.Permanent(err)
	}
	return err
}

// failChanged fails the instances whose files have gone or changed since the scan.
func (s *sender) failChanged(instances []*instance) {
	for _, i := range instances {
		info, err := os.Stat(i.path)
		if err == nil && !i.unchanged(info) {
			err = errChanged
		}
		if err != nil {
			i.fail(0, describeFileError(err))
			s.progress.add(i.size)
		}
	}
}

// unreachable reports whether err means that no connection could be made. The other
// batches would then fail alike, each after all its attempts.
func unreachable(err error) bool {
	var op *net.OpError
	return hopeless(err) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// hopeless reports whether another attempt would meet the same: the certificate of the
// service is not trusted, or it does not speak TLS.
func hopeless(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification) || errors.Is(err, http.ErrSchemeMismatch)
}
