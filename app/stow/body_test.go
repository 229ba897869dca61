package stow

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func noDeadline(time.Time) error { return nil }

// A client that is slow only while the service waits for it is cut; one that
// waits for the service is not.
func TestRateOfAClientThatHoldsABuffer(t *testing.T) {
	tests := map[string]struct {
		holds bool
		rate  int64
		want  error
	}{
		"fast enough":              {true, 1, nil},
		"too slow":                 {true, 1 << 40, errStalled},
		"slow but holding nothing": {false, 1 << 40, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := &wire{source: bytes.NewReader(make([]byte, 1000)), ctx: t.Context(), setDeadline: noDeadline, stall: time.Minute}
			b := &body{wire: w, source: w, minRate: test.rate, window: time.Nanosecond}
			b.hold(test.holds)
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{b}, make([]byte, 10)); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

// A window starts anew with each buffer: time before it does not count.
func TestRateWindowStartsWithTheBuffer(t *testing.T) {
	b := &body{minRate: 1000, window: time.Second}
	b.hold(true)
	if err := b.checkRate(10, 900*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.hold(false)
	b.hold(true)
	if err := b.checkRate(10, 900*time.Millisecond); err != nil {
		t.Errorf("the window before counts: %v", err)
	}
	if err := b.checkRate(10, 200*time.Millisecond); !errors.Is(err, errStalled) {
		t.Errorf("got error %v, want %v", err, errStalled)
	}
}

func TestBodyThatStalls(t *testing.T) {
	client, service := net.Pipe()
	defer client.Close()
	w := &wire{source: service, ctx: t.Context(), setDeadline: service.SetReadDeadline, stall: 20 * time.Millisecond}
	if _, err := w.Read(make([]byte, 10)); !errors.Is(err, errStalled) {
		t.Errorf("got error %v, want %v", err, errStalled)
	}
}

func TestBodyEndsWithTheService(t *testing.T) {
	client, service := net.Pipe()
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w := &wire{source: service, ctx: ctx, setDeadline: service.SetReadDeadline, stall: time.Hour}
	defer context.AfterFunc(ctx, w.interrupt)()
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := w.Read(make([]byte, 10)); !errors.Is(err, errStopping) {
		t.Errorf("waiting: got error %v, want %v", err, errStopping)
	}
	if _, err := w.Read(make([]byte, 10)); !errors.Is(err, errStopping) {
		t.Errorf("afterwards: got error %v, want %v", err, errStopping)
	}
}

// Behind the body net/http reads on, to see the client leave: a deadline that is left would cut the answer.
func TestDeadlineIsClearedBehindTheBody(t *testing.T) {
	var last time.Time
	w := &wire{
		source: bytes.NewReader([]byte("x")), ctx: t.Context(), stall: time.Minute,
		setDeadline: func(d time.Time) error { last = d; return nil },
	}
	if _, err := io.ReadAll(w); err != nil {
		t.Fatal(err)
	}
	if !last.IsZero() {
		t.Errorf("the deadline is %v, want none", last)
	}
}

func TestBodyLimit(t *testing.T) {
	for size, want := range map[int]error{10: nil, 11: errRequestTooLarge} {
		w := &wire{source: bytes.NewReader(make([]byte, size)), ctx: t.Context(), setDeadline: noDeadline}
		b := &body{wire: w, source: w, limit: 10}
		if _, err := io.ReadAll(b); !errors.Is(err, want) {
			t.Errorf("%d bytes: got error %v, want %v", size, err, want)
		}
	}
}

func TestBodyErrorOfTheConnectionIsKept(t *testing.T) {
	w := &wire{source: bytes.NewReader(nil), ctx: t.Context(), setDeadline: func(time.Time) error { return os.ErrClosed }}
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got error %v, want %v", err, os.ErrClosed)
	}
}
