package server

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"stowrs-to-s3/app/trace"
)

// docs/operations.md lists exactly the metrics of the service.
func TestMetricsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| (stowrs_[a-z0-9_]+)`).FindAllStringSubmatch(string(document), -1) {
		documented = append(documented, row[1])
	}
	m := newMetrics("test")
	m.gauges(nil, nil)
	m.traces(&trace.Tracer{})
	m.log(nil)
	described := make(chan *prometheus.Desc, 1000)
	m.registry.Describe(described)
	close(described)
	var registered []string
	for d := range described {
		if name := regexp.MustCompile(`fqName: "(stowrs_[a-z0-9_]+)"`).FindStringSubmatch(d.String()); name != nil {
			registered = append(registered, name[1])
		}
	}
	slices.Sort(documented)
	slices.Sort(registered)
	if registered = slices.Compact(registered); !slices.Equal(documented, registered) {
		t.Errorf("documented: %v\nregistered: %v", documented, registered)
	}
}
