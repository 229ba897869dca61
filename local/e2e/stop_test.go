package e2e

import (
	"context"
	"io"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// upload is a request whose body stops in the middle until finish is called.
type upload struct {
	instance instance
	release  chan struct{} // closed: the rest of the body follows
	answered chan answer
}

type answer struct {
	status int
	stored bool
	err    error
}

// beginUpload sends the first half of a large instance, and returns when its multipart upload is open.
func beginUpload(t *testing.T, b *bucket, s *service) *upload {
	t.Helper()
	u := &upload{instance: instance{serial: 1, pixelBytes: 30 * mib}, release: make(chan struct{}), answered: make(chan answer, 1)}
	body, lengthBytes := multipart(u.instance)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	firstHalf := io.LimitReader(body, lengthBytes/2)
	halfway := &gate{ctx: ctx, reached: make(chan struct{}), open: u.release}
	held := io.MultiReader(firstHalf, halfway, body)
	go func() { // ends with the request
		status, module, err := post(ctx, s.url(), held, lengthBytes)
		u.answered <- answer{status, len(module.Referenced) == 1 && module.Referenced[0].SOPInstanceUID == u.instance.uid(), err}
	}()
	select {
	case <-halfway.reached:
	case got := <-u.answered:
		t.Fatalf("the upload ended early: %+v (%v)", got, got.err)
	case <-time.After(20 * time.Second):
		t.Fatal("the service does not take the upload")
	}
	eventually(t, 10*time.Second, "the multipart upload is open", func() bool { return len(b.uploads(t)) == 1 })
	return u
}

// gate is an empty reader that blocks until it is open.
type gate struct {
	ctx     context.Context
	reached chan struct{} // closed by the first Read
	open    chan struct{}
}

// Read implements io.Reader.
func (g *gate) Read([]byte) (int, error) {
	close(g.reached)
	select {
	case <-g.open:
		return 0, io.EOF
	case <-g.ctx.Done():
		return 0, g.ctx.Err()
	}
}

func (s *service) wantStopping(t *testing.T) {
	t.Helper()
	eventually(t, time.Second, "/readyz says that the service stops", func() bool {
		status, body := s.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
}

func TestTerminatedServiceFinishesWhatIsInFlight(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup the service ignores it, too
		signals = append(signals, syscall.SIGHUP)
	}
	for _, signal := range signals {
		t.Run(signal.String(), func(t *testing.T) { terminate(t, signal) })
	}
}

func terminate(t *testing.T, signal syscall.Signal) {
	b := startGateway(t)
	s := startService(t, b)
	u := beginUpload(t, b, s)
	s.signal(t, signal)
	s.wantStopping(t)
	body, lengthBytes := multipart(instance{serial: 2, pixelBytes: 1000})
	if status, _, err := post(t.Context(), s.url(), body, lengthBytes); err == nil {
		t.Errorf("a new request is answered with %d while the service stops", status)
	}
	close(u.release)
	if got := <-u.answered; got.err != nil || got.status != http.StatusOK || !got.stored {
		t.Errorf("the upload in flight ends with %+v (%v), want status 200 and stored", got, got.err)
	}
	if code := s.exitCode(t, 10*time.Second); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	b.wantExactly(t, u.instance)
}

// If the service is ended early, for any reason, the client gets an answer, and no part is left in S3.
func TestStalledClientDoesNotHoldUpTheEnd(t *testing.T) {
	tests := []struct {
		name     string
		variable string
		signals  int
		atLeast  time.Duration // the shortest time before the service ends
	}{
		{"STOPTIMEOUT is over", "STOPTIMEOUT=2s", 1, 2 * time.Second},
		{"a second signal", "STOPTIMEOUT=110s", 2, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := startGateway(t)
			s := startService(t, b, test.variable)
			u := beginUpload(t, b, s)
			begin := time.Now()
			for range test.signals {
				s.signal(t, syscall.SIGTERM)
				s.wantStopping(t)
			}
			if code := s.exitCode(t, 8*time.Second); code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
			if took := time.Since(begin); took < test.atLeast {
				t.Errorf("ended after %s, want %s at least", took, test.atLeast)
			}
			if got := <-u.answered; got.err != nil || got.status != http.StatusServiceUnavailable || got.stored {
				t.Errorf("the client is answered %+v (%v), want status 503 and nothing stored", got, got.err)
			}
			b.wantNoUploads(t)
			b.wantExactly(t)
		})
	}
}
