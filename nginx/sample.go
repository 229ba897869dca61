package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// sampleEvery is the period in which equal samples are counted instead of logged.
	sampleEvery = time.Minute
	// maxSampled limits the different records of a kind in this period. Further ones are only counted together.
	maxSampled = 200
)

// refused is the message of a record about a client that was refused.
const refused = "refused"

// sampler logs events that strangers can cause in any number: of equal events, the first one
// at once and, after a minute, how many followed. So a flood neither fills the log nor displaces other records.
type sampler struct {
	log     *slog.Logger
	now     func() time.Time
	counter prometheus.Counter // counts refusals

	mu    sync.Mutex
	began time.Time
	seen  map[sample]*sampled
	kinds map[kind]*counted
}

// kind is a kind of records. Each kind has its own limit, so that no number of strangers hides an error.
type kind struct {
	level slog.Level
	msg   string
}

// counted counts the records of a kind.
type counted struct {
	told int // different records
	more int // records above maxSampled
}

// sample is what equal records have in common.
type sample struct {
	kind
	client string // address
	reason string
}

type sampled struct {
	attrs []any
	count int
}

// add logs an event, or counts it if an equal one was logged. attrs are logged only with the first one.
func (s *sampler) add(key sample, attrs ...any) {
	if key.msg == refused {
		s.counter.Inc()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.seen[key]; known != nil {
		known.count++
		return
	}
	if s.seen == nil {
		s.seen, s.kinds, s.began = map[sample]*sampled{}, map[kind]*counted{}, s.now()
	}
	of := s.kinds[key.kind]
	if of == nil {
		of = &counted{}
		s.kinds[key.kind] = of
	}
	if of.told >= maxSampled {
		of.more++
		return
	}
	of.told++
	s.seen[key] = &sampled{attrs, 0}
	s.record(key, attrs, 1)
}

func (s *sampler) record(key sample, attrs []any, count int) {
	all := []any{}
	if key.client != "" {
		all = append(all, "remote", key.client)
	}
	s.log.Log(context.Background(), key.level, key.msg, append(append(all, "reason", key.reason, "count", count), attrs...)...)
}

// flush logs how many equal events followed, if a minute is over, or if all is true.
func (s *sampler) flush(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || !all && s.now().Sub(s.began) < sampleEvery {
		return
	}
	for key, known := range s.seen {
		if known.count > 0 {
			s.record(key, known.attrs, known.count)
		}
	}
	for of, n := range s.kinds {
		if n.more > 0 {
			s.record(sample{of, "", "of more addresses, or for more reasons, than are told apart in a minute"}, nil, n.more)
		}
	}
	s.seen, s.kinds = nil, nil
}

// run flushes until ctx ends.
func (s *sampler) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery / 12)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.flush(false) //nolint:contextcheck // records need no context
		}
	}
}
