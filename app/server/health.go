package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"stowrs-to-s3/app/s3store"
)

const (
	probeEvery      = 30 * time.Second
	probeEveryFirst = 3 * time.Second // while S3 does not answer
	probeTimeout    = 20 * time.Second
	// notReadyAfter: without S3, or without a success among failures, for so long the service
	// is no longer ready. Shorter outages are for retries, not for a load balancer.
	notReadyAfter = 5 * time.Minute
)

// health answers three different questions. live: the process answers. ready: the
// service does what it is for, or failed to not for long, and it does not stop. degraded: S3
// does not answer at the moment, or instances cannot be stored.
type health struct {
	ask    func(context.Context) error // S3, for the bucket (HeadBucket); its error says what to mend
	stored func() s3store.Health       // what stores meet
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

// state asks what stores meet, too: HeadBucket may be allowed where PutObject is not. S3
// counts as gone for five minutes only if no other request succeeded meanwhile.
func (h *health) state() state {
	h.mu.Lock()
	defer h.mu.Unlock()
	met, now := h.stored(), h.now()
	lately := func(t time.Time) bool { return now.Sub(t) <= notReadyAfter }
	notReady, degraded := state{}, state{Ready: true, Degraded: true}
	switch {
	case h.stopping:
		return notReady.because("the service is stopping", nil)
	case met.LastAnswer.IsZero():
		return notReady.because("S3 has not answered yet", h.failure)
	case h.failure != nil && !lately(met.LastAnswer):
		return notReady.because("S3 has not answered for five minutes", h.failure)
	case met.Failure != nil && !lately(met.FailingSince) && lately(met.FailedAt):
		return notReady.because("no instance could be stored for five minutes", met.Failure)
	case met.Failure != nil:
		return degraded.because("an instance could not be stored at "+met.FailedAt.UTC().Format(time.RFC3339)+", and none was stored since", met.Failure)
	case h.failure != nil:
		return degraded.because("S3 does not answer", h.failure)
	}
	return state{Ready: true}
}

func (s state) because(what string, cause error) state {
	if s.Reason = what; cause != nil {
		s.Reason += ": " + cause.Error()
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
	_ = json.NewEncoder(w).Encode(body) // the asker is gone
}
