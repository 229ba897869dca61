package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// soakDuration is SOAK, such as 30m; the default is two minutes.
func soakDuration(t *testing.T) time.Duration {
	t.Helper()
	value := os.Getenv("SOAK")
	if value == "" {
		return 2 * time.Minute
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	return d
}

// startBalancer starts nginx before the two services. It buffers no body and repeats no request: the clients do this.
func startBalancer(t *testing.T, upstreams ...string) *service {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no nginx: make test-all installs it")
	}
	balancer := &service{address: freeAddress(t)}
	folder := t.TempDir()
	file := filepath.Join(folder, "nginx.conf")
	content := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream services { server %[3]s max_fails=1 fail_timeout=1s; server %[4]s max_fails=1 fail_timeout=1s; }
  server {
    listen %[2]s; client_max_body_size 0;
    location / { proxy_pass http://services; proxy_http_version 1.1; proxy_request_buffering off; proxy_next_upstream off; proxy_read_timeout 300s; }
  }
}
`, folder, balancer.address, upstreams[0], upstreams[1])
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	balancer.process = start(t, nil, nginx, "-c", file, "-p", folder, "-g", "master_process off;")
	return balancer
}

// With random faults of S3, and services that are replaced one after the other behind nginx: if a client repeats
// what was not stored, everything is stored, and the bucket contains exactly these instances, byte for byte.
//
// Faults last up to ten seconds, which is less than RETRYTIME, so only requests that a stopped service does not answer must be repeated.
func TestSoakThroughFaultsAndRestarts(t *testing.T) {
	long(t)
	lasts := soakDuration(t)
	s3 := startS3(t)
	variables := []string{"STOPTIMEOUT=20s"}
	services := []*service{startService(t, s3, variables...), startService(t, s3, variables...)}
	balancer := startBalancer(t, services[0].address, services[1].address)

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var (
		clients        sync.WaitGroup
		mu             sync.Mutex
		acknowledged   []instance
		serial         atomic.Int64
		sent, repeated atomic.Int64
	)
	for range 6 {
		clients.Go(func() { // ends soon after ctx
			for ctx.Err() == nil {
				i := instance{serial: serial.Add(1), pixelBytes: 20_000}
				if i.serial%500 == 1 {
					i.pixelBytes = 12 * mib
				}
				sent.Add(1)
				patience := time.Now().Add(3 * time.Minute)
				for {
					body, lengthBytes := multipart(i)
					status, module, err := post(context.WithoutCancel(ctx), balancer.url(), body, lengthBytes)
					if err == nil && status == http.StatusOK && len(module.Referenced) == 1 {
						break
					}
					if time.Now().After(patience) {
						t.Errorf("instance %d is not stored after 3 min of attempts: status %d, %v", i.serial, status, err)
						return
					}
					repeated.Add(1)
					<-time.After(300 * time.Millisecond)
				}
				mu.Lock()
				acknowledged = append(acknowledged, i)
				mu.Unlock()
				<-time.After(100 * time.Millisecond)
			}
		})
	}

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	never := make(chan struct{})
	defer close(never)
	faults, replaced := 0, 0
	for ctx.Err() == nil {
		choice := random.IntN(6)
		injected := []fault{
			{status: 500, code: "InternalError"}, {status: 503, code: "SlowDown"}, {cut: true},
			{cutAfter: true, times: 3}, {operation: "UploadPart", cut: true, times: 3}, {hold: never, times: 3},
		}[choice]
		lift := s3.inject(injected)
		<-time.After([]time.Duration{300 * time.Millisecond, time.Second, 5 * time.Second, 10 * time.Second}[random.IntN(4)])
		if random.IntN(2) == 0 { // during the fault
			n := random.IntN(2)
			old := services[n]
			old.signal(t, syscall.SIGTERM)
			<-time.After(time.Second)
			lift() // otherwise the stop would take all of STOPTIMEOUT
			old.exitCode(t, time.Minute)
			services[n] = serve(t, binaries.stowrsRace, s3, append(variables, "LISTENADDRESS="+old.address)...)
			replaced++
		}
		lift()
		faults++
		<-time.After(2 * time.Second)
	}
	clients.Wait()
	for _, s := range services {
		peak, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		_, metrics := s.get("/metrics")
		t.Logf("%s; %s", lineOf(string(peak), "VmHWM"), lineOf(metrics, "go_goroutines "))
	}
	s3.wantExactly(t, acknowledged...)
	s3.wantNoUploadsWithin(t, time.Minute)
	t.Logf("%s: %d instances sent, %d acknowledged and compared, %d attempts repeated, %d faults, %d services replaced",
		lasts, sent.Load(), len(acknowledged), repeated.Load(), faults, replaced)
	if int(sent.Load()) != len(acknowledged) || replaced == 0 && lasts >= time.Minute {
		t.Error("not everything was acknowledged, or no service was replaced")
	}
}

// lineOf returns the first line with the prefix.
func lineOf(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return prefix + " unknown"
}
