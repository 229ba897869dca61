package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are all metrics of the sidecar.
type metrics struct {
	registry    *prometheus.Registry
	degraded    prometheus.Gauge
	refusing    prometheus.Gauge
	expiry      *prometheus.GaugeVec
	reloads     *prometheus.CounterVec
	lastRefresh prometheus.Gauge
	refusals    prometheus.Counter
}

func newMetrics(version string) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		degraded: gauge("certsync_degraded", "1 when a certificate file has a problem; /health and the log name it."),
		refusing: gauge("certsync_refusing", "1 when every request is refused, because client certificates cannot be verified."),
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certsync_expiry_timestamp_seconds", Help: "When what is in use of a file ends, first of all its certificates or lists; nothing for a self-signed server certificate.",
		}, []string{"file"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certsync_reloads_total", Help: "Reloads of nginx, by result (ok, failed).",
		}, []string{"result"}),
		lastRefresh: gauge("certsync_last_refresh_timestamp_seconds", "When the certificate files were last looked at."),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certsync_refusals_total", Help: "Handshakes and requests refused for who the client is, and what is no request; the log has a record a minute for those alike.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "certsync_build_info", Help: "1, labelled with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	for _, result := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(result)
	}
	m.registry.MustRegister(m.degraded, m.refusing, m.expiry, m.reloads, m.lastRefresh, m.refusals, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds the metrics of nginx, which are read at each scrape.
func (m *metrics) watch(n *nginx) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "certsync_nginx_files", Help: "Open files of the fullest worker of nginx: connections, most of them; a request has two.",
		}, func() float64 { return float64(n.fullest()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "certsync_nginx_files_limit", Help: "Connections that a worker of nginx can have.",
		}, func() float64 { return float64(workerConnections()) }))
}

func (m *metrics) set(inUse setting, refusing, degraded bool) {
	m.degraded.Set(float64(number(degraded)))
	m.refusing.Set(float64(number(refusing)))
	m.lastRefresh.SetToCurrentTime()
	certificateEnd := inUse.pair.notAfter
	if inUse.pair.selfMade {
		certificateEnd = time.Time{}
	}
	for file, end := range map[string]time.Time{certificateFile: certificateEnd, truststoreFile: inUse.trust.notAfter, crlFile: inUse.trust.nextUpdate} {
		if end.IsZero() {
			m.expiry.DeleteLabelValues(file)
		} else {
			m.expiry.WithLabelValues(file).Set(float64(end.Unix()))
		}
	}
}
