package client

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// newSender sends to url with a bar of total bytes on out; zero: without a bar.
func newSender(t *testing.T, url string, out io.Writer, total int64) *sender {
	t.Helper()
	o := Options{URL: url, Accept: "json", Batch: 100, BatchBytes: 1 << 30, Parallel: 1, Attempts: 3}
	target, err := o.target()
	if err != nil {
		t.Fatal(err)
	}
	client, err := newHTTPClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	s := &sender{options: o, target: target, client: client, firstPause: time.Millisecond, progress: newProgress(out, total)}
	s.expect.Store(true)
	if total > 0 {
		s.progress.bar = newBar(out, total)
	}
	return s
}

// Attempts that fail take their bytes back: the bar ends at 100 % exactly.
func TestRetriesDoNotExceedTheBar(t *testing.T) {
	t.Parallel()
	tests := map[string][]reply{
		"stored at once":       {storedAll},
		"after attempts":       {cut, plain(503, "", ""), storedAll},
		"in part":              {reasons(202, map[string]storeresponse.Reason{"1.2": 0x0110}), cut, storedAll},
		"failed for good":      {plain(401, "", "")},
		"failed at every time": {plain(502, "", "")},
		"split":                {plain(413, "", ""), storedAll},
	}
	for name, replies := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, replies...)
			var out bytes.Buffer
			instances := scanned(t, folderOf(t, "1.1", "1.2", "1.3"))
			sender := newSender(t, s.URL, &out, bytesOf(instances))
			sender.deliver(t.Context(), instances)
			p := sender.progress
			wantEqual(t, "bytes done", p.total, p.done)
			if got := p.bar.State().CurrentNum; got >= p.total {
				t.Errorf("the bar is at %d of %d before its end", got, p.total)
			}
			p.finish()
			wantEqual(t, "bar at the end", 1, p.bar.State().CurrentPercent)
			wantContains(t, "bar", out.String(), "100%")
		})
	}
}

func TestNotesStandAboveTheBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{out: lines{w: &out}, total: 1000, bar: newBar(&out, 1000)}
	p.add(500)
	p.line("only where there is no bar")
	p.note("a note")
	p.finish()
	text := out.String()
	wantContains(t, "output", text, "50%", "\ra note\n")
	if strings.Contains(text, "only where") {
		t.Errorf("a line is mixed into the bar: %q", text)
	}
}

// Where stderr is no terminal there is no bar.
func TestNoBarElsewhere(t *testing.T) {
	t.Parallel()
	if p := newProgress(io.Discard, 1000); p.bar != nil {
		t.Error("got a bar, want lines")
	}
}
