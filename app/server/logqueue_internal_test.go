package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hanging is a reader of the log that reads nothing until it is released.
type hanging struct {
	goOn  chan struct{}
	taken bytes.Buffer
}

func (h *hanging) Write(p []byte) (int, error) {
	<-h.goOn
	return h.taken.Write(p)
}

// A reader that hangs delays nobody. When it continues, it gets the queued records, complete and in order, and a record of how many were lost.
func TestLogQueueNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &hanging{goOn: make(chan struct{})}
		q := newLogQueue(reader)
		begun := time.Now()
		const records, recordBytes = 5000, 1000
		for n := range records {
			fmt.Fprintf(q, "%0*d\n", recordBytes-1, n)
			if n == 0 {
				synctest.Wait() // it hangs with the first record
			}
		}
		if waited := time.Since(begun); waited > 0 {
			t.Errorf("Write has waited for %s", waited)
		}
		kept := 1 + logQueueBytes/recordBytes
		if q.Lost() != records-kept {
			t.Errorf("%d records are lost, want %d", q.Lost(), records-kept)
		}
		close(reader.goOn)
		q.Close()
		lines := strings.Split(strings.TrimSpace(reader.taken.String()), "\n")
		for n, line := range lines[:len(lines)-1] {
			if want := fmt.Sprintf("%0*d", recordBytes-1, n); line != want {
				t.Fatalf("record %d is %q", n, line)
			}
		}
		if len(lines) != kept+1 || !strings.Contains(lines[kept], fmt.Sprintf(`"records":%d`, records-kept)) || !strings.Contains(lines[kept], "WARNING") {
			t.Errorf("%d lines, want %d; the last is %s", len(lines), kept+1, lines[len(lines)-1])
		}
	})
}

// It does not delay the end of the process either, and a Write after Close does no harm.
func TestLogQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &hanging{goOn: make(chan struct{})}
		q := newLogQueue(reader)
		fmt.Fprintln(q, "stopping")
		begun := time.Now()
		q.Close()
		if waited := time.Since(begun); waited != logTimeout {
			t.Errorf("the end waited for %s, want %s", waited, logTimeout)
		}
		fmt.Fprintln(q, "too late")
		close(reader.goOn)
		<-q.ended
		if got := reader.taken.String(); !strings.HasPrefix(got, "stopping\n") || strings.Contains(got, "too late") {
			t.Errorf("written: %q", got)
		}
	})
}
