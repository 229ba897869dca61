package server

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
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

// A reader that hangs is waited for once, and briefly. When it continues, it gets what fits into the queue, whole and in order, and is told how much it has lost.
func TestLogQueueWhoseReaderHangs(t *testing.T) {
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
		if waited := time.Since(begun); waited > logPatience {
			t.Errorf("Write has waited for %s, want %s", waited, logPatience)
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
		if waited := time.Since(begun); waited != logPatience {
			t.Errorf("the end waited for %s, want %s", waited, logPatience)
		}
		fmt.Fprintln(q, "too late")
		close(reader.goOn)
		<-q.ended
		if got := reader.taken.String(); !strings.HasPrefix(got, "stopping\n") || strings.Contains(got, "too late") {
			t.Errorf("written: %q", got)
		}
	})
}

// A slow reader gets at the end what waits for it, but does not delay the end for long.
func TestLogQueueEndsWithASlowReader(t *testing.T) {
	for perSecond, wait := range map[int]time.Duration{4 * logPieceBytes: 4 * time.Second, 3 * logPieceBytes / 2: logTimeout} {
		synctest.Test(t, func(t *testing.T) {
			reader := &slow{perSecond: perSecond}
			q := newLogQueue(reader)
			const records, recordBytes = 1000, 1000
			for n := range records {
				fmt.Fprintf(q, "%0*d\n", recordBytes-1, n)
			}
			begun := time.Now()
			q.Close()
			if waited := time.Since(begun).Round(time.Second); waited != wait {
				t.Errorf("the end waited for %s, want %s", waited, wait)
			}
			<-q.ended
		})
	}
}

// A slow reader gets every record: a client that makes thousands of them waits for him, so that no record of another client is lost.
func TestLogQueueWhoseReaderIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &slow{perSecond: 2 * logPieceBytes}
		q := newLogQueue(reader)
		const records, recordBytes = 5000, 1000
		for n := range records {
			fmt.Fprintf(q, "%0*d\n", recordBytes-1, n)
		}
		if q.Lost() > 0 {
			t.Errorf("%d records are lost", q.Lost())
		}
		time.Sleep(time.Minute)
		q.Close()
		if got := bytes.Count(reader.taken.Bytes(), []byte("\n")); got != records {
			t.Errorf("%d records, want %d", got, records)
		}
	})
}

// Nor does that client hold up the one record that each request of others has.
func TestLogQueueKeepsRoomForRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newLogQueue(&slow{perSecond: logPieceBytes})
		defer func() { q.Close(); <-q.ended }()
		go func() {
			for range 5000 {
				fmt.Fprintf(q.failures(), "%0999d\n", 0)
			}
		}()
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			begun := time.Now()
			fmt.Fprintf(q, "%0999d\n", 1)
			if waited := time.Since(begun); waited > 0 {
				t.Fatalf("waited for %s", waited)
			}
		}
	})
}

type slow struct {
	perSecond int
	taken     bytes.Buffer
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(s.perSecond))
	return s.taken.Write(p)
}

// What cannot be written is counted, and a record that was torn does not take the next one with it.
func TestLogQueueWhoseReaderGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &away{}
		q := newLogQueue(reader)
		write := func(record string) {
			fmt.Fprintln(q, record)
			synctest.Wait()
		}
		write("first")
		reader.left = true
		write("second")
		write("third")
		reader.left = false
		write("fourth")
		q.Close()
		lines := strings.Split(reader.taken.String(), "\n")
		if len(lines) != 5 || lines[0] != "first" || lines[1] != "sec" || lines[2] != "fourth" || !strings.Contains(lines[3], `"records":2`) || q.Lost() != 2 {
			t.Errorf("written: %q; %d are lost", lines, q.Lost())
		}
	})
}

// away is a reader who leaves in the middle of a record.
type away struct {
	left  bool
	gone  bool
	taken bytes.Buffer
}

func (a *away) Write(p []byte) (int, error) {
	if !a.left {
		return a.taken.Write(p)
	}
	n := 0
	if !a.gone {
		a.gone = true
		n, _ = a.taken.Write(p[:3])
	}
	return n, syscall.EPIPE
}
