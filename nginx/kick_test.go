package main

import (
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// nginx tells its old workers to stop only a moment after the new ones serve. A kick between these moments still ends the old workers.
func TestKickBeforeOldWorkersAreTold(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	stolen := ca.issue(t, "stolen")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile], files[crlFile] = ca.pem(), ca.revoke(t, tomorrow)
	s := startLocal(t, clientAuth, files, "CERT_REFRESH=1h")
	u := s.startUpload(t, s.client(stolen.tls()), newInstance(t, 20*mib))
	master, err := os.FindProcess(s.nginxID(t))
	if err != nil {
		t.Fatal(err)
	}
	n := &nginx{folder: s.runFolder}
	before, err := n.serving(t.Context(), answerTimeout)
	if err != nil {
		t.Fatal(err)
	}
	s.certificates(crlFile, ca.revoke(t, tomorrow, stolen))
	s.signal(t, syscall.SIGHUP)
	for now := before; now == before; {
		if served, err := n.serving(t.Context(), answerTimeout); err == nil {
			now = served
		}
	}
	if err := master.Signal(syscall.SIGSTOP); err != nil { // like a machine that is overloaded
		t.Fatal(err)
	}
	s.signal(t, kickSignal)
	time.Sleep(time.Second) // meanwhile, certsync must not report that it is done
	if err := master.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.record(t, "kicked: what began before the last change of certificates has ended")
	close(u.open)
	if <-u.done; u.err == nil {
		t.Errorf("the upload got %d, want a cut connection", u.reply.status)
	}
	s.s3.wantNotStored(t, u.instance)
	s.wantRefused(t, stolen.tls(), http.StatusBadRequest, "the client certificate was not verified")
}
