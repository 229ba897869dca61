package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const stopSignal = syscall.SIGTERM

// nginxID is the process of nginx below certsync.
func (s *sidecar) nginxID(t testing.TB) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.runFolder, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func alive(id int) bool { return syscall.Kill(id, 0) == nil }

// After SIGTERM, nginx accepts no new connections, finishes the upload in flight, and certsync ends with the status of nginx.
func TestStopFinishesAnUpload(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	u := s.startUpload(t, s.client(nil), newInstance(t, 40*mib))
	s.signal(t, stopSignal)
	eventually(t, 10*time.Second, "no new connections", func() bool {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	time.Sleep(time.Second) // the upload continues to be open
	select {
	case <-u.done:
		t.Fatalf("the upload ended with the signal: status %d, error %v", u.reply.status, u.err)
	case <-s.exited:
		t.Fatal("the sidecar ended before the upload")
	default:
	}
	u.wantStored(t, s)
	if code := s.exitCode(t, 10*time.Second); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	s.record(t, "stopped", `"exit_status":0`)
}

// A second signal ends nginx at once.
func TestSecondSignalCuts(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	u := s.startUpload(t, s.client(nil), newInstance(t, 20*mib))
	s.signal(t, stopSignal)
	s.record(t, "stopping: no new connections, requests in flight are finished")
	s.signal(t, stopSignal)
	s.exitCode(t, 10*time.Second)
	close(u.open)
	if <-u.done; u.err == nil {
		t.Errorf("the upload got %d, want a cut connection", u.reply.status)
	}
}

// A kick during a stop ends all requests, because all of them began before it.
func TestKickWhileStopping(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	u := s.startUpload(t, s.client(nil), newInstance(t, 20*mib))
	s.signal(t, stopSignal)
	s.record(t, "stopping: no new connections, requests in flight are finished")
	s.signal(t, kickSignal)
	s.exitCode(t, 10*time.Second)
	s.record(t, "stopping at once: requests in flight are cut", "kicked")
	close(u.open)
	if <-u.done; u.err == nil {
		t.Errorf("the upload got %d, want a cut connection", u.reply.status)
	}
}

// If certsync is root, the workers of nginx are not. A folder that they cannot enter is refused, because they could not reach the door.
func TestRunFolderThatOnlyRootEnters(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root starts workers as another user")
	}
	program := nginxProgram(t)
	p := start(t, []string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + filepath.Join(newRunFolder(t), "run"), "NGINX_PROGRAM=" + program,
		"TLS_ADDRESS=" + freeAddress(t), "HEALTH_ADDRESS=" + freeAddress(t)}, build(t).certsync)
	if code := p.exitCode(t, 20*time.Second); code != exitFailed {
		t.Errorf("exit %d, want %d", code, exitFailed)
	}
	p.record(t, "certsync cannot run", "others than root may not enter", "such as /run/certsync")
}

// When nginx ends by itself, certsync ends with its status.
func TestExitStatusOfNginx(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	if err := syscall.Kill(s.nginxID(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := s.exitCode(t, 10*time.Second); code != 128+9 {
		t.Errorf("exit %d, want 137", code)
	}
	s.record(t, "nginx has ended by itself", `"level":"ERROR"`)
}

// A certsync that is killed leaves no nginx behind, and the next one starts in the same folder.
func TestKilledCertsyncLeavesNoNginx(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	id := s.nginxID(t)
	s.kill()
	eventually(t, 10*time.Second, "nginx has ended", func() bool { return !alive(id) })
	again := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous", "RUN_FOLDER="+s.runFolder)
	again.wantStored(t, nil)
}

// Live means that nginx and the app answer; the exit status of the container's check says the same.
func TestHealth(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	s3, _ := startSystem(t)
	a := startApp(t, s3)
	s := startSidecarOf(t, program, s3, a, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	check := func(want int) {
		t.Helper()
		command := exec.Command(built.certsync, "health")
		command.Env = []string{"HEALTH_ADDRESS=" + s.health}
		output, err := command.CombinedOutput()
		if got := command.ProcessState.ExitCode(); got != want {
			t.Errorf("certsync health: exit %d, want %d, error %v: %s", got, want, err, output)
		}
	}
	if status, state := s.state(t); status != http.StatusOK || !state.Nginx || !state.App || !state.Live || state.Degraded {
		t.Errorf("status %d, %+v", status, state)
	}
	check(0)
	a.kill()
	if status, state := s.state(t); status != http.StatusServiceUnavailable || !state.Nginx || state.App || state.Live {
		t.Errorf("without the app: status %d, %+v", status, state)
	}
	check(1)
	s.kill()
	check(1)
}

// An invalid configuration ends the process at once, with all violations in one record.
func TestConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	b := build(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		variables []string
		code      int
		words     []string
	}{
		"no modes":             {[]string{"AUTH_MODE=", "CERT_MODE="}, 2, []string{"AUTH_MODE is required: anonymous or clientauth", "CERT_MODE is required: one of ACM FROMS3 LOCAL"}},
		"unknown modes":        {[]string{"AUTH_MODE=anybody", "CERT_MODE=acm"}, 2, []string{"anybody", "must be anonymous or clientauth", "must be one of ACM FROMS3 LOCAL"}},
		"ACM and clientauth":   {[]string{"AUTH_MODE=clientauth"}, 2, []string{"AUTH_MODE=clientauth cannot work with CERT_MODE=ACM", "no client certificate gets here", "use CERT_MODE=FROMS3 or LOCAL"}},
		"no bucket":            {[]string{"CERT_MODE=FROMS3"}, 2, []string{"CERT_BUCKETNAME is required"}},
		"bucket with a folder": {[]string{"CERT_MODE=FROMS3", "CERT_BUCKETNAME=a/b"}, 2, []string{"CERT_BUCKETNAME"}},
		"refresh":              {[]string{"CERT_REFRESH=10ms"}, 2, []string{"CERT_REFRESH", "a second or more"}},
		"refresh, for ever":    {[]string{"CERT_REFRESH=600000h"}, 2, []string{"CERT_REFRESH", "a day at most"}},
		"socket of nginx":      {[]string{"TLS_ADDRESS=unix:8443", "APP_ADDRESS=unix:80"}, 2, []string{"TLS_ADDRESS", "APP_ADDRESS"}},
		"run folder, pattern":  {[]string{"RUN_FOLDER=/tmp/a*[x]"}, 2, []string{"RUN_FOLDER", "without spaces"}},
		"refresh, no time":     {[]string{"CERT_REFRESH=often"}, 2, []string{"CERT_REFRESH", "must be like its default, 60s"}},
		"body size":            {[]string{"CLIENT_MAX_BODY_SIZE=1; autoindex on"}, 2, []string{"CLIENT_MAX_BODY_SIZE", "such as 500m"}},
		"connections":          {[]string{"CONNECTIONS_PER_ADDRESS=-1"}, 2, []string{"CONNECTIONS_PER_ADDRESS", "between 0, no limit, and 65535"}},
		"clients, anonymous":   {[]string{"ALLOWED_CLIENTS=CN=a"}, 2, []string{"ALLOWED_CLIENTS needs AUTH_MODE=clientauth"}},
		"no client at all":     {[]string{"AUTH_MODE=clientauth", "CERT_MODE=LOCAL", "ALLOWED_CLIENTS= ; ;"}, 2, []string{"ALLOWED_CLIENTS", "without any all could store"}},
		"clients without CN":   {[]string{"AUTH_MODE=clientauth", "CERT_MODE=LOCAL", "ALLOWED_CLIENTS=modality-1"}, 2, []string{"ALLOWED_CLIENTS", "such as CN=modality-1"}},
		"the old name of it":   {[]string{"AUTH_MODE=clientauth", "CERT_MODE=LOCAL", "ALLOWED_CLIENT_DNS=CN=a"}, 2, []string{"ALLOWED_CLIENT_DNS", "is ALLOWED_CLIENTS now"}},
		"PROXY_PROTOCOL":       {[]string{"PROXY_PROTOCOL=1"}, 2, []string{"PROXY_PROTOCOL", "must be on or off"}},
		"timeouts":             {[]string{"WORKER_SHUTDOWN_TIMEOUT=0s", "STOP_TIMEOUT=0s"}, 2, []string{"WORKER_SHUTDOWN_TIMEOUT", "STOP_TIMEOUT"}},
		"CRL":                  {[]string{"CRL=maybe"}, 2, []string{"CRL=", "must be required or optional"}},
		"CRL, anonymous":       {[]string{"CRL=required"}, 2, []string{"CRL=required needs AUTH_MODE=clientauth"}},
		"address":              {[]string{"TLS_ADDRESS=8443", "APP_ADDRESS=x;y:1"}, 2, []string{"TLS_ADDRESS", "APP_ADDRESS"}},
		"large body size":      {[]string{"CLIENT_MAX_BODY_SIZE=8589934592g"}, 2, []string{"CLIENT_MAX_BODY_SIZE", "below 8 EiB"}},
		"body size, two units": {[]string{"CLIENT_MAX_BODY_SIZE=1km"}, 2, []string{"CLIENT_MAX_BODY_SIZE"}},
		"app without a host":   {[]string{"APP_ADDRESS=:8080"}, 2, []string{"APP_ADDRESS", "must be host:port"}},
		"resolver with a zone": {[]string{"RESOLVER=fe80::1%eth0"}, 2, []string{"RESOLVER", "without a zone"}},
		"run folder":           {[]string{"RUN_FOLDER=run"}, 2, []string{"RUN_FOLDER", "absolute"}},
		"run folder, a file":   {[]string{"RUN_FOLDER=" + file}, 1, []string{"RUN_FOLDER cannot be written to", "mount a writable folder there"}},
		"no nginx":             {[]string{"NGINX_PROGRAM=/nowhere/nginx"}, 1, []string{"/nowhere/nginx", "install nginx, or set NGINX_PROGRAM"}},
		"health port taken":    {[]string{"HEALTH_ADDRESS=" + taken.Addr().String()}, 1, []string{"HEALTH_ADDRESS", "in use"}},
		"TLS port taken":       {[]string{"TLS_ADDRESS=" + taken.Addr().String()}, 1, []string{"start nginx"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append([]string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + newRunFolder(t), "NGINX_PROGRAM=" + program,
				"TLS_ADDRESS=" + freeAddress(t), "HEALTH_ADDRESS=" + freeAddress(t)}, test.variables...), b.certsync)
			if code := p.exitCode(t, 20*time.Second); code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			var last map[string]any
			for _, message := range []string{"the configuration cannot be used", "certsync cannot run"} {
				for _, record := range p.records(message) {
					last = record
				}
			}
			for _, words := range test.words {
				if !strings.Contains(fmt.Sprint(last["error"]), words) || last["level"] != "ERROR" {
					t.Errorf("the record does not say %q: %v", words, last)
				}
			}
		})
	}
}
