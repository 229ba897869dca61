// Package trace makes OpenTelemetry traces of Store requests, when the standard OTEL_ variables ask for them
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). The spans go to a collector over
// OTLP/HTTP, with OpenTelemetry's own SDK and exporter.
//
// A request is one span. Its children are the six steps (docs/design.md), and beneath the step Store the S3 requests. No span has an
// attribute of a patient, a UID, a key, or the text of an error: an error is a word, its error.type.
//
// A span is begun beneath that of the context, if there is one. So other packages need a context and no Tracer, and where there
// are no traces nothing is allocated.
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

// scope is the name of what makes the spans.
const scope = "stowrs-to-s3"

// Tracer begins the spans of requests. A nil Tracer begins none. It is safe for concurrent use.
type Tracer struct {
	tracer   oteltrace.Tracer
	provider *sdktrace.TracerProvider
	told     *teller
}

// New makes the Tracer that the environment asks for, which Check has found right; nil if it asks for none. It does not call the
// collector: what cannot be exported is dropped, and told in the log, once a minute at most. The error is that of an exporter which cannot be made.
func New(environment map[string]string, version string, log *slog.Logger) (*Tracer, error) {
	if !wanted(environment) {
		return nil, nil
	}
	told := &teller{log: log, secrets: secrets(environment)}
	otel.SetErrorHandler(told)
	otel.SetLogger(logr.FromSlogHandler(sdkLog{told})) // else the SDK writes text to standard error, headers among it
	ctx := context.Background()
	exporter, err := otlptracehttp.New(ctx, endpoint(environment)...)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	what, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "stowrs"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // the last one counts
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

// limits bound a span: of an S3 request that is tried for an hour, the last events are kept.
var limits = sdktrace.SpanLimits{
	AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 16, LinkCountLimit: 1,
	AttributePerEventCountLimit: 4, AttributePerLinkCountLimit: 1,
}

// Request begins the span of a request. Of a traceparent header (https://www.w3.org/TR/trace-context/) it takes the ids, and
// nothing else: anybody may have written it, so it decides about no sampling, and the tracestate beside it, which may be any text, is left out. The
// request that it returns has the span in its context.
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

// closeTimeout bounds Close: a collector that hangs holds up no stop for longer.
const closeTimeout = 3 * time.Second

// Close exports what is left, until ctx ends and for three seconds at most.
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

// Counts are the spans that have ended up to now, by what became of them.
func (t *Tracer) Counts() (exported, failed, dropped int64) {
	n := &t.told.counts
	return n.exported.Load(), n.failed.Load(), n.dropped.Load()
}
