package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// answer is the body of /health. A load balancer needs only Live. A certificate
// that is missing or invalid makes the task degraded, but not dead, because the files can only be
// uploaded after the first deployment.
type answer struct {
	Live     bool      `json:"live"`  // Nginx and App
	Nginx    bool      `json:"nginx"` // nginx answers, or is busy
	Busy     bool      `json:"busy"`  // nginx has no connection, or no time, left to answer
	App      bool      `json:"app"`   // the app's /livez answers 200
	Degraded bool      `json:"degraded"`
	Refusing bool      `json:"refusing"` // every request is refused, because no client can be verified
	Problems []problem `json:"problems"`
}

// newHealth makes the server of HEALTH_ADDRESS.
func newHealth(c settings, n *nginx, s *status, m *metrics) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		a := ask(r.Context(), c, n)
		a.Refusing, a.Problems = s.now()
		a.Degraded = len(a.Problems) > 0
		a.Problems = append([]problem{}, a.Problems...) // [], not null
		w.Header().Set("Content-Type", "application/json")
		if !a.Live {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(a) // it fails only if the client has left
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
}

func ask(ctx context.Context, c settings, n *nginx) answer {
	var a answer
	var both sync.WaitGroup
	both.Go(func() {
		before, _ := n.workers() // with an error, no workers are known
		_, err := n.serving(ctx, liveTimeout)
		a.Busy = err != nil && (n.full() || n.worked(before)) // a full server works; a load balancer must not replace it because of its load
		a.Nginx = err == nil || a.Busy
	})
	both.Go(func() {
		status, _, err := get(ctx, "http://"+c.AppAdminAddress+"/livez")
		a.App = err == nil && status == http.StatusOK
	})
	both.Wait()
	a.Live = a.Nginx && a.App
	return a
}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*liveTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err //nolint:wrapcheck // it names method and URL
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", url, err)
	}
	return response.StatusCode, body, nil
}

// health is the subcommand: it asks certsync on this machine, prints the answer,
// and returns the exit status: 0 if it is live.
func health(c settings) int {
	host, port, err := net.SplitHostPort(c.HealthAddress)
	if err != nil {
		fmt.Fprintf(os.Stderr, "certsync: HEALTH_ADDRESS=%q: %v\n", c.HealthAddress, err)
		return exitConfiguration
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	status, body, err := get(context.Background(), "http://"+net.JoinHostPort(host, port)+"/health")
	if err != nil {
		fmt.Fprintln(os.Stderr, "certsync: it does not answer:", err)
		return exitFailed
	}
	fmt.Printf("%s", body)
	if status != http.StatusOK {
		return exitFailed
	}
	return 0
}
