package main

import (
	"io"
	"log/slog"
	"sync"
)

// newLog writes JSON records, one a line, with the names of levels that the app has.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey && a.Value.Any() == slog.LevelWarn {
				return slog.String(slog.LevelKey, "WARNING")
			}
			return a
		},
	}))
}

// lines lets several writers share one stream: each Write is a line of its own.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p) //nolint:wrapcheck // the writer's
}
