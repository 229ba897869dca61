package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// sampleEvery is how long a record stands for all that are like it.
	sampleEvery = time.Minute
	// maxSampled bounds the different records of a kind in that time: with more, strangers of many addresses are one.
	maxSampled = 200
)

// refused is the message of a refusal of a client, for what it is.
const refused = "refused"

// sampler records what strangers can cause as often as they like: the first of those that are alike
// at once, and how many followed when a minute is over. A flood of them neither fills the log, nor drives others out of it.
type sampler struct {
	log     *slog.Logger
	now     func() time.Time
	counter prometheus.Counter // of refusals

	mu    sync.Mutex
	began time.Time
	seen  map[sample]*sampled
	kinds map[kind]*counted
}

// kind of records. Each has a bound of its own, so that no number of strangers hides an error.
type kind struct {
	level slog.Level
	msg   string
}

// counted are the records of a kind.
type counted struct {
	told int // different ones
	more int // that are like none of them
}

// sample is what records have in common.
type sample struct {
	kind
	client string // address
	reason string
}

type sampled struct {
	attrs []any
	count int
}

// add records one, or counts it. attrs are of the first of those alike.
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

// flush records how many followed, when a minute is over or all shall be told.
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
			s.flush(false) //nolint:contextcheck // records have none
		}
	}
}
