package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Strangers with many addresses do not displace the errors of nginx.
func TestStrangersHideNoError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &sampler{log: newLog(&out), now: time.Now, counter: prometheus.NewCounter(prometheus.CounterOpts{Name: "refusals"})}
	for n := range 2 * maxSampled {
		s.add(sample{kind{slog.LevelWarn, refused}, fmt.Sprintf("192.0.2.%d", n), "no client certificate was sent"})
	}
	s.add(sample{kind{slog.LevelError, "nginx"}, "", "no space left on device"})
	s.flush(true)
	for _, want := range []string{`"no space left on device"`, fmt.Sprintf(`"of more addresses, or for more reasons, than are told apart in a minute","count":%d`, maxSampled)} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no record has %s", want)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != maxSampled+2 {
		t.Errorf("%d records, want %d", n, maxSampled+2)
	}
}
