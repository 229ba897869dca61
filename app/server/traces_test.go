package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3test"
)

// file is a sample; its UIDs and its patient must not be in a trace.
func file(t *testing.T, name string) ([]byte, dicom.Identity) {
	t.Helper()
	data, err := os.ReadFile("../../dcm-samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := dicom.Identify(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return data, identity
}

func multipart(parts ...[]byte) io.Reader {
	var b bytes.Buffer
	for _, part := range parts {
		b.WriteString("--b\r\nContent-Type: application/dicom\r\n\r\n")
		b.Write(part)
		b.WriteString("\r\n")
	}
	b.WriteString("--b--\r\n")
	return &b
}

var ofMultipart = map[string]string{"Content-Type": `multipart/related; type="application/dicom"; boundary=b`}

// One request with a large instance, a small one that S3 refuses once, and a part that is not an instance. Its spans are the six
// steps and, below Store, the S3 requests. The exporter and its data are the real ones.
func TestTraceOfARequest(t *testing.T) {
	c, s3 := newCollector(t), s3test.Start(t, "dicom")
	c.traced(t, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
	s3.Inject(s3test.Fault{Operation: "PutObject", Status: 503, Code: "SlowDown", Times: 1})
	r := start(t, s3, map[string]string{"TRUSTEDPROXY": "127.0.0.1"})
	large, _ := file(t, "slice-1.dcm")
	small, _ := file(t, "slice-2.dcm")
	large = append(large, make([]byte, 9<<20)...)
	response := r.request(t, "POST", "/studies", multipart(large, small, []byte("no DICOM")), map[string]string{
		"Content-Type": ofMultipart["Content-Type"], "X-Request-Id": "request-of-the-proxy",
	})
	if response.StatusCode != 202 {
		t.Errorf("got %d, want 202", response.StatusCode)
	}
	r.end(t)
	want := []string{
		"POST /studies",
		" Accept",
		" Check 1",
		" Check 2",
		" Identify 1",
		" Identify 2",
		" Identify 3 C000",
		" Report",
		" Split",
		" Store 1",
		"  CompleteMultipartUpload 1",
		"  CreateMultipartUpload 1",
		"  UploadPart 1",
		"  UploadPart 1",
		" Store 2",
		"  PutObject 2 (attempt failed SlowDown)",
	}
	if diff := cmp.Diff(want, c.tree(nil)); diff != "" {
		t.Errorf("spans differ (-want +got):\n%s", diff)
	}
	wantAttributes := map[string]string{
		"http.request.method": "POST", "http.route": "/studies", "http.response.status_code": "202", "stowrs.request_id": "request-of-the-proxy",
		"stowrs.stored": "2", "stowrs.failed": "1", "stowrs.warnings": "0", "stowrs.bytes": "",
	}
	got := attributes(c.named("POST /studies")[0].GetAttributes())
	got["stowrs.bytes"] = ""
	if diff := cmp.Diff(wantAttributes, got); diff != "" {
		t.Errorf("attributes of the request differ (-want +got):\n%s", diff)
	}
	if c.resource["service.name"] != "stowrs" || c.resource["service.version"] != "test" || c.resource["deployment.environment.name"] != "test" {
		t.Errorf("got the resource %v", c.resource)
	}
}

// No string in an export contains a UID, an attribute of a patient or a key: neither of stored nor of refused instances, nor from
// network errors, whose text contains the URL of the object, nor from the trace headers of a client.
func TestTracesNameNobody(t *testing.T) {
	c, s3 := newCollector(t), s3test.Start(t, "dicom")
	c.traced(t)
	r := start(t, s3, map[string]string{"RETRYTIME": "1s", "PREFIX": "secret-prefix"})
	data, identity := file(t, "slice-1.dcm")
	header := map[string]string{
		"Content-Type": ofMultipart["Content-Type"], "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Tracestate": "vendor=" + identity.StudyInstanceUID, "Baggage": "patient=Doe%5EJane", "X-Request-Id": identity.SOPInstanceUID,
	}
	r.request(t, "POST", "/studies/"+identity.StudyInstanceUID, multipart(data, []byte("Doe^Jane")), header)
	r.request(t, "POST", "/studies/1.2.3.4", multipart(data), header) // of another study
	r.request(t, "POST", "/studies/Doe^Jane", multipart(data), header)
	s3.Inject(s3test.Fault{Operation: "PutObject", Status: 400, Code: "1.2.840.99", Times: 1}) // not a code of S3
	r.request(t, "POST", "/studies", multipart(data), header)
	s3.SetUnreachable(true)
	r.request(t, "POST", "/studies", multipart(data), header)
	r.end(t)
	export := c.raw.String()
	for _, want := range []string{"A901", "_OTHER", "/studies/{study}", "503"} { // all cases have occurred
		if !strings.Contains(export, want) {
			t.Errorf("the export has no %q", want)
		}
	}
	for _, secret := range []string{
		identity.StudyInstanceUID, identity.SeriesInstanceUID, identity.SOPInstanceUID, identity.SOPClassUID, identity.TransferSyntaxUID,
		"1.2.3.4", "1.2.840", "Doe", "Jane", "Phantom", "SYNTHETIC", "secret-prefix", "dicom/", "127.0.0.1",
	} {
		if strings.Contains(export, secret) {
			t.Errorf("the export has %q", secret)
		}
	}
}

// A request joins the trace of its client (https://www.w3.org/TR/trace-context/), but the client does not decide whether it is
// sampled: neither with the flag, nor with a trace id that a ratio would select.
func TestTraceparent(t *testing.T) {
	const trace, parent = "00000000000000000000000000000001", "b7ad6b7169203331"
	for _, test := range []struct {
		flag    string
		sampler string
		ratio   string
		want    int
	}{
		{"00", "", "", 1},
		{"01", "", "", 1},
		{"01", "parentbased_always_off", "", 0},
		{"01", "parentbased_traceidratio", "0", 0},
		{"00", "parentbased_traceidratio", "1", 1},
		{"01", "traceidratio", "0.000000001", 0}, // with this trace id, a ratio by id would sample each request
	} {
		c, s3 := newCollector(t), s3test.Start(t, "dicom")
		c.traced(t, "OTEL_TRACES_SAMPLER="+test.sampler, "OTEL_TRACES_SAMPLER_ARG="+test.ratio)
		r := start(t, s3, nil)
		data, _ := file(t, "slice-1.dcm")
		r.request(t, "POST", "/studies", bytes.NewReader(data), map[string]string{"Traceparent": "00-" + trace + "-" + parent + "-" + test.flag})
		r.end(t)
		got := c.named("POST /studies")
		if len(got) != test.want {
			t.Errorf("%+v: got %d spans of the request", test, len(got))
		}
		if len(got) > 0 && (!bytes.Equal(got[0].GetTraceId(), id(t, trace)) || !bytes.Equal(got[0].GetParentSpanId(), id(t, parent))) {
			t.Errorf("%+v: got trace %x, parent %x", test, got[0].GetTraceId(), got[0].GetParentSpanId())
		}
		if puts := c.named("PutObject"); len(puts) != test.want {
			t.Errorf("%+v: got %d spans of PutObject", test, len(puts))
		}
	}
}

// Without the variables there are no traces.
func TestTracesAreOff(t *testing.T) {
	for _, variable := range []string{"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT="} {
		c := newCollector(t)
		c.traced(t, "OTEL_BSP_SCHEDULE_DELAY=1", variable)
		r := start(t, s3test.Start(t, "dicom"), nil)
		r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), map[string]string{"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
		_, metrics := r.get(t, "/metrics")
		r.end(t)
		if c.asked() != 0 || strings.Contains(metrics, "stowrs_trace") {
			t.Errorf("%s: the collector was asked %d times", variable, c.asked())
		}
		if err := os.Unsetenv(strings.Split(variable, "=")[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// A collector that hangs delays no request, and a stop for at most three seconds. Spans above the limit are dropped and counted.
func TestCollectorHangs(t *testing.T) {
	c, held := newCollector(t), make(chan struct{})
	t.Cleanup(func() { close(held) })
	c.answer = func(http.ResponseWriter, *http.Request) { <-held }
	c.traced(t, "OTEL_BSP_MAX_QUEUE_SIZE=16", "OTEL_BSP_SCHEDULE_DELAY=1")
	r := start(t, s3test.Start(t, "dicom"), nil)
	begun := time.Now()
	const requests = 50 // with eight spans each
	for range requests {
		if response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil); response.StatusCode != 200 {
			t.Fatalf("got %d, want 200", response.StatusCode)
		}
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("%d requests took %s", requests, took)
	}
	const dropped = `stowrs_trace_spans_total{result="dropped"} `
	_, metrics := r.get(t, "/metrics")
	if !strings.Contains(metrics, dropped+"384\n") { // 50 × 8 - 16
		_, after, _ := strings.Cut(metrics, dropped)
		t.Errorf("%.10q spans were dropped, want 384", after)
	}
	if took := r.end(t); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if !strings.Contains(r.logged(), `"traces are not exported"`) {
		t.Error("the log does not say that traces are not exported")
	}
}

// The service's log says why traces are not exported, at most once per minute and without the headers, which contain a
// token; the collector's answer may repeat it. The log contains only JSON.
func TestCollectorRefuses(t *testing.T) {
	c := newCollector(t)
	c.answer = func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not a good token: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
	}
	c.traced(t, "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20t0ps3cret")
	r := start(t, s3test.Start(t, "dicom"), nil)
	for deadline := time.Now().Add(20 * time.Second); c.asked() < 5; {
		r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil)
		if time.Now().After(deadline) {
			t.Fatal("the collector is not asked")
		}
	}
	_, metrics := r.get(t, "/metrics")
	r.end(t)
	told := 0
	for line := range strings.Lines(r.logged()) {
		var record struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("not JSON: %s", line)
		}
		if record.Msg == "traces are not exported" {
			told++
			if record.Level != "WARNING" || !strings.Contains(record.Error, "401 Unauthorized") {
				t.Errorf("got %s", line)
			}
		}
	}
	if told != 1 {
		t.Errorf("it was told %d times, want once", told)
	}
	if strings.Contains(r.logged(), "t0ps3cret") {
		t.Errorf("the log has the token:\n%s", r.logged())
	}
	if !strings.Contains(metrics, `stowrs_trace_spans_total{result="failed"} `) || strings.Contains(metrics, `stowrs_trace_spans_total{result="failed"} 0`) {
		t.Error("no metric counts the spans that were refused")
	}
}
