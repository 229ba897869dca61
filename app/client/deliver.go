package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// errInterrupted ends a run whose context is done.
var errInterrupted = errors.New("interrupted")

// request is what goes together, until each of its instances has a fate.
type request struct {
	instances []*instance
	again     bool // it was sent before
	tries     int  // that count
	out       int  // tries while the service was out
	good      int  // answers of a service that is there, when they were last looked at
	pauses    *backoff.ExponentialBackOff
}

func (s *sender) newRequest(instances []*instance) *request {
	return &request{instances: instances, good: s.gate.goodAnswers(), pauses: newPauses(s.firstPause)}
}

// halvedAfter is how often a request is sent while the service seems to be out, before it is
// halved: it may be one of its instances that the service breaks at. Its halves are halved after two.
const halvedAfter = 3

// halves are two requests instead of one.
func (s *sender) halves(all []*instance) []*request {
	first, second := s.newRequest(all[:len(all)/2]), s.newRequest(all[len(all)/2:])
	first.out, second.out = halvedAfter-2, halvedAfter-2
	return []*request{first, second}
}

// deliver sends requests until each instance is stored or has failed. Every
// attempt is a new request with only those that no answer has settled yet. A request that
// is too large is halved. In the first pass, what has failed for now in all its attempts is
// postponed to the second. What is pending when ctx ends stays so.
//
// Attempts are counted while the service is there: while it is out, everything waits (see gate), and the requests take turns.
func (s *sender) deliver(ctx context.Context, batches [][]*instance, second bool) {
	var queue []*request
	for _, batch := range batches {
		queue = append(queue, s.newRequest(batch))
	}
	for len(queue) > 0 {
		first, others := queue[0], queue[1:]
		rest, out := s.try(ctx, first, second)
		if out {
			queue = slices.Concat(others, rest)
		} else {
			queue = slices.Concat(rest, others)
		}
	}
}

// try sends a request once, and gives what is to be sent of it still; out says that the service seems to be out.
func (s *sender) try(ctx context.Context, r *request, second bool) (rest []*request, out bool) {
	if r.again {
		s.failChanged(pendingOf(r.instances))
	}
	r.again = true
	sent := pendingOf(r.instances)
	if len(sent) == 0 {
		return nil, false
	}
	trying, err := s.gate.pass(ctx)
	if err != nil {
		return nil, false
	}
	if err := s.announce(sent); err != nil {
		s.stop(err)
	}
	e := s.post(ctx, sent)
	v := s.settle(ctx, sent, e)
	pending := pendingOf(sent)
	s.pace.answered(time.Now(), len(sent)-len(pending), e.bytes, v.kind)
	if err := s.gate.report(trying, v); err != nil {
		s.stop(err)
	}
	breaks := false // and maybe at one of the instances
	switch v.kind {
	case refused:
		s.stop(&refusal{v.why})
		return nil, false
	case tooLarge:
		s.progress.note(describeSplit(e.answer, len(pending)))
		return s.halves(pending), false
	case unsent, settled:
		return []*request{r}, false
	case unavailable:
		// What the service names, it has looked at.
		named := e.answer != nil && e.answer.hasModule
		if rest, counts := s.wait(r, pending, second, named); !counts {
			return rest, true
		}
		breaks = !named
	}
	if r.tries++; r.tries >= s.options.Attempts {
		if breaks && second && len(pending) > 1 {
			return s.halves(pending), true
		}
		s.giveUp(pending, second)
		return nil, false
	}
	sleep(ctx, max(r.pauses.NextBackOff(), v.retryAfter))
	return []*request{r}, v.kind == unavailable
}

// wait is for a request that met an outage. While nothing else comes through, it is the service, and the try does not count; else
// it may be this request, or one of its instances.
func (s *sender) wait(r *request, pending []*instance, second, named bool) (rest []*request, counts bool) {
	now := s.gate.goodAnswers()
	if now != r.good || second && named {
		r.good = now
		return nil, true
	}
	r.out++
	switch {
	case named || r.out < halvedAfter:
	case len(pending) > 1:
		return s.halves(pending), false
	case !second && (r.tries > 0 || r.out >= 2*halvedAfter): // it has failed while others came through, or may keep them from being tried
		s.giveUp(pending, second)
		return nil, false
	}
	return []*request{r}, false
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
		info, err := i.stat()
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
