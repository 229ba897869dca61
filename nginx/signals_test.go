package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGHUP makes certsync look at the certificates at once, with any CERT_REFRESH.
func TestHangupLooksNow(t *testing.T) {
	t.Parallel()
	old, renewed := newAuthority(t, "CA").issue(t, "old"), newAuthority(t, "CA").issue(t, "renewed")
	s := startLocal(t, anonymous, served(t, old), "CERT_REFRESH=1h")
	s.wantServes(t, old)
	for name, content := range served(t, renewed) {
		s.certificates(name, content)
	}
	s.signal(t, syscall.SIGHUP)
	s.wantServes(t, renewed)
}

// The requests of a client that is withdrawn end at once after a kick, otherwise after WORKER_SHUTDOWN_TIMEOUT.
func TestWithdrawnClientEnds(t *testing.T) {
	t.Parallel()
	nginxProgram(t)
	b := build(t)
	ca, other := newAuthority(t, "CA"), newAuthority(t, "another CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	kick := func(t *testing.T, s *sidecar) {
		t.Helper()
		s.certificates(truststoreFile, other.pem()+newAuthority(t, "a third CA").pem())
		for range 5 { // many looks that wait for a reload must not delay a kick
			s.signal(t, syscall.SIGHUP)
			time.Sleep(5 * time.Millisecond)
		}
		command := exec.Command(b.certsync, "kick")
		command.Env = []string{"RUN_FOLDER=" + s.runFolder}
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("certsync kick: %v: %s", err, output)
		}
		s.record(t, "kicked: what began before the last change of certificates has ended", `"workers":`)
	}
	for name, test := range map[string]struct {
		timeout string
		kick    func(*testing.T, *sidecar)
	}{
		"kicked":    {"1h", kick},
		"timed out": {"2s", func(*testing.T, *sidecar) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLocal(t, clientAuth, files, "WORKER_SHUTDOWN_TIMEOUT="+test.timeout, "CERT_REFRESH=1h")
			u := s.startUpload(t, s.client(ca.issue(t, "stolen").tls()), newInstance(t, 20*mib))
			s.certificates(truststoreFile, other.pem())
			s.signal(t, syscall.SIGHUP)
			s.record(t, "certificates in use", `"generation":4`)
			select {
			case <-u.done:
				t.Fatalf("the upload ended with the reload: %v", u.err)
			case <-time.After(time.Second):
			}
			test.kick(t, s)
			eventually(t, 10*time.Second, "no worker serves by the old certificates", func() bool {
				for _, id := range s.workers(t) {
					if title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id)); err == nil && strings.Contains(string(title), "shutting down") {
						return false
					}
				}
				return true
			})
			close(u.open)
			if <-u.done; u.err == nil {
				t.Errorf("the upload got %d, want a cut connection", u.reply.status)
			}
			s.s3.wantNotStored(t, u.instance)
			s.wantStored(t, other.issue(t, "modality-1").tls())
		})
	}
	command := exec.Command(b.certsync, "kick")
	command.Env = []string{"RUN_FOLDER=" + t.TempDir()}
	if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), "no certsync can be told") {
		t.Errorf("without a certsync: error %v: %s", err, output)
	}
}

// An old pid file may name any other process: no process gets a signal by it, and a second certsync does not take the folder of the first.
func TestOnlyALivingCertsyncIsTold(t *testing.T) {
	t.Parallel()
	b := build(t)
	bystander := exec.Command("sleep", "60")
	endWithTests(bystander)
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, pidName), fmt.Appendln(nil, bystander.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(b.certsync, "kick")
	command.Env = []string{"RUN_FOLDER=" + folder}
	if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), "is of one that has ended") {
		t.Errorf("kick: error %v: %s", err, output)
	}
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the bystander: %v", err)
	}
	if err := bystander.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := bystander.Wait(); err.Error() != "signal: killed" {
		t.Errorf("the bystander has ended by %v", err)
	}

	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	second := start(t, append([]string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + s.runFolder, "NGINX_PROGRAM=" + nginxProgram(t),
		"TLS_ADDRESS=" + freeAddress(t), "HEALTH_ADDRESS=" + freeAddress(t)}, s.app.variables()...), b.certsync)
	if code := second.exitCode(t, 10*time.Second); code != exitFailed {
		t.Errorf("a second certsync: exit %d, want %d", code, exitFailed)
	}
	second.record(t, "certsync cannot run", "another certsync has locked")
	s.wantStored(t, nil)
}

// A stop does not wait for nginx to test its first files.
func TestStopBeforeNginxStarts(t *testing.T) {
	t.Parallel()
	b := build(t)
	slow := writeFile(t, "nginx", "#!/bin/sh\nif [ \"$*\" = -v ]; then echo nginx version: nginx/1.0.0; exit; fi\nexec sleep 60\n")
	if err := os.Chmod(slow, 0o700); err != nil {
		t.Fatal(err)
	}
	health := freeAddress(t)
	p := start(t, []string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + newRunFolder(t), "NGINX_PROGRAM=" + slow, "HEALTH_ADDRESS=" + health}, b.certsync)
	eventually(t, 10*time.Second, "it has begun", func() bool {
		response, err := http.Get("http://" + health + "/health")
		if err == nil {
			response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusServiceUnavailable
	})
	p.signal(t, stopSignal)
	if code := p.exitCode(t, 5*time.Second); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// A client that sends slowly does not delay a stop beyond STOP_TIMEOUT.
func TestStopHasAnEnd(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous", "STOP_TIMEOUT=2s")
	u := s.startUpload(t, s.client(nil), newInstance(t, 20*mib))
	s.signal(t, stopSignal)
	s.exitCode(t, 10*time.Second)
	s.record(t, "stopping at once: requests in flight are cut", "STOP_TIMEOUT is over")
	close(u.open)
	if <-u.done; u.err == nil {
		t.Errorf("the upload got %d, want a cut connection", u.reply.status)
	}
}

// If nginx ends without a request of certsync, the exit status is a failure, so that the supervisor restarts it.
func TestGracefulEndOfNginxIsAFailure(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	if err := syscall.Kill(s.nginxID(t), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if code := s.exitCode(t, 10*time.Second); code != exitFailed {
		t.Errorf("exit %d, want %d", code, exitFailed)
	}
}

// If the reader of the log ends, requests are still served, and a stop is still graceful.
func TestReaderOfTheLogIsGone(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	b := build(t)
	s3, app := startSystem(t)
	s := &sidecar{s3: s3, app: app, address: freeAddress(t), health: freeAddress(t), runFolder: newRunFolder(t)}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.process = startWith(t, writer, append([]string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + s.runFolder, "NGINX_PROGRAM=" + program,
		"TLS_ADDRESS=" + s.address, "HEALTH_ADDRESS=" + s.health}, app.variables()...), b.certsync)
	reader.Close()
	eventually(t, 30*time.Second, "it serves", func() bool {
		response, err := http.Get("http://" + s.health + "/health")
		if err == nil {
			response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	for range 3 {
		s.wantStored(t, nil)
	}
	s.signal(t, stopSignal)
	if code := s.exitCode(t, 10*time.Second); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// After a failed reload nobody knows which files nginx has read. So its number is not used again, and the next look makes a new generation.
func TestFailedReloadsNumberIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	renewed := ca.issue(t, "renewed")
	s := startLocal(t, anonymous, served(t, ca.issue(t, "old")))
	s.record(t, "certificates in use", `"generation":2`)
	master, err := os.FindProcess(s.nginxID(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Signal(syscall.SIGSTOP); err != nil { // like a machine without free memory
		t.Fatal(err)
	}
	for name, content := range served(t, renewed) {
		s.certificates(name, content)
	}
	eventually(t, reloadTimeout+20*time.Second, "the reload has failed", func() bool { return len(s.records("nginx was not reloaded")) > 0 })
	s.wantProblem(t, certificateFile, "is not served")
	if err := master.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, reloadTimeout+20*time.Second, "the new certificate is in use", func() bool { return len(s.records("certificates in use")) == 2 })
	s.wantServes(t, renewed)
	if number, _ := s.records("certificates in use")[1]["generation"].(float64); number <= 3 {
		t.Errorf("the generation in use is %v, which has failed", number)
	}
	s.wantMetric(t, `certsync_reloads_total{result="failed"} 1`)
	folders, err := filepath.Glob(filepath.Join(s.runFolder, "generation-*"))
	if err != nil || len(folders) != 1 {
		t.Errorf("generations %q, error %v: what failed is left, and has the key", folders, err)
	}
}
