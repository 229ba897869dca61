// Command faultys3 runs the S3 server of app/s3test as a separate process, so that its memory does not count for the program under test. It
// lets a test in another process switch faults on and off and read what is stored.
//
// On its standard output it prints the variables that make the AWS SDK use it, one per line, then CONTROL=http://address. At that address it
// answers without TLS, faults or latency:
//
//	POST   /settings  changes the settings that it names, such as
//	                  {"latency": {"": "50ms", "PutObject": "1s"}, "capacity": 20, "outage": {"status": 503, "code": "SlowDown"},
//	                  "unreachable": true, "ageUploads": "192h"}
//	POST   /faults    adds a fault: the fields of s3test.Fault, and "prefix" and "hold", such as
//	                  {"operation": "UploadPart", "prefix": "1.2/", "skip": 1, "times": 2, "cutAfter": true, "delay": "200ms"}
//	DELETE /faults    removes all faults, and lets held requests continue
//	GET    /objects   key, size, CRC64NVME and headers of each object
//	DELETE /objects   removes all objects
//	GET    /uploads   keys of the open multipart uploads
//	GET    /counters  answers by operation and status, bytes received, requests in flight
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"stowrs-to-s3/app/s3test"
)

type flags struct {
	Listen      string        `default:"127.0.0.1:0" help:"Address of S3; port 0 is any."`
	Control     string        `default:"127.0.0.1:0" help:"Address of the control endpoint."`
	Bucket      string        `default:"dicom" help:"Name of the bucket."`
	MinPartSize int64         `default:"5242880" help:"Smallest size in bytes of any part but the last."`
	Latency     time.Duration `help:"Delay of each answer."`
	Discard     bool          `help:"Verify the bytes of objects, but do not keep them."`
	NoChecksums bool          `help:"Ignore x-amz-checksum-*, as older S3-compatible servers do."`
	TLS         string        `name:"tls" type:"path" placeholder:"CA.PEM" help:"Serve HTTPS, and write the certificate to this file."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("faultys3"), kong.Description("An S3 in memory, for tests, that breaks on demand."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := f.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faultys3:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func (f flags) run(ctx context.Context) error {
	store := s3test.New(f.Bucket)
	store.MinPartSize, store.Discard, store.NoChecksums = f.MinPartSize, f.Discard, f.NoChecksums
	store.SetLatency(f.Latency)
	if err := store.Listen(f.Listen, f.TLS); err != nil {
		return fmt.Errorf("S3: %w", err)
	}
	defer store.Close()
	listener, err := net.Listen("tcp", f.Control) //nolint:noctx // at once
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	server := &http.Server{Handler: newControl(store), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Printf("%s\nBUCKETNAME=%s\nCONTROL=http://%s\n", strings.Join(store.Environ(), "\n"), f.Bucket, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// control is the control endpoint.
type control struct {
	store *s3test.Server
	mu    sync.Mutex
	held  []chan struct{} // closed to let requests continue
}

// settings are the body of POST /settings. Absent fields change nothing.
type settings struct {
	Latency  map[string]duration // by operation; "" is the others
	Capacity *int
	Outage   *struct {
		Status int // 0 ends it
		Code   string
	}
	Unreachable *bool
	AgeUploads  duration
}

// fault is an s3test.Fault as JSON.
type fault struct {
	s3test.Fault
	Prefix       string // of keys
	Hold         bool   // until the faults are removed
	Stall, Delay duration
}

// duration is written as 1m30s.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err //nolint:wrapcheck // it contains the text
}

func newControl(store *s3test.Server) http.Handler {
	c := &control{store: store}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /settings", decoded(c.set))
	mux.HandleFunc("POST /faults", decoded(c.inject))
	mux.HandleFunc("DELETE /faults", func(http.ResponseWriter, *http.Request) { c.clear() })
	mux.HandleFunc("GET /objects", func(w http.ResponseWriter, _ *http.Request) { encode(w, store.Objects()) })
	mux.HandleFunc("DELETE /objects", func(http.ResponseWriter, *http.Request) { store.Clear() })
	mux.HandleFunc("GET /uploads", func(w http.ResponseWriter, _ *http.Request) { encode(w, store.OpenUploads()) })
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) { encode(w, store.Counters()) })
	return mux
}

func (c *control) set(s settings) {
	for operation, latency := range s.Latency {
		c.store.SetLatency(time.Duration(latency), operation)
	}
	if s.Capacity != nil {
		c.store.SetCapacity(*s.Capacity)
	}
	if s.Outage != nil {
		c.store.SetOutage(s.Outage.Status, s.Outage.Code)
	}
	if s.Unreachable != nil {
		c.store.SetUnreachable(*s.Unreachable)
	}
	c.store.AgeUploads(time.Duration(s.AgeUploads))
}

func (c *control) inject(f fault) {
	injected := f.Fault
	injected.Key = func(key string) bool { return strings.HasPrefix(key, f.Prefix) }
	injected.Stall, injected.Delay = time.Duration(f.Stall), time.Duration(f.Delay)
	if f.Hold {
		c.mu.Lock()
		defer c.mu.Unlock()
		released := make(chan struct{})
		c.held = append(c.held, released)
		injected.Hold = released
	}
	c.store.Inject(injected)
}

func (c *control) clear() {
	c.store.ClearFaults()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, released := range c.held {
		close(released)
	}
	c.held = nil
}

// decoded refuses a body with unknown fields, so that a test does not wait for a fault with a misspelt name.
func decoded[T any](apply func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var value T
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&value); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		apply(value)
	}
}

func encode(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // it fails only if the client has left
}
