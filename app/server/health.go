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
	// notReadyAfter: without S3 for so long the service is no longer ready. Shorter
	// outages are for the senders' retries, not for a load balancer.
	notReadyAfter = 5 * time.Minute
)

// health answers three different questions. live: the process answers. ready: S3
// has answered, not longer than five minutes ago, and the service does not stop.
// degraded: ready, but S3 does not answer at the moment.
type health struct {
	store *s3store.Store
	log   *slog.Logger
	now   func() time.Time

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

func (h *health) state() state {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.store.LastAnswer()
	s := state{Ready: true}
	switch {
	case h.stopping:
		s.Ready, s.Reason = false, "the service is stopping"
	case last.IsZero():
		s.Ready, s.Reason = false, "S3 has not answered yet"
	case h.failure != nil && h.now().Sub(last) > notReadyAfter:
		s.Ready, s.Reason = false, "S3 has not answered for five minutes"
	case h.failure != nil:
		s.Degraded, s.Reason = true, "S3 does not answer"
	}
	if h.failure != nil && !h.stopping {
		s.Reason += ": " + h.failure.Error()
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
		err := h.store.Probe(probeCtx)
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
			if before == nil || before.Error() != err.Error() && h.store.LastAnswer().IsZero() {
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
