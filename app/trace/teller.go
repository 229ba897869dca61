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
	// tellEvery is the time between two records: a collector that is away fails each batch.
	tellEvery = time.Minute
	// toldBytes of an error's text are enough to mend it.
	toldBytes = 300
)

// teller writes what the SDK has to say into the service's log: one record a minute at most, without secrets.
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

// clean leaves out what a collector has answered, which may repeat what it was sent, and the secrets of the environment.
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

// sdkLog is the SDK's own log. The fixed words of its warnings and errors are told, and no value: a header may be one.
type sdkLog struct{ *teller }

// Enabled implements slog.Handler. The SDK's warnings are logr's V(1), its errors are above that.
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
