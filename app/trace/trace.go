// Package trace makes OpenTelemetry traces of Store requests, when the standard OTEL_ variables ask for them
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). The spans go to a collector over
// OTLP/HTTP, with OpenTelemetry's own SDK and exporter.
//
// A request is one span. Its children are the six steps (docs/design.md), and the S3 requests are children of the step Store. No span contains an
// attribute of a patient, a UID, a key, or the text of an error: an error is only a constant, its error.type.
//
// A span is the child of the span in the context; without one, no span begins. So other packages need only a context and no Tracer,
// and without traces nothing is allocated.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of the spans.
const scope = "stowrs-to-s3"

// Tracer begins the spans of requests. A nil Tracer begins none. It is safe for concurrent use.
type Tracer struct {
	tracer   oteltrace.Tracer
	provider *sdktrace.TracerProvider
	told     *teller
}

// New makes the Tracer that the environment asks for; nil if it asks for none. Call Check first. New does not connect to the
// collector: spans that cannot be exported are dropped, and at most once per minute a log record reports this. The error reports an exporter or a
// resource that cannot be made.
func New(environment map[string]string, version string, log *slog.Logger) (*Tracer, error) {
	if !wanted(environment) {
		return nil, nil
	}
	told := &teller{log: log, secrets: secrets(environment)}
	otel.SetErrorHandler(told)
	otel.SetLogger(logr.FromSlogHandler(sdkLog{told})) // otherwise the SDK writes text to standard error, including headers
	ctx := context.Background()
	exporter, err := otlptracehttp.New(ctx, endpoint(environment)...)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	what, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "stowrs"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // last, so that it overrides the attributes above
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sampler(environment)),
		sdktrace.WithResource(what),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSpanProcessor(newQueue(exporter, told, queueSize(environment))),
	)
	return &Tracer{tracer: provider.Tracer(scope), provider: provider, told: told}, nil
}

// limits bound the memory of a span. If an S3 request is repeated for an hour, only its last events are kept.
var limits = sdktrace.SpanLimits{
	AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 16, LinkCountLimit: 1,
	AttributePerEventCountLimit: 4, AttributePerLinkCountLimit: 1,
}

// Request begins the span of a request, and returns the request with the span in its context. From a traceparent header
// (https://www.w3.org/TR/trace-context/) it takes only the ids: any client can write this header, so it must not decide about
// sampling. The tracestate header, which can contain any text, is ignored.
func (t *Tracer) Request(r *http.Request, route, requestID string) (*http.Request, Span) {
	if t == nil {
		return r, Span{}
	}
	parent := propagation.TraceContext{}.Extract(r.Context(), propagation.MapCarrier{"traceparent": r.Header.Get("Traceparent")})
	ctx, span := t.tracer.Start(parent, r.Method+" "+route, oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.String("http.route", route),
		attribute.String("stowrs.request_id", requestID),
	))
	if !span.IsRecording() {
		return r, Span{}
	}
	return r.WithContext(ctx), Span{span}
}

// closeTimeout limits Close: a collector that hangs delays a stop for no longer than this.
const closeTimeout = 3 * time.Second

// Close exports the remaining spans, until ctx ends, but for at most three seconds.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.told.Handle(err)
	}
}

// Counts returns the numbers of spans that have ended, by outcome. Spans that still wait for their export are not included.
func (t *Tracer) Counts() (exported, failed, dropped int64) {
	n := &t.told.counts
	return n.exported.Load(), n.failed.Load(), n.dropped.Load()
}
