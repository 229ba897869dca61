package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// If the reader of the log hangs, requests are answered, instances are stored, and a stop ends in time. Later, a record says how many records were lost.
func TestReaderOfTheLogHangs(t *testing.T) {
	long(t)
	t.Parallel()
	s := startService(t, startS3(t))
	const refused = 6000 // of about 400 bytes each: more than fits into a pipe and the queue
	goOn := s.stderr.hang(t)
	for range refused {
		if reply := s.mustDo(t, "/studies", "text/plain", "x"); reply.status != 415 {
			t.Fatalf("text/plain: got %d", reply.status)
		}
	}
	s.wantServed(t, 5*time.Second)
	goOn()
	eventually(t, 10*time.Second, "the log tells what is lost", func() bool {
		return len(s.records("records of the log were lost, because its reader did not take them")) == 1
	})
	if _, metrics := s.get("/metrics"); strings.Contains(metrics, "stowrs_log_records_lost_total 0\n") {
		t.Error("no metric counts what is lost")
	}
	if got := len(s.records("store transaction")); got < 1000 || got >= refused {
		t.Errorf("%d records were kept, want some thousand", got)
	}

	goOn = s.stderr.hang(t)
	for range refused {
		s.mustDo(t, "/studies", "text/plain", "x")
	}
	s.signal(t, syscall.SIGTERM)
	eventually(t, 10*time.Second, "the service has ended", func() bool { status, _ := s.get("/livez"); return status == 0 })
	<-time.After(3 * time.Second) // during this time the service writes the rest of the log
	goOn()
	if code := s.exitCode(t, time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Nor does the service end because the reader of its log does.
func TestReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	s := startService(t, startS3(t))
	s.stderr.leave()
	for n := range 5 {
		if reply := s.mustDo(t, "/studies", "text/plain", "x"); reply.status != 415 {
			t.Fatalf("request %d: got %d", n, reply.status)
		}
		<-time.After(100 * time.Millisecond) // in which the record is written
	}
	if s.hasExited() {
		t.Error("the service has ended")
	}
	eventually(t, 10*time.Second, "a metric counts what is lost", func() bool {
		_, metrics := s.get("/metrics")
		return strings.Contains(metrics, "stowrs_log_records_lost_total") && !strings.Contains(metrics, "stowrs_log_records_lost_total 0\n")
	})
}
