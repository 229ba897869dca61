package trace

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// tellEvery is the time between two records; without it, every batch would cause a record while the collector cannot be reached.
	tellEvery = time.Minute
	// toldBytes limits the text of an error in a record.
	toldBytes = 300
)

// teller writes the errors and warnings of the SDK into the service's log: at most one record per minute, without secrets.
type teller struct {
	log     *slog.Logger
	secrets []string
	counts  counts

	mu     sync.Mutex
	told   time.Time
	untold int
}

// Handle implements otel.ErrorHandler.
func (t *teller) Handle(err error) { t.tell(err.Error()) }

func (t *teller) tell(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.told) < tellEvery {
		t.untold++
		return
	}
	t.log.Warn("traces are not exported", "error", t.clean(text), "errors_untold", t.untold,
		"spans_failed", t.counts.failed.Load(), "spans_dropped", t.counts.dropped.Load())
	t.told, t.untold = time.Now(), 0
}

// clean removes the body of a collector's answer, which may repeat what was sent, and the secrets of the environment.
func (t *teller) clean(text string) string {
	text, _, _ = strings.Cut(text, "body: ")
	for _, secret := range t.secrets {
		text = strings.ReplaceAll(text, secret, "****")
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	return strings.TrimRight(text[:min(len(text), toldBytes)], " (")
}

// sdkLog receives the SDK's own log. It writes only the constant messages of warnings and errors, without values, because a value can be a header.
type sdkLog struct{ *teller }

// Enabled implements slog.Handler. The SDK logs warnings as logr's V(1), which is level -1, and errors with a higher level.
func (sdkLog) Enabled(_ context.Context, level slog.Level) bool { return level >= -1 }

// Handle implements slog.Handler.
func (l sdkLog) Handle(_ context.Context, r slog.Record) error {
	l.tell(r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (l sdkLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l sdkLog) WithGroup(string) slog.Handler { return l }
