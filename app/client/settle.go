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
	retryAfter time.Duration // as the server asks; zero: it did not
}

type kind int

const (
	settled     kind = iota // none is pending
	again                   // they have failed for now
	unsent                  // they were not sent, for a fault of another file
	tooLarge                // they may succeed in smaller requests
	unavailable             // the service is out
	refused                 // the service will not take any
)

// refusal is why no request can succeed.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// settle gives each instance of a request the fate that the answer says.
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

// temporaryStatus lists the statuses of a service that is out: overloaded, restarting or
// rate-limiting, or not reached by the proxy before it.
func temporaryStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusedStatus lists the statuses that every other request would get as well: who sends,
// where to, or how, is wrong, whatever the instances are.
func refusedStatus(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusLengthRequired, http.StatusUnsupportedMediaType:
		return true
	}
	return code/100 == 3
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
	for _, i := range pendingOf(sent) {
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
		if i := byUID[trimUID(r.SOPInstanceUID)]; i != nil && i.sentWhole { // else the answer is to something else
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
			i.remember(0, describeUnnamed(i.sentWhole))
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
