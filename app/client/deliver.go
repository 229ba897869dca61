package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// errInterrupted ends a run whose context is done.
var errInterrupted = errors.New("interrupted")

// deliver sends the instances of one batch until each is stored or has failed. Every
// attempt is a new request with only those that no answer has settled yet. A request that
// is too large is halved. In the first pass, what has failed for now in all its attempts is
// postponed to the second. What is pending when ctx ends stays so.
//
// Attempts are counted while the service is there: while it is out, everything waits (see gate).
func (s *sender) deliver(ctx context.Context, batch []*instance, second bool) {
	pauses := newPauses(s.firstPause)
	tries, good := 0, s.gate.goodAnswers()
	for again := false; ; again = true {
		if again {
			s.failChanged(pendingOf(batch))
		}
		sent := pendingOf(batch)
		if len(sent) == 0 {
			return
		}
		trying, err := s.gate.pass(ctx)
		if err != nil {
			return
		}
		if err := s.announce(sent); err != nil {
			s.stop(err)
		}
		e := s.post(ctx, sent)
		v := s.settle(ctx, sent, e)
		rest := pendingOf(sent)
		if err := s.gate.report(trying, v); err != nil {
			s.stop(err)
		}
		switch v.kind {
		case refused:
			s.stop(&refusal{v.why})
			return
		case tooLarge:
			s.progress.note(describeSplit(e.answer, len(rest)))
			s.deliver(ctx, rest[:len(rest)/2], second)
			s.deliver(ctx, rest[len(rest)/2:], second)
			return
		case unsent, settled:
			continue
		case unavailable:
			// While nothing else comes through, it is the service; else it may be this batch.
			// What the service names, it has looked at.
			named := e.answer != nil && e.answer.hasModule
			now := s.gate.goodAnswers()
			if now == good && (!second || !named) {
				continue
			}
			good = now
		}
		if tries++; tries >= s.options.Attempts {
			s.giveUp(rest, second)
			return
		}
		sleep(ctx, max(pauses.NextBackOff(), v.retryAfter))
	}
}

// post sends the instances, and settle has made of the answer what it says of them.
func (s *sender) settle(ctx context.Context, sent []*instance, e exchange) verdict {
	defer func() { s.record(sent) }()
	s.progress.add(-e.bytes)
	if e.unsendable != nil {
		e.unsendable.fail(0, describeFileError(e.why))
	}
	if e.answer != nil {
		s.keep(e.answer)
		for _, i := range sent {
			i.attempts++
		}
		return e.answer.settle(pendingOf(sent))
	}
	if e.unsendable != nil || ctx.Err() != nil {
		// The service saw only a broken request: the others go at once.
		return verdict{kind: unsent}
	}
	why := describeNoAnswer(e.err)
	for _, i := range sent {
		i.attempts++
		i.unanswered = i.unanswered || e.bytes > 0 // else nothing can have arrived
		i.remember(0, why)
	}
	if hopeless(e.err) || s.gate.goodAnswers() == 0 && misdirected(e.err) {
		return verdict{kind: refused, why: why}
	}
	return verdict{kind: unavailable, why: why}
}

// giveUp ends the attempts of instances that have failed for now.
func (s *sender) giveUp(rest []*instance, second bool) {
	if !second {
		rest = s.postpone(rest)
	}
	for _, i := range rest {
		i.fail(i.reason, i.detail)
	}
	s.record(rest)
}

// failChanged fails the instances whose files have gone or changed since the walk.
func (s *sender) failChanged(instances []*instance) {
	for _, i := range instances {
		info, err := os.Stat(i.path)
		if err == nil && !i.unchanged(info) {
			err = errChanged
		}
		if err != nil {
			i.fail(0, describeFileError(err))
		}
	}
	s.record(instances)
}

// hopeless reports whether another attempt would meet the same: the certificate of the
// service is not trusted, or it does not speak TLS.
func hopeless(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification) || errors.Is(err, http.ErrSchemeMismatch)
}

// misdirected reports whether the name of the service, or of the proxy, does not exist, or
// the service has ended the TLS handshake, as for a client certificate that it does not like.
// Of a service that has answered before, either is a fault that passes.
func misdirected(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &op) && op.Op == "remote error"
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}
