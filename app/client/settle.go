package client

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// verdict is what an exchange means for the instances that are pending after it.
type verdict struct {
	kind       kind
	why        string
	retryAfter time.Duration // from Retry-After; zero: there was none
}

type kind int

const (
	settled     kind = iota // none is pending
	again                   // they failed for a temporary reason
	unsent                  // they were not sent, because another file could not be read, or the run is stopped
	tooLarge                // they may succeed in smaller requests
	unavailable             // the service is not available
	refused                 // the service would refuse every request
)

// refusal is why no request can succeed.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// settle applies the answer to the instances of its request.
func (a *answer) settle(sent []*instance) verdict {
	wait := a.retryAfter(time.Now())
	switch {
	case a.code == http.StatusRequestEntityTooLarge:
		a.settleStored(sent)
		if rest := pendingOf(sent); len(rest) > 1 {
			return verdict{kind: tooLarge}
		}
		failAll(pendingOf(sent), describeAnswer(a))
	case a.hasModule:
		a.settleByModule(sent)
	case refusedStatus(a.code):
		return verdict{kind: refused, why: describeAnswer(a) + remedyOf(a.code)}
	case temporaryStatus(a.code):
		for _, i := range sent {
			i.remember(0, describeAnswer(a))
		}
	default:
		failAll(sent, describeAnswer(a))
	}
	rest := pendingOf(sent)
	switch {
	case len(rest) == 0:
		return verdict{}
	case temporaryStatus(a.code):
		return verdict{kind: unavailable, why: describeOutageAnswer(a, rest[0]), retryAfter: wait}
	}
	return verdict{kind: again, retryAfter: wait}
}

// temporaryStatus lists the statuses of a service that is not available: it is overloaded, restarting or
// rate-limiting, or the proxy in front of it cannot reach it.
func temporaryStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusedStatus lists the statuses that every other request would get as well, because their cause is the
// sender, the URL or the method of sending, not the instances.
func refusedStatus(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusLengthRequired, http.StatusUnsupportedMediaType:
		return true
	}
	return code/100 == 3
}

// settleByModule applies the Store Instances Response Module (PS3.18 Table I.1-1).
// An instance that is listed as stored and as failed counts as failed.
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
	for _, i := range pendingOf(sent) {
		if !answered[i] {
			unnamed = append(unnamed, i)
		}
	}
	settleUnnamed(unnamed, others)
}

// settleStored applies only ReferencedSOPSequence. It returns the sent instances by SOP Instance UID.
func (a *answer) settleStored(sent []*instance) map[string]*instance {
	byUID := make(map[string]*instance, len(sent))
	for _, i := range sent {
		byUID[i.sopInstanceUID] = i
	}
	for _, r := range a.module.Referenced {
		if i := byUID[trimUID(r.SOPInstanceUID)]; i != nil && i.sentWhole { // the service cannot have stored an instance that was not sent completely
			i.store(r.WarningReason)
		}
	}
	return byUID
}

// settleUnnamed handles instances whose SOP Instance UID is not in the answer.
// They must be those of OtherFailuresSequence, which contains only reasons. If there are not
// more instances than reasons, and all reasons are permanent, the instances have failed.
// Otherwise it is unknown which instance a reason belongs to, and they are sent again.
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
			i.remember(0, describeUnnamed(i.sentWhole))
		}
	}
}

func failAll(instances []*instance, detail string) {
	for _, i := range instances {
		i.fail(0, detail)
	}
}

// trimUID removes the padding of PS3.5 §9.1, which some services include in their answers.
func trimUID(uid string) string { return strings.TrimRight(uid, " \x00") }

// longestWait limits the effect of a Retry-After.
const longestWait = 5 * time.Minute

// retryAfter reads Retry-After (RFC 9110 §10.2.3): seconds or a date. Zero: there is none, or it is invalid or past.
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
