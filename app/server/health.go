package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"stowrs-to-s3/app/s3store"
)

const (
	probeEvery      = 30 * time.Second
	probeEveryFirst = 3 * time.Second // while S3 does not answer
	probeTimeout    = 20 * time.Second
	// notReadyAfter: after this time without S3, or with failures and no success, the service
	// is no longer ready. Shorter outages are handled by retries, not by a load balancer.
	notReadyAfter = 5 * time.Minute
	// starvedAfter is normally longer than clients may be slow (MINRATE) and S3 silent (RETRYTIME).
	starvedAfter = 2 * time.Minute
)

// health answers three different questions. live: the process answers. ready: the
// service can store, or could not only for a short time, and it is not stopping. degraded: S3
// does not answer at the moment, or instances cannot be stored, or wait for memory in vain.
type health struct {
	ask    func(context.Context) error // asks S3 for the bucket (HeadBucket); its error says what to correct
	stored func() s3store.Health       // the results of stores
	starve func() time.Duration        // how long uploads have waited for memory without any of them getting some
	log    *slog.Logger
	now    func() time.Time

	mu       sync.Mutex
	stopping bool
	failure  error // of the last probe
}

// state is the body of /readyz.
type state struct {
	Ready    bool   `json:"ready"`
	Degraded bool   `json:"degraded"`
	Reason   string `json:"reason,omitempty"`
}

// trouble is one problem that degrades the service, or makes it not ready.
type trouble struct {
	notReady bool
	what     string
	cause    error  // nil: what says everything
	remedy   string // if cause has none
}

const (
	remedyWait   = "wait some seconds, since the service asks again by itself. If it lasts, look at the state of S3 in the region, or at the server that AWS_ENDPOINT_URL_S3 names; senders keep what was not stored, and send it again"
	remedyMemory = "see in /metrics how long S3 takes. Give the service more MEMORYBUDGET, or run more of them; against slow clients, set a higher MINRATE"
)

// troubles returns all current problems; those that make the service not ready come first. Empty: there are none.
// It also uses the results of stores: HeadBucket may be allowed where PutObject is not. S3
// counts as unavailable for five minutes only if no other request succeeded meanwhile.
func (h *health) troubles() []trouble {
	h.mu.Lock()
	defer h.mu.Unlock()
	met, now := h.stored(), h.now()
	lately := func(t time.Time) bool { return now.Sub(t) <= notReadyAfter }
	var all []trouble
	if h.stopping {
		all = append(all, trouble{notReady: true, what: "the service is stopping", remedy: "nothing has to be done: the service finishes what is in flight, within STOPTIMEOUT, and ends"})
	}
	switch {
	case met.LastAnswer.IsZero():
		all = append(all, trouble{true, "S3 has not answered yet", h.failure, remedyWait})
	case h.failure != nil && !lately(met.LastAnswer):
		all = append(all, trouble{true, "S3 has not answered for five minutes", h.failure, remedyWait})
	}
	switch {
	case met.Failure != nil && !lately(met.FailingSince) && lately(met.FailedAt):
		all = append(all, trouble{true, "no instance could be stored for five minutes", met.Failure, remedyWait})
	case met.Failure != nil:
		all = append(all, trouble{false, "an instance could not be stored at " + met.FailedAt.UTC().Format(time.RFC3339) + ", and none was stored since", met.Failure, remedyWait})
	}
	if h.failure != nil && !met.LastAnswer.IsZero() && lately(met.LastAnswer) {
		all = append(all, trouble{false, "S3 does not answer", h.failure, remedyWait})
	}
	if h.starve() > starvedAfter {
		all = append(all, trouble{what: "instances have waited for memory for more than two minutes, and none got any: S3 or the clients are too slow for what they hold of MEMORYBUDGET", remedy: remedyMemory})
	}
	slices.SortStableFunc(all, func(a, b trouble) int {
		switch {
		case a.notReady == b.notReady:
			return 0
		case a.notReady:
			return -1
		}
		return 1
	})
	return all
}

// state reports the first of the troubles.
func (h *health) state() state {
	all := h.troubles()
	if len(all) == 0 {
		return state{Ready: true}
	}
	first := all[0]
	s := state{Ready: !first.notReady, Degraded: !first.notReady, Reason: first.what}
	if first.cause != nil {
		s.Reason += ": " + first.cause.Error()
	}
	return s
}

func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// probe asks S3 for the bucket until ctx ends, and logs when the answer changes.
func (h *health) probe(ctx context.Context) {
	for {
		probeCtx, cancel := context.WithTimeout(ctx, probeTimeout)
		err := h.ask(probeCtx)
		cancel()
		if ctx.Err() != nil {
			return
		}
		h.mu.Lock()
		before := h.failure
		h.failure = err
		h.mu.Unlock()
		wait := probeEvery
		switch {
		case err != nil:
			wait = probeEveryFirst
			if before == nil || before.Error() != err.Error() && h.stored().LastAnswer.IsZero() {
				h.log.ErrorContext(ctx, "S3 does not answer", "error", err)
			}
		case before != nil:
			h.log.WarnContext(ctx, "S3 answers again")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (h *health) livez(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

func (h *health) readyz(w http.ResponseWriter, _ *http.Request) {
	s := h.state()
	status := http.StatusOK
	if !s.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, s)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // no error matters: the client is gone
}
