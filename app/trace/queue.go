package trace

import (
	"context"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// counts are the numbers of ended spans.
type counts struct{ waiting, exported, failed, dropped atomic.Int64 }

// queue is the SDK's batch processor, with a limit of its own: it counts the spans that wait for their export, including the batch
// that is being sent. Above the limit it drops spans, like the SDK, but counts them.
type queue struct {
	sdktrace.SpanProcessor
	counts *counts
	most   int64
}

func newQueue(exporter sdktrace.SpanExporter, told *teller, most int) sdktrace.SpanProcessor {
	batches := sdktrace.NewBatchSpanProcessor(counted{exporter, told}, sdktrace.WithMaxQueueSize(most))
	return &queue{SpanProcessor: batches, counts: &told.counts, most: int64(most)}
}

// OnEnd implements sdktrace.SpanProcessor. It never blocks.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.counts.waiting.Add(1) > q.most {
		q.counts.waiting.Add(-1)
		q.counts.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// counted is an exporter that counts the spans, and logs errors.
type counted struct {
	sdktrace.SpanExporter
	told *teller
}

// ExportSpans implements sdktrace.SpanExporter.
func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	n := int64(len(spans))
	c.told.counts.waiting.Add(-n)
	if err != nil {
		c.told.counts.failed.Add(n)
		c.told.Handle(err) // here, because the SDK has only one error handler for the whole process
		return nil
	}
	c.told.counts.exported.Add(n)
	return nil
}
