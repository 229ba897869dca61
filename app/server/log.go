package server

import (
	"io"
	"log/slog"
)

// levelCritical is LOGLEVEL=CRITICAL: only records that end the service have it.
const levelCritical = slog.LevelError + 4

func level(name string) slog.Level {
	switch name {
	case "DEBUG":
		return slog.LevelDebug
	case "INFO":
		return slog.LevelInfo
	case "ERROR":
		return slog.LevelError
	case "CRITICAL":
		return levelCritical
	}
	return slog.LevelWarn
}

// newLog writes JSON records, one per line, from a level on. Levels have the names of LOGLEVEL.
func newLog(w io.Writer, from slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: from,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.LevelKey {
				return a
			}
			switch a.Value.Any() {
			case slog.LevelWarn:
				return slog.String(slog.LevelKey, "WARNING")
			case levelCritical:
				return slog.String(slog.LevelKey, "CRITICAL")
			}
			return a
		},
	}))
}
