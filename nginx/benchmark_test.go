package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkUploadAmongStrangers compares uploads of a known client alone and while strangers without a certificate come at 200 a
// second, 20,000 in all, each with a long body of which a byte drips. It reports both rates, their ratio, and the worst of /health.
//
//	go test -run '^$' -bench Strangers -benchtime 1x
func BenchmarkUploadAmongStrangers(b *testing.B) {
	const perSecond, all, sizeBytes = 200, 20_000, 128 * mib
	ca := newAuthority(b, "CA")
	files := served(b, ca.issue(b, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(b, clientAuth, files)
	client := s.client(ca.issue(b, "modality-1").tls())
	upload := func() float64 {
		i := newInstance(b, sizeBytes)
		began := time.Now()
		r, err := s.send(b.Context(), client, "/studies", i.reader(), i.sizeBytes)
		if err != nil || r.status != http.StatusOK {
			b.Fatalf("status %d, error %v", r.status, err)
		}
		rate := float64(sizeBytes) / time.Since(began).Seconds() / 1e6
		s.s3.wantStored(b, i)
		return rate
	}
	var strangers sync.WaitGroup
	knock := func() {
		connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer connection.Close()
		connection.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprint(connection, longRequest)
		go func() {
			for {
				if _, err := connection.Write([]byte{0}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		io.Copy(io.Discard, connection)
	}
	for range b.N {
		var alone, among []float64
		var knocked atomic.Int64
		for knocked.Load() < all {
			alone = append(alone, upload())
			done := make(chan struct{})
			go func() {
				tick := time.NewTicker(time.Second / perSecond)
				defer tick.Stop()
				for {
					select {
					case <-done:
						return
					case <-tick.C:
						knocked.Add(1)
						strangers.Go(knock)
					}
				}
			}()
			time.Sleep(2 * time.Second) // until those who come and those who go are as many
			for range 3 {
				among = append(among, upload())
				if status, state := s.state(b); status != http.StatusOK || !state.Live || state.Busy {
					b.Errorf("health: %d, %+v", status, state)
				}
			}
			close(done)
			strangers.Wait()
		}
		median := func(rates []float64) float64 { slices.Sort(rates); return rates[len(rates)/2] }
		b.ReportMetric(median(alone), "MB/s-alone")
		b.ReportMetric(median(among), "MB/s-among")
		b.ReportMetric(median(among)/median(alone), "ratio")
		b.ReportMetric(float64(knocked.Load()), "strangers")
	}
}

// BenchmarkDoor compares what 1 GiB costs by the service alone, over plain HTTP, with what it costs behind the sidecar over TLS:
// processor seconds of the service, and of nginx.
//
//	go test -run '^$' -bench Door -benchtime 5x
func BenchmarkDoor(b *testing.B) {
	ca := newAuthority(b, "CA")
	files := served(b, ca.issue(b, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(b, clientAuth, files)
	plain := &sidecar{s3: s.s3, app: s.app, address: s.app.address, scheme: "http"}
	client := s.client(ca.issue(b, "modality-1").tls())
	workers := func() (seconds float64) {
		for _, id := range s.workers(b) {
			seconds += cpuSeconds(b, id)
		}
		return seconds
	}
	var app, appBehind, nginx float64
	for range b.N {
		for _, through := range []*sidecar{plain, s} {
			i := newInstance(b, gib)
			appBefore, nginxBefore := cpuSeconds(b, s.app.cmd.Process.Pid), workers()
			r, err := through.send(b.Context(), client, "/studies", i.reader(), i.sizeBytes)
			if err != nil || r.status != http.StatusOK {
				b.Fatalf("status %d, error %v", r.status, err)
			}
			used := cpuSeconds(b, s.app.cmd.Process.Pid) - appBefore
			if through == plain {
				app += used
			} else {
				appBehind += used
				nginx += workers() - nginxBefore
			}
			s.s3.wantStored(b, i)
		}
	}
	n := float64(b.N)
	b.ReportMetric(app/n, "s/GiB-service-alone")
	b.ReportMetric(appBehind/n, "s/GiB-service-behind")
	b.ReportMetric(nginx/n, "s/GiB-nginx")
}

// cpuSeconds is the processor time that a process has had.
func cpuSeconds(t testing.TB, id int) float64 {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100
}
