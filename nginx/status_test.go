package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// The record that alarms read is written at once after a change, and otherwise every
// few minutes. Its level and its days follow from the earliest end.
func TestStatusRecord(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &status{log: newLog(&log), metrics: newMetrics("test"), always: true}
	last := func(wantRecords int) map[string]any {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		var records []map[string]any
		for _, line := range lines {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			if record["msg"] == "certificate status" {
				records = append(records, record)
			}
		}
		if len(records) != wantRecords {
			t.Fatalf("%d records, want %d:\n%s", len(records), wantRecords, log.String())
		}
		return records[len(records)-1]
	}
	in := func(d time.Duration) setting {
		return setting{pair: pair{certificate: "c", notAfter: time.Now().Add(d)}}
	}
	const day = 24 * time.Hour
	for n, test := range []struct {
		left  time.Duration
		level string
		days  float64
	}{{100*day + time.Hour, "INFO", 100}, {29*day + time.Hour, "WARNING", 29}, {-2 * day, "ERROR", -2}} {
		s.set(t.Context(), in(test.left), false, n+1, nil)
		if record := last(n + 1); record["level"] != test.level || record["certificate_days_left"] != test.days {
			t.Errorf("%s left: level %v, certificate_days_left %v, want %s, %v", test.left, record["level"], record["certificate_days_left"], test.level, test.days)
		}
	}
	s.set(t.Context(), in(100*day), false, 3, nil)
	last(3) // nothing has changed
	s.recorded = time.Now().Add(-statusEvery)
	s.set(t.Context(), in(100*day), false, 3, nil)
	last(4)
	p := problem{certificateFile, "it is empty", "put certificates in PEM"}
	for range 3 {
		s.set(t.Context(), in(100*day), true, 3, []problem{p})
	}
	if record := last(5); record["level"] != "ERROR" || record["degraded"] != 1.0 || record["refusing"] != 1.0 || record["problems"] != 1.0 {
		t.Errorf("the record of a problem is %v", record)
	}
	if n := strings.Count(log.String(), "certificate problem"); n != 1 {
		t.Errorf("%d records of one problem, want 1", n)
	}
	self := in(day)
	self.pair.selfMade = true
	s.set(t.Context(), self, false, 4, nil)
	if record := last(6); record["certificate_days_left"] != nil || record["level"] != "INFO" {
		t.Errorf("a self-made certificate has an end in the record: %v", record)
	}
}

// It is a problem if the files were not read for a long time, because they may contain a revocation.
func TestOldLookIsAProblem(t *testing.T) {
	t.Parallel()
	s := &status{log: newLog(io.Discard), metrics: newMetrics("test"), always: true, old: time.Hour}
	s.set(t.Context(), setting{}, false, 1, nil)
	if _, problems := s.now(); len(problems) > 0 {
		t.Errorf("problems %v of what was looked at now", problems)
	}
	s.looked = time.Now().Add(-2 * time.Hour)
	_, problems := s.now()
	if len(problems) != 1 {
		t.Fatalf("problems %v, want one", problems)
	}
	wantProblemWords(t, problems[0], []string{"they were last looked at on", "restart the sidecar"})
}
