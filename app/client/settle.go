package client

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"stowrs-to-s3/app/storeresponse"
)

// errTooLarge asks for the pending instances to be sent in smaller requests.
var errTooLarge = errors.New("request too large")

// temporaryError says that the pending instances may succeed when they are sent again.
type temporaryError struct {
	why        string
	retryAfter time.Duration // as the server asks; zero: it did not
	cause      error         // of a request without an answer; nil otherwise
}

func (e *temporaryError) Error() string { return e.why }

// Unwrap tells backoff.Retry how long the server asks to wait.
func (e *temporaryError) Unwrap() []error {
	var wrapped []error
	if e.cause != nil {
		wrapped = append(wrapped, e.cause)
	}
	if e.retryAfter > 0 {
		wrapped = append(wrapped, &backoff.RetryAfterError{Duration: e.retryAfter})
	}
	return wrapped
}

// settle gives each instance of a request the fate that the answer says. The error is
// nil when none is left pending, errTooLarge, or a *temporaryError.
func (a *answer) settle(sent []*instance) error {
	if a.hasModule && a.code != http.StatusRequestEntityTooLarge {
		a.settleByModule(sent)
		if len(withFate(sent, pending)) == 0 {
			return nil
		}
		return &temporaryError{why: describeAnswer(a), retryAfter: a.retryAfter(time.Now())}
	}
	switch {
	case a.code == http.StatusRequestEntityTooLarge:
		a.settleStored(sent)
		rest := withFate(sent, pending)
		if len(rest) > 1 {
			return errTooLarge
		}
		failAll(rest, describeAnswer(a))
		return nil
	case temporaryStatus(a.code):
		for _, i := range sent {
			i.remember(0, describeAnswer(a))
		}
		return &temporaryError{why: describeAnswer(a), retryAfter: a.retryAfter(time.Now())}
	default:
		failAll(sent, describeAnswer(a))
		return nil
	}
}

// temporaryStatus lists the statuses after which the same request may succeed: those of
// an overloaded, restarting or rate-limiting service, or of the proxy before it.
func temporaryStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// settleByModule goes by the Store Instances Response Module (PS3.18 Table I.1-1).
// An instance that it calls both stored and failed counts as failed.
func (a *answer) settleByModule(sent []*instance) {
	byUID := a.settleStored(sent)
	others := a.module.OtherFailures
	answered := make(map[*instance]bool)
	for _, f := range a.module.Failed {
		i := byUID[trimUID(f.SOPInstanceUID)]
		if i == nil {
			others = append(others, f.FailureReason)
			continue
		}
		answered[i] = true
		i.fate = pending
		if f.FailureReason.Temporary() {
			i.remember(f.FailureReason, "")
		} else {
			i.fail(f.FailureReason, describeFailed(f.FailureReason))
		}
	}
	var unnamed []*instance
	for _, i := range withFate(sent, pending) {
		if !answered[i] {
			unnamed = append(unnamed, i)
		}
	}
	settleUnnamed(unnamed, others)
}

// settleStored goes by ReferencedSOPSequence alone, and indexes what was sent.
func (a *answer) settleStored(sent []*instance) map[string]*instance {
	byUID := make(map[string]*instance, len(sent))
	for _, i := range sent {
		byUID[i.sopInstanceUID] = i
	}
	for _, r := range a.module.Referenced {
		if i := byUID[trimUID(r.SOPInstanceUID)]; i != nil {
			i.store(r.WarningReason)
		}
	}
	return byUID
}

// settleUnnamed deals with instances whose SOP Instance UID the answer does not say.
// Those must be the ones of OtherFailuresSequence, which gives reasons only. Where no
// more instances than reasons are left and all reasons are permanent, they have failed.
// Else it is not known which instance a reason belongs to, and they go again.
func settleUnnamed(unnamed []*instance, others []storeresponse.Reason) {
	permanent := len(unnamed) <= len(others)
	for _, reason := range others {
		permanent = permanent && !reason.Temporary()
	}
	for _, i := range unnamed {
		switch {
		case permanent:
			i.fail(others[0], describeFailed(others[0]))
		case len(others) > 0:
			i.remember(others[0], describeFailed(others[0]))
		default:
			i.remember(0, describeUnnamed())
		}
	}
}

func failAll(instances []*instance, detail string) {
	for _, i := range instances {
		i.fail(0, detail)
	}
}

// trimUID removes the padding of PS3.5 §9.1, with which some services answer.
func trimUID(uid string) string { return strings.TrimRight(uid, " \x00") }

// longestWait bounds what a Retry-After can ask for.
const longestWait = 5 * time.Minute

// retryAfter reads RFC 9110 §10.2.3: seconds or a date. Zero: nothing sensible is asked for.
func (a *answer) retryAfter(now time.Time) time.Duration {
	value := strings.TrimSpace(a.header.Get("Retry-After"))
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), longestWait)
}
