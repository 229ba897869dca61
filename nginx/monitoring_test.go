package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	metricName = regexp.MustCompile(`\b(?:stowrs|certsync|process|go)_[a-z0-9_]+\b`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

// The dashboard and the alerts of ../monitoring name only metrics that the service or the sidecar has.
func TestMonitoringNamesMetricsThatExist(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	s.wantGood(t)
	s.wantStored(t, ca.issue(t, "modality-1").tls())
	exist := map[string]bool{}
	for _, address := range []string{s.health, s.app.admin} {
		status, body, err := get(t.Context(), "http://"+address+"/metrics")
		if err != nil || status != http.StatusOK {
			t.Fatalf("status %d of metrics, error %v", status, err)
		}
		for line := range strings.Lines(string(body)) {
			if name := metricName.FindString(line); name != "" && strings.HasPrefix(line, name) {
				exist[name] = true
			}
		}
	}
	used := map[string]string{}
	for _, expression := range append(dashboardExpressions(t), alertExpressions(t)...) {
		for _, name := range metricName.FindAllString(quoted.ReplaceAllString(expression, ""), -1) {
			used[name] = expression
		}
	}
	if len(used) < 12 {
		t.Fatalf("only %d metrics are used: %v", len(used), slices.Sorted(maps.Keys(used)))
	}
	for name, expression := range used {
		if !exist[name] {
			t.Errorf("there is no metric %s, which %q names", name, expression)
		}
	}
}

func dashboardExpressions(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("../monitoring/grafana/dashboards/stowrs.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || len(dashboard.Panels) == 0 {
		t.Fatal("the dashboard has no uid or no panels")
	}
	var expressions []string
	for _, panel := range dashboard.Panels {
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q lacks title, description or target", panel.Title)
		}
		for _, target := range panel.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

func alertExpressions(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("../monitoring/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var expressions []string
	for line := range strings.Lines(string(content)) {
		if _, expression, found := strings.Cut(line, " expr: "); found {
			expressions = append(expressions, expression)
		}
	}
	return expressions
}
