package stow

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func noDeadline(time.Time) error { return nil }

// newTestBody has no limits except those that a test sets.
func newTestBody(t *testing.T, source io.Reader) *limitedBody {
	return &limitedBody{
		source: source, stop: t.Context(), setDeadline: noDeadline, stall: time.Minute, window: 60 * time.Millisecond,
		holds: func() int64 { return 0 }, short: func() bool { return false },
	}
}

// dripping needs a millisecond for each read of ten bytes.
type dripping struct{ io.Reader }

// Read implements io.Reader.
func (d dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return d.Reader.Read(p[:min(10, len(p))])
}

// The rule of progress. MINRATE applies whether or not the request holds memory;
// the memory that it holds matters only while others wait.
func TestProgress(t *testing.T) {
	tests := map[string]struct {
		rate, holds int64
		short       bool
		want        error
	}{
		"fast enough":                             {rate: 1},
		"below MINRATE":                           {rate: 1 << 40, want: errStalled},
		"holds more than it delivers":             {rate: 1, holds: 1 << 40},
		"holds more, and others wait for memory":  {rate: 1, holds: 1 << 40, short: true, want: errStalled},
		"holds less, and others wait for memory":  {rate: 1, holds: 1, short: true},
		"holds nothing, and others wait for more": {rate: 1, short: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestBody(t, dripping{bytes.NewReader(make([]byte, 2000))})
				b.minRate, b.holds, b.short = test.rate, func() int64 { return test.holds }, func() bool { return test.short }
				if _, err := io.Copy(io.Discard, b); !errors.Is(err, test.want) {
					t.Errorf("got error %v, want %v", err, test.want)
				}
			})
		})
	}
}

// A window is a minute, not more, whatever the pauses between the bytes are.
func TestSlowClientIsCutWithinAWindow(t *testing.T) {
	for _, pause := range []time.Duration{time.Millisecond, 4 * time.Millisecond, 9 * time.Millisecond, 11 * time.Millisecond, 14 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestBody(t, byteEach(pause))
				b.minRate = 1 << 20
				begun := time.Now()
				if _, err := io.Copy(io.Discard, b); !errors.Is(err, errStalled) {
					t.Errorf("got error %v, want %v", err, errStalled)
				}
				if after := time.Since(begun); after < b.window || after > b.window+pause { // a source that knows no deadline ends with its byte
					t.Errorf("cut after %s, want after %s", after, b.window)
				}
			})
		})
	}
}

// byteEach gives one byte after each pause, for ever.
type byteEach time.Duration

// Read implements io.Reader.
func (pause byteEach) Read(p []byte) (int, error) {
	time.Sleep(time.Duration(pause))
	return 1, nil
}

// Only the time in which the service waits for the client counts, not its waiting for memory or S3.
func TestTimeOfTheServiceDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBody(t, bytes.NewReader(make([]byte, 100)))
		b.minRate, b.window = 1<<20, 20*time.Millisecond
		for range 3 {
			if _, err := b.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
	})
}

func TestBodyThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, service := net.Pipe()
		defer client.Close()
		b := newTestBody(t, service)
		b.setDeadline, b.stall = service.SetReadDeadline, 20*time.Millisecond
		if _, err := b.Read(make([]byte, 10)); !errors.Is(err, errStalled) {
			t.Errorf("got error %v, want %v", err, errStalled)
		}
	})
}

func TestBodyEndsWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, service := net.Pipe()
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		b := newTestBody(t, service)
		b.stop, b.setDeadline, b.stall = ctx, service.SetReadDeadline, time.Hour
		defer context.AfterFunc(ctx, b.interrupt)()
		time.AfterFunc(10*time.Millisecond, cancel)
		for _, when := range []string{"waiting", "afterwards"} {
			if _, err := b.Read(make([]byte, 10)); !errors.Is(err, errStopping) {
				t.Errorf("%s: got error %v, want %v", when, err, errStopping)
			}
		}
	})
}

// After the body, net/http continues to read in order to notice that the client leaves: a remaining deadline would cut the answer.
func TestDeadlineIsClearedBehindTheBody(t *testing.T) {
	var last time.Time
	b := newTestBody(t, bytes.NewReader([]byte("x")))
	b.setDeadline = func(d time.Time) error { last = d; return nil }
	if _, err := io.ReadAll(b); err != nil {
		t.Fatal(err)
	}
	if !last.IsZero() {
		t.Errorf("the deadline is %v, want none", last)
	}
}

func TestBodyLimit(t *testing.T) {
	for size, want := range map[int]error{10: nil, 11: errRequestTooLarge} {
		b := newTestBody(t, bytes.NewReader(make([]byte, size)))
		b.limit = 10
		if got, err := io.ReadAll(b); !errors.Is(err, want) || len(got) != 10 {
			t.Errorf("%d bytes: got %d, error %v, want 10 and %v", size, len(got), err, want)
		}
	}
}

func TestBodyErrorOfTheConnectionIsKept(t *testing.T) {
	b := newTestBody(t, bytes.NewReader(nil))
	b.setDeadline = func(time.Time) error { return os.ErrClosed }
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) || !errors.Is(err, errBroken) {
		t.Errorf("got error %v, want %v", err, os.ErrClosed)
	}
}

// A client that sends nothing is also judged by the memory that it holds, during the wait for it.
func TestSilentClientThatHoldsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, service := net.Pipe()
		defer client.Close()
		b := newTestBody(t, service)
		b.setDeadline, b.stall = service.SetReadDeadline, time.Hour
		b.holds, b.short = func() int64 { return 1 << 20 }, func() bool { return true }
		if _, err := b.Read(make([]byte, 10)); !errors.Is(err, errStalled) {
			t.Errorf("got error %v, want %v", err, errStalled)
		}
	})
}
