package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// refreshTime is CERT_REFRESH of the tests.
const refreshTime = time.Second

// sidecar is a running certsync with nginx, in front of an app.
type sidecar struct {
	*process
	s3              *storage
	app             *app
	address, health string
	scheme          string // empty: https
	runFolder       string
	certificates    func(name, content string) // writes a file; an empty content removes it
}

// startSidecar starts a sidecar in front of the shared app. Later variables take precedence.
func startSidecar(t testing.TB, variables ...string) *sidecar {
	t.Helper()
	program := nginxProgram(t)
	s3, app := startSystem(t)
	return startSidecarOf(t, program, s3, app, variables...)
}

func startSidecarOf(t testing.TB, program string, s3 *storage, app *app, variables ...string) *sidecar {
	t.Helper()
	s := &sidecar{s3: s3, app: app, address: freeAddress(t), health: freeAddress(t), runFolder: newRunFolder(t)}
	s.process = start(t, slices.Concat([]string{"RUN_FOLDER=" + s.runFolder, "NGINX_PROGRAM=" + program,
		"CERT_REFRESH=" + refreshTime.String(), "TLS_ADDRESS=" + s.address, "HEALTH_ADDRESS=" + s.health}, app.variables(), variables), built.certsync)
	eventually(t, 30*time.Second, "the sidecar serves", func() bool {
		select {
		case <-s.exited:
			t.Fatal("the sidecar has ended")
		default:
		}
		return len(s.records("serving")) > 0
	})
	return s
}

// newRunFolder has a short name, because the address of the socket in it can have only 108 bytes.
func newRunFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "certsync-run-") //nolint:usetesting // it has the name of the test in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// startLocal starts a sidecar with CERT_MODE=LOCAL and a folder with these files.
func startLocal(t testing.TB, authMode string, files map[string]string, variables ...string) *sidecar {
	t.Helper()
	folder := t.TempDir()
	put := func(name, content string) {
		path := filepath.Join(folder, name)
		if content == "" {
			os.Remove(path)
			return
		}
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		put(name, content)
	}
	s := startSidecar(t, append([]string{"AUTH_MODE=" + authMode, "CERT_MODE=LOCAL", "CERT_FOLDER=" + folder}, variables...)...)
	s.certificates = put
	return s
}

// startFromS3 starts a sidecar with CERT_MODE=FROMS3 and a bucket with these files.
func startFromS3(t testing.TB, authMode string, files map[string]string, variables ...string) *sidecar {
	t.Helper()
	nginxProgram(t)
	s3, _ := startSystem(t)
	bucket := s3.newBucket(t)
	put := func(name, content string) {
		if content == "" {
			s3.remove(t, bucket, name)
		} else {
			s3.put(t, bucket, name, content)
		}
	}
	for name, content := range files {
		put(name, content)
	}
	s := startSidecar(t, append(s3.environment("AUTH_MODE="+authMode, "CERT_MODE=FROMS3", "CERT_BUCKETNAME="+bucket), variables...)...)
	s.certificates = put
	return s
}

// served returns the files certificate.crt and certificate.key.
func served(t testing.TB, i identity) map[string]string {
	t.Helper()
	return map[string]string{certificateFile: i.chainPEM(), keyFile: i.keyPEM(t)}
}

// client is a STOW-RS client with its own connections. A nil certificate is none.
func (s *sidecar) client(certificate *tls.Certificate) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil { // is sent even if nginx does not name its CA
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 3 * time.Minute}
}

// reply is the answer of the service, or of nginx.
type reply struct {
	status int
	header http.Header
	body   string
	state  *tls.ConnectionState
}

// post sends the instance.
func (s *sidecar) post(t testing.TB, certificate *tls.Certificate, i instance, header ...string) reply {
	t.Helper()
	r, err := s.send(t.Context(), s.client(certificate), "/studies", i.reader(), i.sizeBytes, header...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send POSTs a body to a path. header contains names and values in turn.
func (s *sidecar) send(ctx context.Context, client *http.Client, path string, body io.Reader, lengthBytes int64, header ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(s.scheme, "https")+"://"+s.address+path, body)
	if err != nil {
		return reply{}, err
	}
	request.ContentLength = lengthBytes
	request.Header.Set("Content-Type", "application/dicom")
	request.Header.Set("Accept", "application/dicom+json")
	for n := 0; n < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	return do(client, request)
}

func do(client *http.Client, request *http.Request) (reply, error) {
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(content), response.TLS}, err
}

// wantStored sends an instance, which must be stored, and returns the answer.
func (s *sidecar) wantStored(t testing.TB, certificate *tls.Certificate) reply {
	t.Helper()
	i := newInstance(t, 0)
	r := s.post(t, certificate, i)
	if r.status != http.StatusOK {
		t.Fatalf("status %d, want 200: %s", r.status, r.body)
	}
	s.s3.wantStored(t, i)
	return r
}

// wantRefused sends an instance, which must be refused with this status and text, and must not be stored.
func (s *sidecar) wantRefused(t testing.TB, certificate *tls.Certificate, status int, words string) reply {
	t.Helper()
	i := newInstance(t, 0)
	r := s.post(t, certificate, i)
	if r.status != status || !strings.Contains(r.body, words) {
		t.Errorf("status %d, want %d with %q: %s", r.status, status, words, r.body)
	}
	s.s3.wantNotStored(t, i)
	return r
}

// wantServes waits until new connections get this certificate, for at most the refresh time.
func (s *sidecar) wantServes(t testing.TB, i identity) {
	t.Helper()
	eventually(t, 10*time.Second, "new connections see "+i.certificate.Subject.String(), func() bool {
		c := s.servedCertificate(t)
		return c == string(i.certificate.Raw)
	})
}

// servedCertificate is the certificate that a new connection gets, in DER.
func (s *sidecar) servedCertificate(t testing.TB) string {
	t.Helper()
	connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return string(connection.ConnectionState().PeerCertificates[0].Raw)
}

// state is the answer of /health.
func (s *sidecar) state(t testing.TB) (status int, a answer) {
	t.Helper()
	status, body, err := get(t.Context(), "http://"+s.health+"/health")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return status, a
}

// wantProblem waits, for at most the refresh time, until /health says 200 and degraded, with a problem
// of this file with these words in its reason or remedy; the log and the metric must agree.
func (s *sidecar) wantProblem(t testing.TB, file, words string) {
	t.Helper()
	var last answer
	matches := func(p problem) bool {
		return strings.HasSuffix(p.File, file) && strings.Contains(p.Reason+" "+p.Remedy, words)
	}
	eventually(t, 10*time.Second, "health names "+file+": "+words, func() bool {
		var status int
		status, last = s.state(t)
		if status != http.StatusOK || !last.Live {
			t.Fatalf("status %d of health, want 200: %+v", status, last)
		}
		return last.Degraded && slices.ContainsFunc(last.Problems, matches)
	})
	record := s.record(t, "certificate problem", file, words)
	if record["level"] != "ERROR" || record["remedy"] == "" || record["meanwhile"] == "" {
		t.Errorf("the record lacks level, remedy or meanwhile: %v", record)
	}
	s.wantMetric(t, "certsync_degraded 1")
}

// wantGood waits, for at most the refresh time, until there is no problem.
func (s *sidecar) wantGood(t testing.TB) {
	t.Helper()
	var last answer
	eventually(t, 10*time.Second, "no certificate problem", func() bool {
		_, last = s.state(t)
		return !last.Degraded && !last.Refusing
	})
	s.wantMetric(t, "certsync_degraded 0")
	s.wantMetric(t, "certsync_refusing 0")
}

func (s *sidecar) wantMetric(t testing.TB, line string) {
	t.Helper()
	eventually(t, 10*time.Second, "/metrics has "+line, func() bool {
		_, body, err := get(t.Context(), "http://"+s.health+"/metrics")
		return err == nil && slices.Contains(strings.Split(string(body), "\n"), line)
	})
}
