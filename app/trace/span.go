package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Span is a span that has begun. The methods of the zero Span do nothing.
type Span struct{ span oteltrace.Span }

// Start begins a span as a child of that of ctx. If ctx has none, it returns the zero Span.
func Start(ctx context.Context, name string) (context.Context, Span) {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return ctx, Span{}
	}
	return start(ctx, name, oteltrace.SpanKindInternal)
}

// S3 begins the span of an S3 request, named after the operation. It covers all attempts; each attempt is an event (see Event).
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

// WithPart sets the attribute stowrs.part of all spans that begin with the returned context: the number of the instance in its request, from 1.
func WithPart(ctx context.Context, part int) context.Context {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return context.WithValue(ctx, partKey{}, part)
}

// Event adds an event to the span of ctx, with the present time. errorType is as in End.
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

// Set sets a numeric attribute of the span, such as a size, a count or a status.
func (s Span) Set(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// End ends the span. errorType is a constant that says what failed, without any data of the request
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/); empty: nothing failed.
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
