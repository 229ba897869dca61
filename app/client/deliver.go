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

// request is a group of instances that are sent together, again and again, until each is stored or has failed.
type request struct {
	instances []*instance
	again     bool // it was sent before
	tries     int  // attempts that count towards --attempts
	out       int  // attempts while the service was not available
	good      int  // gate.goodAnswers when it was last read
	pauses    *backoff.ExponentialBackOff
}

func (s *sender) newRequest(instances []*instance) *request {
	return &request{instances: instances, good: s.gate.goodAnswers(), pauses: newPauses(s.firstPause)}
}

// halvedAfter is how often a request is sent while the service seems to be unavailable, before it is
// halved: maybe one of its instances makes the service fail. The halves are halved after two attempts.
const halvedAfter = 3

// halves makes two requests from the instances of one.
func (s *sender) halves(all []*instance) []*request {
	first, second := s.newRequest(all[:len(all)/2]), s.newRequest(all[len(all)/2:])
	first.out, second.out = halvedAfter-2, halvedAfter-2
	return []*request{first, second}
}

// deliver sends requests until each instance is stored or has failed. Every
// attempt is a new request that contains only the instances that are still pending. A request that
// is too large is halved. Instances that fail for a temporary reason in all attempts of the first pass are
// postponed to the second. Instances that are pending when ctx ends remain pending.
//
// Attempts are counted only while the service is available. While it is not, all requests wait (see gate), and try one after the other.
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

// try sends a request once, and returns what must be sent again; out means that the service seems to be unavailable.
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
	breaks := false // the service failed without an answer about instances; one of them may be the cause
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
		// If the answer names instances, the service has processed the request, and none of them made it fail.
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

// wait decides what follows after an attempt that met an outage. If no other request was answered in the meantime, the
// service is the cause, and the attempt does not count. Otherwise this request, or one of its instances, may be the cause.
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
	case !second && (r.tries > 0 || r.out >= 2*halvedAfter): // it failed while others were answered, or it may delay the others
		s.giveUp(pending, second)
		return nil, false
	}
	return []*request{r}, false
}

// settle applies the outcome of an exchange to the instances that it sent.
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
		// The service saw only an incomplete request, so the other instances are sent again at once.
		return verdict{kind: unsent}
	}
	why := describeNoAnswer(e.err)
	for _, i := range sent {
		i.attempts++
		i.unanswered = i.unanswered || e.bytes > 0 // without a byte of an instance, nothing can have been stored
		i.remember(0, why)
	}
	if hopeless(e.err) || s.gate.goodAnswers() == 0 && misdirected(e.err) {
		return verdict{kind: refused, why: why}
	}
	return verdict{kind: unavailable, why: why}
}

// giveUp ends the attempts for instances that failed for a temporary reason. In the first pass it postpones them to the
// second, as far as there is room; the others fail.
func (s *sender) giveUp(rest []*instance, second bool) {
	if !second {
		rest = s.postpone(rest)
	}
	for _, i := range rest {
		i.fail(i.reason, i.detail)
	}
	s.record(rest)
}

// failChanged fails the instances whose files were removed or changed after the walk.
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

// hopeless reports whether another attempt would fail in the same way: the certificate of the
// service is not trusted, or the service does not speak TLS.
func hopeless(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification) || errors.Is(err, http.ErrSchemeMismatch)
}

// misdirected reports whether the host name of the service, or of the proxy, does not exist, or
// the service refused the TLS handshake, for example because of the client certificate.
// If the service has answered before, the caller takes these errors for temporary.
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
