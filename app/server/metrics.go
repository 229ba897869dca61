package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/stow"
	"stowrs-to-s3/app/trace"
)

// metrics are all metrics of the service. No label names an instance or a client.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	duration  prometheus.Histogram
	bytes     prometheus.Counter
	instances *prometheus.CounterVec
	s3        *prometheus.HistogramVec

	commitments         *prometheus.CounterVec
	commitmentInstances *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stowrs_requests_total", Help: "Store requests answered, by HTTP status.",
		}, []string{"status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stowrs_request_duration_seconds", Help: "Time from the header of a Store request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stowrs_received_bytes_total", Help: "Bytes of request bodies received.",
		}),
		instances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stowrs_instances_total", Help: "Instances, by result (stored, failed) and Failure Reason (0008,1197), hexadecimal.",
		}, []string{"result", "reason"}),
		s3: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stowrs_s3_request_duration_seconds", Help: "Time of S3 requests with their retries, by operation and result (ok, error).",
			Buckets: prometheus.ExponentialBuckets(0.005, 3, 10),
		}, []string{"operation", "result"}),
	}
	m.commitments = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stowrs_commitments_total", Help: "Storage commitment requests answered, by HTTP status.",
	}, []string{"status"})
	m.commitmentInstances = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stowrs_commitment_instances_total", Help: "Instances that storage commitment requests asked about, by result (committed, failed).",
	}, []string{"result"})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stowrs_build_info", Help: "1, labelled with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.bytes, m.instances, m.s3, m.commitments, m.commitmentInstances, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// gauges registers values that are read at the moment of a scrape.
func (m *metrics) gauges(h *health, handler *stow.Handler) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("stowrs_ready", "1 when the service is ready.", func() float64 { return is(h.state().Ready) })
	gauge("stowrs_degraded", "1 when S3 does not answer at the moment, or the last instance could not be stored.", func() float64 { return is(h.state().Degraded) })
	gauge("stowrs_requests_in_flight", "Store requests being served.", func() float64 { return float64(handler.Serving()) })
	gauge("stowrs_buffered_bytes", "Part buffers in use, of MEMORYBUDGET.", func() float64 { return float64(handler.Ledger.InUseBytes()) })
}

// traces registers the numbers of spans by outcome, if there are traces.
func (m *metrics) traces(t *trace.Tracer) {
	if t == nil {
		return
	}
	for result, count := range map[string]func() float64{
		"exported": func() float64 { n, _, _ := t.Counts(); return float64(n) },
		"failed":   func() float64 { _, n, _ := t.Counts(); return float64(n) },
		"dropped":  func() float64 { _, _, n := t.Counts(); return float64(n) },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "stowrs_trace_spans_total", Help: "Spans of traces, by result: exported, failed (the collector did not take them), dropped (too many waited).",
			ConstLabels: prometheus.Labels{"result": result},
		}, count))
	}
}

// log registers the number of records that the log has lost.
func (m *metrics) log(q *logQueue) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "stowrs_log_records_lost_total", Help: "Records of the log that were lost, because its reader did not take them.",
	}, func() float64 { return float64(q.Lost()) }))
}

func (m *metrics) transaction(t stow.Transaction) {
	m.requests.WithLabelValues(strconv.Itoa(t.StatusCode)).Inc()
	m.duration.Observe(t.Duration.Seconds())
	m.bytes.Add(float64(t.Bytes))
	m.instances.WithLabelValues("stored", "").Add(float64(t.Stored))
	for reason, n := range t.Failed {
		m.instances.WithLabelValues("failed", reason.Hex()).Add(float64(n))
	}
}

func (m *metrics) commitment(t commitment.Transaction) {
	m.commitments.WithLabelValues(strconv.Itoa(t.StatusCode)).Inc()
	m.commitmentInstances.WithLabelValues("committed").Add(float64(t.Committed))
	m.commitmentInstances.WithLabelValues("failed").Add(float64(t.Failed))
}

func (m *metrics) s3Request(operation string, duration time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.s3.WithLabelValues(operation, result).Observe(duration.Seconds())
}
