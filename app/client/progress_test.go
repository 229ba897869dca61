package client

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// newSender sends to url, and writes its progress to out.
func newSender(t *testing.T, url string, out io.Writer) *sender {
	t.Helper()
	o := Options{URL: url, Accept: "json", Batch: 100, BatchBytes: 1 << 30, Parallel: 1, Attempts: 3, Paths: []string{t.TempDir()}}
	s, _, err := prepare(o, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.CloseIdleConnections)
	s.begin(newTally(nil), out)
	return s
}

// When an attempt ends, its bytes are subtracted: in the end, each file is counted once.
func TestRetriesAreNotCountedTwice(t *testing.T) {
	t.Parallel()
	tests := map[string][]reply{
		"stored at once":       {storedAll},
		"after attempts":       {cut, plain(503, "", ""), storedAll},
		"in part":              {reasons(202, map[string]storeresponse.Reason{"1.2": 0x0110}), cut, storedAll},
		"failed for good":      {plain(400, "", "")},
		"failed at every time": {reasons(202, map[string]storeresponse.Reason{"1.2": 0x0110})},
		"split":                {plain(413, "", ""), storedAll},
	}
	for name, replies := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, replies...)
			instances := scanned(t, folderOf(t, "1.1", "1.2", "1.3"))
			sender := newSender(t, s.URL, io.Discard)
			sender.gate.maxWait = time.Minute
			sender.stop = func(err error) { t.Errorf("stopped: %v", err) }
			sender.deliver(t.Context(), [][]*instance{instances}, true)
			wantEqual(t, "bytes moved", bytesOf(instances), sender.progress.moved.Load())
		})
	}
}

// The line fits the terminal at any width: the least important parts are left out first.
func TestLineFitsTheTerminal(t *testing.T) {
	t.Parallel()
	tests := map[int]string{
		200: "1,234 stored, 3.0 GB, 5.0 GB to go, waiting 12s, HTTP 503 Service Unavailable, 7 failed",
		80:  "1,234 stored, 3.0 GB, 5.0 GB to go, waiting 12s, 7 failed",
		45:  "1,234 stored, waiting 12s, 7 failed",
		30:  "1,234 stored, waiting 12s",
		20:  "waiting 12s",
		10:  "waiting 1…",
	}
	tally := newTally(nil)
	tally.counts = Counts{Found: 3000, FoundBytes: 8e9, Walked: true, Stored: 1234, StoredBytes: 3e9, Failed: 7}
	p := newProgress(io.Discard, tally)
	p.add(3e9)
	p.pause = func() (string, time.Duration) { return "HTTP 503 Service Unavailable", 12 * time.Second }
	for width, want := range tests {
		wantEqual(t, "line", want, strings.Join(p.state(time.Now()).fit(width), ", "))
	}
}

// During the walk, the line shows the number of files found so far.
func TestLineWhileFilesAreFound(t *testing.T) {
	t.Parallel()
	tally := newTally(nil)
	tally.counts = Counts{Found: 3000, FoundBytes: 8e9}
	p := newProgress(io.Discard, tally)
	wantEqual(t, "line", "0 stored, 0 B, 3,000 files found so far, 0.0 MB/s", strings.Join(p.state(time.Now()).fit(100), ", "))
}

// Rate and remaining time are those of the last seconds.
func TestRateAndTimeLeft(t *testing.T) {
	t.Parallel()
	tally := newTally(nil)
	tally.counts = Counts{FoundBytes: 60e6, Walked: true}
	p := newProgress(io.Discard, tally)
	start := time.Now()
	p.state(start)
	p.read(10e6)
	wantEqual(t, "line", "0 stored, 0 B, 50 MB to go, 5.0 MB/s, 10s left", strings.Join(p.state(start.Add(2*time.Second)).fit(100), ", "))
	p.state(start.Add(14 * time.Second))
	wantEqual(t, "line", "0 stored, 0 B, 50 MB to go, 0.0 MB/s", strings.Join(p.state(start.Add(25*time.Second)).fit(100), ", "))
}

// A note stands above the progress line, which is then written again.
func TestNotesStandAboveTheLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, newTally(nil))
	p.width = func() int { return 60 }
	p.show(time.Now())
	p.note("a note")
	p.show(time.Now())
	p.clear()
	line := "\r0 stored, 0 B, 0 files found so far, 0.0 MB/s\x1b[K"
	wantEqual(t, "output", line+"\r\x1b[Ka note\n"+line+"\r\x1b[K", out.String())
}
