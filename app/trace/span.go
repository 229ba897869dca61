package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Span is one that was begun. The zero Span is none: its methods do nothing.
type Span struct{ span oteltrace.Span }

// Start begins a span beneath that of ctx; none if ctx has none.
func Start(ctx context.Context, name string) (context.Context, Span) {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return ctx, Span{}
	}
	return start(ctx, name, oteltrace.SpanKindInternal)
}

// S3 begins the span of an S3 request, named by its operation: one for all attempts, each of which is an event (Event).
func S3(ctx context.Context, operation string) (context.Context, Span) {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return ctx, Span{}
	}
	return start(ctx, operation, oteltrace.SpanKindClient,
		attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", "S3"), attribute.String("rpc.method", operation))
}

func start(ctx context.Context, name string, kind oteltrace.SpanKind, attributes ...attribute.KeyValue) (context.Context, Span) {
	if part, is := ctx.Value(partKey{}).(int); is {
		attributes = append(attributes, attribute.Int("stowrs.part", part))
	}
	tracer := oteltrace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
	ctx, span := tracer.Start(ctx, name, oteltrace.WithSpanKind(kind), oteltrace.WithAttributes(attributes...))
	return ctx, Span{span}
}

type partKey struct{}

// WithPart gives all spans beneath ctx the number of their instance within the request, from 1.
func WithPart(ctx context.Context, part int) context.Context {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return context.WithValue(ctx, partKey{}, part)
}

// Event notes what happens at this moment, in the span of ctx. errorType is as that of End.
func Event(ctx context.Context, name, errorType string) {
	span := oteltrace.SpanFromContext(ctx)
	switch {
	case !span.IsRecording():
	case errorType == "":
		span.AddEvent(name)
	default:
		span.AddEvent(name, oteltrace.WithAttributes(attribute.String("error.type", errorType)))
	}
}

// Set gives the span an attribute that is a number: a size, a count, a status.
func (s Span) Set(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// End ends the span. errorType says in one word what has failed, and names nobody
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/); empty: nothing has.
func (s Span) End(errorType string) {
	if s.span == nil {
		return
	}
	if errorType != "" {
		s.span.SetStatus(codes.Error, "")
		s.span.SetAttributes(attribute.String("error.type", errorType))
	}
	s.span.End()
}
