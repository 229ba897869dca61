package trace

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// step is what a Store request does for each of its instances.
func step(ctx context.Context) {
	ctx, span := Start(WithPart(ctx, 3), "Store")
	_, request := S3(ctx, "PutObject")
	Event(ctx, "attempt", "")
	request.End("")
	span.Set("stowrs.bytes", 8<<10)
	span.End("")
}

// Without traces, nothing is allocated for them, neither for a request nor for its instances.
func TestOffCostsNothing(t *testing.T) {
	none, err := New(map[string]string{"OTEL_SERVICE_NAME": "x"}, "", slog.Default())
	if none != nil || err != nil {
		t.Fatalf("got %v, %v", none, err)
	}
	r := httptest.NewRequest("POST", "/studies", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	allocations := testing.AllocsPerRun(100, func() {
		traced, span := none.Request(r, "/studies", "id")
		if traced != r {
			t.Error("the request is another one")
		}
		step(ctx)
		span.End("")
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
	none.Close(ctx)
}

// The cost of the calls for one instance when there are no traces, or when its request is not sampled.
func BenchmarkOff(b *testing.B) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		step(ctx)
	}
}

// The same with traces, and an exporter that discards them.
func BenchmarkOn(b *testing.B) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSpanProcessor(newQueue(tracetest.NewNoopExporter(), &teller{log: slog.Default()}, sdktrace.DefaultMaxQueueSize)))
	ctx, span := provider.Tracer(scope).Start(b.Context(), "POST /studies")
	defer span.End()
	b.ReportAllocs()
	for b.Loop() {
		step(ctx)
	}
}

// Each variable with an invalid value is reported with its rule, and without secrets.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		variables string // separated by spaces
		want      []string
	}{
		{"", nil},
		{"OTEL_TRACES_SAMPLER=maybe", nil}, // there are no traces
		{"OTEL_SDK_DISABLED=true OTEL_TRACES_EXPORTER=zipkin", nil},
		{"OTEL_TRACES_EXPORTER=none OTEL_EXPORTER_OTLP_PROTOCOL=grpc", nil},
		{"OTEL_TRACES_EXPORTER=otlp", nil},
		{"OTEL_TRACES_EXPORTER=zipkin", []string{`OTEL_TRACES_EXPORTER="zipkin": must be otlp or none`}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318/base OTEL_EXPORTER_OTLP_HEADERS=a=b%20c,d=e OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_COMPRESSION=gzip", nil},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", []string{`OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318": must be an http or https URL`}},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://u:s3cret@c", []string{`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="ftp://u:xxxxx@c": must be`}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_TRACES_HEADERS=s3cret", []string{`OTEL_EXPORTER_OTLP_TRACES_HEADERS="****": must be name=value`}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc", []string{`OTEL_EXPORTER_OTLP_PROTOCOL="grpc": must be http/protobuf or http/json, for which collectors listen on port 4318`}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_TRACES_SAMPLER=parentbased_maybe OTEL_TRACES_SAMPLER_ARG=2 OTEL_BSP_MAX_QUEUE_SIZE=8193", []string{
			`OTEL_TRACES_SAMPLER="parentbased_maybe": must be`, `OTEL_TRACES_SAMPLER_ARG="2": must be a number from 0 to 1`,
			`OTEL_BSP_MAX_QUEUE_SIZE="8193": must be a number of spans from 1 to 8192`,
		}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_TIMEOUT=10s OTEL_EXPORTER_OTLP_COMPRESSION=zstd", []string{`OTEL_EXPORTER_OTLP_TIMEOUT="10s": must be`, `OTEL_EXPORTER_OTLP_COMPRESSION="zstd": must be`}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_RESOURCE_ATTRIBUTES=a OTEL_BSP_SCHEDULE_DELAY=0 OTEL_BSP_EXPORT_TIMEOUT=-1 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=-5", []string{
			`OTEL_RESOURCE_ATTRIBUTES="a": must be name=value`, `OTEL_BSP_SCHEDULE_DELAY="0": must be`, `OTEL_BSP_EXPORT_TIMEOUT="-1": must be`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE="-5": must be`,
		}},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_RESOURCE_ATTRIBUTES=a=b,c=d%20e OTEL_BSP_SCHEDULE_DELAY=200 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=100", nil},
	} {
		environment := map[string]string{}
		for variable := range strings.FieldsSeq(test.variables) {
			name, value, _ := strings.Cut(variable, "=")
			environment[name] = value
		}
		var got []string
		if err := Check(environment); err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		same := slices.EqualFunc(test.want, got, func(want, got string) bool { return strings.HasPrefix(got, want) })
		if !same || strings.Contains(strings.Join(got, ""), "s3cret") {
			t.Errorf("%s: got %q, want %q", test.variables, got, test.want)
		}
	}
}

func TestPrintMasksSecrets(t *testing.T) {
	var b bytes.Buffer
	Print(&b, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:s3cret@collector", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret",
		"OTEL_SERVICE_NAME": "stow-1", "OTEL_OTHER_TOKEN": "s3cret",
	})
	want := "OTEL_EXPORTER_OTLP_ENDPOINT https://u:xxxxx@collector\nOTEL_EXPORTER_OTLP_HEADERS ****\nOTEL_SERVICE_NAME     stow-1\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// A ratio decides at random and not by the trace id, which a client can choose: of a thousand requests with the same id, about half are sampled.
func TestRatioOfStrangers(t *testing.T) {
	s := sampler(map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
	parent := oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: oteltrace.TraceID{15: 1}, SpanID: oteltrace.SpanID{7: 1}, TraceFlags: oteltrace.FlagsSampled, Remote: true})
	ctx, sampled := oteltrace.ContextWithSpanContext(t.Context(), parent), 0
	for range 1000 {
		if s.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: parent.TraceID()}).Decision == sdktrace.RecordAndSample {
			sampled++
		}
	}
	if sampled < 350 || sampled > 650 {
		t.Errorf("%d of 1000 were sampled", sampled)
	}
	local := oteltrace.ContextWithSpanContext(t.Context(), parent.WithRemote(false)) // a step follows the decision about its request
	if got := s.ShouldSample(sdktrace.SamplingParameters{ParentContext: local}).Decision; got != sdktrace.RecordAndSample {
		t.Errorf("a step of a request that is sampled: got %v", got)
	}
}

// The SDK's messages about the environment are logged without values: a header that it cannot parse is not in the log.
func TestSDKTellsNoHeader(t *testing.T) {
	var b bytes.Buffer
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")
	traces, err := New(map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, "", slog.New(slog.NewJSONHandler(&b, nil)))
	if err != nil {
		t.Fatal(err)
	}
	traces.Close(t.Context())
	if !strings.Contains(b.String(), "parse headers") || strings.Contains(b.String(), "s3cret") {
		t.Errorf("got %s", b.String())
	}
}

func TestTellerCleans(t *testing.T) {
	told := &teller{secrets: secrets(map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:p4ss@c"})}
	for text, want := range map[string]string{
		"failed: 401 Unauthorized (body: Bearer s3cret)": "failed: 401 Unauthorized",
		"sent Bearer s3cret, Bearer%20s3cret and p4ss":   "sent ****, **** and ****",
		"two\nlines":             "two?lines",
		strings.Repeat("x", 400): strings.Repeat("x", 300),
	} {
		if got := told.clean(text); got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
}

// The table in docs/operations.md contains exactly the variables of the code.
func TestEveryVariableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Traces\n")
	if !found {
		t.Fatal("docs/operations.md has no section on traces")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| (OTEL_[A-Z_, ]+) \|`).FindAllStringSubmatch(section, -1) {
		documented = append(documented, strings.Split(row[1], ", ")...)
	}
	for _, name := range exporterVariables { // the table contains only the form for all signals
		documented = append(documented, "OTEL_EXPORTER_OTLP_TRACES_"+name)
	}
	got, want := slices.Compact(slices.Sorted(slices.Values(documented))), slices.Sorted(slices.Values(Variables()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documented variables differ (-code +docs):\n%s", diff)
	}
}
