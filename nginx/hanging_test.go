package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A file that hangs is reported, and delays neither the other files nor a stop.
func TestHangingFiles(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	t.Run("a pipe in the folder", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(folder, certificateFile), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, truststoreFile), []byte(ca.pem()), 0o600); err != nil {
			t.Fatal(err)
		}
		s := startSidecar(t, "AUTH_MODE=clientauth", "CERT_MODE=LOCAL", "CERT_FOLDER="+folder)
		s.wantProblem(t, certificateFile, "it is no file, but p")
		s.wantStored(t, ca.issue(t, "modality-1").tls())
		s.signal(t, stopSignal)
		s.exitCode(t, 10*time.Second)
	})
	t.Run("S3 that does not answer for the certificate", func(t *testing.T) {
		t.Parallel()
		hang := make(chan struct{})
		answer := func(w http.ResponseWriter, r *http.Request) {
			switch filepath.Base(r.URL.Path) {
			case truststoreFile:
				fmt.Fprint(w, ca.pem())
			case crlFile:
				w.WriteHeader(http.StatusNotFound)
			default:
				select {
				case <-hang:
				case <-r.Context().Done():
				}
			}
		}
		address := serveHTTP(t, http.HandlerFunc(answer))
		defer close(hang)
		startSystem(t) // the first start takes some time
		began := time.Now()
		s := startSidecar(t, "AUTH_MODE=clientauth", "CERT_MODE=FROMS3", "CERT_BUCKETNAME=certificates",
			"AWS_ENDPOINT_URL_S3=http://"+address, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b")
		if took := time.Since(began); took > fetchTimeout+10*time.Second {
			t.Errorf("it serves after %s", took)
		}
		s.wantStored(t, ca.issue(t, "modality-1").tls())
		s.wantProblem(t, "certificates", "S3 cannot be reached")
		s.signal(t, stopSignal)
		s.exitCode(t, 10*time.Second)
	})
}

// If a folder does not answer, only one read of each file waits for it.
func TestHangingFolderIsAskedOnce(t *testing.T) {
	t.Parallel()
	f := newFolder(t.TempDir())
	if !f.begin(keyFile) {
		t.Fatal("it hangs from the beginning")
	}
	_, err := f.read(t.Context(), keyFile)
	wantProblemWords(t, err, []string{keyFile, "the file system does not answer"})
	f.end(keyFile)
	if _, err := f.read(t.Context(), keyFile); err != errAbsent {
		t.Errorf("error %v, want that it is absent", err)
	}
}
