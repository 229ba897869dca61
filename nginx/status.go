package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// statusEvery is how often the status is logged. Alarms read it, and need it regularly.
	statusEvery = 5 * time.Minute
	// expiresSoon is how long before the end of a certificate the status becomes a warning.
	expiresSoon = 30 * 24 * time.Hour
	listDueSoon = 24 * time.Hour // of a revocation list, which may live for days only
)

// status is the state of the certificates, for health, metrics and log.
type status struct {
	log     *slog.Logger
	metrics *metrics
	always  bool          // the status is logged even if there is no problem
	old     time.Duration // if the last look is longer ago, this is a problem

	mu         sync.Mutex
	inUse      setting
	refusing   bool
	generation int
	problems   []problem
	recorded   time.Time
	looked     time.Time // when set was called
}

// set takes the outcome of one look at the certificates. Changes are logged at
// once, the whole status every few minutes.
func (s *status) set(ctx context.Context, inUse setting, refusing bool, generation int, problems []problem) {
	s.mu.Lock()
	before, changed := s.problems, s.generation != generation || s.refusing != refusing || !slices.Equal(s.problems, problems)
	s.inUse, s.refusing, s.generation, s.problems = inUse, refusing, generation, problems
	s.looked = time.Now()
	due := s.always && (changed || time.Since(s.recorded) >= statusEvery)
	if due {
		s.recorded = time.Now()
	}
	s.mu.Unlock()

	for _, p := range problems {
		if !slices.Contains(before, p) {
			s.log.ErrorContext(ctx, "certificate problem", "file", p.File, "reason", p.Reason, "remedy", p.Remedy, "meanwhile", meanwhile(inUse, refusing))
		}
	}
	for _, p := range before {
		if !slices.Contains(problems, p) {
			s.log.InfoContext(ctx, "certificate problem solved", "file", p.File, "reason", p.Reason)
		}
	}
	s.metrics.set(inUse, refusing, len(problems) > 0)
	if due {
		s.record(ctx, inUse, refusing, generation, len(problems))
	}
}

func meanwhile(inUse setting, refusing bool) string {
	switch {
	case refusing:
		return "every request is refused with 503"
	case inUse.pair.selfMade:
		return "a self-signed certificate is served"
	}
	return "the last good files stay in use"
}

// record logs the record that alarms read.
func (s *status) record(ctx context.Context, inUse setting, refusing bool, generation, problems int) {
	level := slog.LevelInfo
	attrs := []any{"degraded", number(problems > 0), "refusing", number(refusing), "problems", problems, "generation", generation}
	if problems > 0 {
		level = slog.LevelError
	}
	add := func(key string, end time.Time, unit, soon time.Duration) {
		if end.IsZero() {
			return
		}
		left := time.Until(end)
		attrs = append(attrs, key, int64(left/unit))
		if left <= 0 {
			level = slog.LevelError
		} else if left < soon {
			level = max(level, slog.LevelWarn)
		}
	}
	if !inUse.pair.selfMade {
		add("certificate_days_left", inUse.pair.notAfter, 24*time.Hour, expiresSoon)
	}
	add("truststore_days_left", inUse.trust.notAfter, 24*time.Hour, expiresSoon)
	add("crl_hours_left", inUse.trust.nextUpdate, time.Hour, listDueSoon)
	s.log.Log(ctx, level, "certificate status", attrs...)
}

// reloaded counts a reload of nginx.
func (s *status) reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
		s.log.Error("nginx was not reloaded", "error", err)
	}
	s.metrics.reloads.WithLabelValues(result).Inc()
}

// now is the present status. If the last look at the files was too long ago, this is an additional problem.
func (s *status) now() (refusing bool, problems []problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.always && !s.looked.IsZero() && time.Since(s.looked) > s.old {
		return s.refusing, append(s.problems[:len(s.problems):len(s.problems)], problem{"certificates", "they were last looked at on " + s.looked.UTC().Format(time.RFC3339),
			"restart the sidecar, and send its records to those who made it"})
	}
	return s.refusing, s.problems
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
