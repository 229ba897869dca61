package server_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an HTTP server that receives traces over OTLP/HTTP
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request), as binary protobuf.
type collector struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request) // replaces the usual answer; nil: it accepts everything

	mu       sync.Mutex
	requests int
	raw      bytes.Buffer // all bodies, one after the other
	spans    []*tracepb.Span
	resource map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.requests++
	c.mu.Unlock()
	if c.answer != nil {
		c.answer(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	var export collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &export)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint("not an export: ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range export.GetResourceSpans() {
		c.resource = attributes(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range list {
		switch value := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = fmt.Sprint(value.IntValue)
		default:
			all[a.GetKey()] = a.GetValue().GetStringValue()
		}
	}
	return all
}

// asked returns how often spans were sent.
func (c *collector) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// tree returns the descendants of a span, one per line: name, part and error, indented by one space per level. Siblings are sorted.
func (c *collector) tree(parent []byte) []string {
	var blocks []string
	for _, s := range c.spans {
		if !bytes.Equal(s.GetParentSpanId(), parent) {
			continue
		}
		line, a := s.GetName(), attributes(s.GetAttributes())
		for _, key := range []string{"stowrs.part", "error.type"} {
			if a[key] != "" {
				line += " " + a[key]
			}
		}
		for _, e := range s.GetEvents() {
			if failed := attributes(e.GetAttributes())["error.type"]; failed != "" {
				line += " (" + e.GetName() + " " + failed + ")"
			}
		}
		for _, below := range c.tree(s.GetSpanId()) {
			line += "\n " + below
		}
		blocks = append(blocks, line)
	}
	slices.Sort(blocks)
	var lines []string
	for _, block := range blocks {
		lines = append(lines, strings.Split(block, "\n")...)
	}
	return lines
}

// named returns the spans with this name.
func (c *collector) named(name string) []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s *tracepb.Span) bool { return s.GetName() != name })
}

// traced sets the variables with which the next service exports to the collector.
func (c *collector) traced(t *testing.T, variables ...string) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

// end stops the service, which exports the remaining spans, and returns how long this took.
func (r *running) end(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("the service ends with %v", err)
	}
	return time.Since(begun)
}

func id(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
