package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkUploadAmongStrangers compares the uploads of a known client alone with those during 200 connections per second of strangers
// without a certificate, 20,000 in total, each with a long body that is sent byte by byte. It reports both rates, their ratio, the cost of a stranger for
// nginx and certsync, and for the stranger's own half of the handshake. It fails if /health is not 200, or says busy.
//
// In the form "own", the server (nginx, certsync, the service and S3) has one of two processors for itself, and all clients have
// the other. Strangers slow a server with one processor more than a larger one. There is a
// client at full speed, and one with 1 Gbit/s. In the form "shared", all processes share all processors, so the strangers' own half also takes time from the server.
//
//	go test -run '^$' -bench Strangers -benchtime 1x
func BenchmarkUploadAmongStrangers(b *testing.B) {
	for _, form := range []struct {
		name           string
		own            bool
		bytesPerSecond float64 // 0: no limit
	}{{"own", true, 0}, {"own-gigabit", true, 125e6}, {"shared", false, 0}} {
		b.Run(form.name, func(b *testing.B) {
			for range b.N {
				uploadAmongStrangers(b, form.own, form.bytesPerSecond)
			}
		})
	}
}

func uploadAmongStrangers(b *testing.B, own bool, bytesPerSecond float64) {
	const perSecond, all, rounds, sizeBytes = 200, 20_000, 10, 128 * mib
	ca := newAuthority(b, "CA")
	files := served(b, ca.issue(b, "server"))
	files[truststoreFile] = ca.pem()
	var variables []string
	if own {
		variables = append(variables, "GOMAXPROCS=1") // one worker of nginx
	}
	s := startLocal(b, clientAuth, files, variables...)
	if own {
		processes := append(s.workers(b), s.nginxID(b), s.cmd.Process.Pid, s.app.cmd.Process.Pid, s.s3.cmd.Process.Pid)
		pin(b, "0", processes...)
		pin(b, "1", os.Getpid()) // and the strangers, which it starts
		b.Cleanup(func() {       // in the other cases, all processors are shared
			pin(b, fmt.Sprintf("0-%d", runtime.NumCPU()-1), s.app.cmd.Process.Pid, s.s3.cmd.Process.Pid, os.Getpid())
		})
	}
	client := s.client(ca.issue(b, "modality-1").tls())
	upload := func() float64 {
		i := newInstance(b, sizeBytes)
		body := i.reader()
		if bytesPerSecond > 0 {
			body = &link{Reader: body, bytesPerSecond: bytesPerSecond, free: time.Now()}
		}
		began := time.Now()
		r, err := s.send(b.Context(), client, "/studies", body, i.sizeBytes)
		if err != nil || r.status != http.StatusOK {
			b.Fatalf("status %d, error %v", r.status, err)
		}
		rate := float64(sizeBytes) / time.Since(began).Seconds() / 1e6
		s.s3.wantStored(b, i)
		if status, state := s.state(b); status != http.StatusOK || !state.Live || state.Busy {
			b.Errorf("health: %d, %+v", status, state)
		}
		return rate
	}

	upload() // the first upload is slower
	nginx, certsync := s.nginxSeconds(b), cpuSeconds(b, s.cmd.Process.Pid)
	ownSeconds := startStrangers(b, s.address, perSecond, all/rounds).wait(b)
	perStranger := func(seconds float64) float64 { return seconds / (all / rounds) * 1e3 }
	b.ReportMetric(perStranger(s.nginxSeconds(b)-nginx), "ms/stranger-nginx")
	b.ReportMetric(perStranger(cpuSeconds(b, s.cmd.Process.Pid)-certsync), "ms/stranger-certsync")
	b.ReportMetric(perStranger(ownSeconds), "ms/stranger-himself")

	var alone, among []float64
	account := map[string]float64{} // processor seconds
	uploads := func(phase string, atLeast time.Duration) (rates []float64) {
		seconds := func() map[string]float64 {
			return map[string]float64{"nginx": s.nginxSeconds(b), "certsync": cpuSeconds(b, s.cmd.Process.Pid), "service": cpuSeconds(b, s.app.cmd.Process.Pid),
				"S3": cpuSeconds(b, s.s3.cmd.Process.Pid), "uploader": cpuSeconds(b, os.Getpid())}
		}
		before := seconds()
		for began := time.Now(); time.Since(began) < atLeast; {
			rates = append(rates, upload())
		}
		for name, after := range seconds() {
			account[name+" "+phase] += after - before[name]
		}
		return rates
	}
	for range rounds {
		time.Sleep(2 * time.Second) // like the pause below
		alone = append(alone, uploads("alone", 5*time.Second)...)
		those := startStrangers(b, s.address, perSecond, all/rounds)
		time.Sleep(2 * time.Second) // until as many strangers leave as arrive
		among = append(among, uploads("among", (all/rounds/perSecond-4)*time.Second)...)
		those.wait(b)
	}
	for name, seconds := range account {
		n := map[bool]int{true: len(alone), false: len(among)}[strings.HasSuffix(name, " alone")]
		b.Logf("%-15s %.3f processor seconds an upload", name, seconds/float64(n))
	}
	median := func(rates []float64) float64 { slices.Sort(rates); return rates[len(rates)/2] }
	b.ReportMetric(median(alone), "MB/s-alone")
	b.ReportMetric(median(among), "MB/s-among")
	b.ReportMetric(median(among)/median(alone), "ratio")
}

// link limits the rate of a reader to that of a network. Time in which nothing was sent cannot be made up for later.
type link struct {
	io.Reader
	bytesPerSecond float64
	free           time.Time // when everything so far will have been sent
}

// Read implements io.Reader.
func (l *link) Read(p []byte) (int, error) {
	const burst = 5 * time.Millisecond // which the queues of a network can make up for
	time.Sleep(time.Until(l.free) - burst)
	n, err := l.Reader.Read(p)
	if earliest := time.Now().Add(-burst); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.bytesPerSecond * float64(time.Second)))
	return n, err
}

// BenchmarkDoor compares the cost of 1 GiB over plain HTTP to the service with its cost behind the sidecar over TLS:
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

// cpuSeconds is the processor time that a process has used.
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
