package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	r, s := sendTo(t, folderOf(t, "1.1"), func(o *Options) {
		o.Header = []string{"X-Tenant: radiology", "authorization:Basic c2VjcmV0", "X-Tenant: second"}
	})
	wantCounts(t, r, 1, 0)
	header := s.received()[0].header
	wantEqual(t, "X-Tenant", []string{"radiology", "second"}, header.Values("X-Tenant"))
	wantEqual(t, "Authorization", "Basic c2VjcmV0", header.Get("Authorization"))
}

// A secret header need not be on the command line. Its file may be changed during a run, and its content is never printed.
func TestHeaderFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "header")
	writeFile(t, file, []byte("Authorization: Basic first\r\n\nX-Key: hunter2\n"))
	s := newService(t, func(w http.ResponseWriter, u upload) {
		writeFile(t, file, []byte("hunter2"))
		time.AfterFunc(20*time.Millisecond, func() { writeFile(t, file, nil) })
		time.AfterFunc(60*time.Millisecond, func() { writeFile(t, file, []byte("Authorization: Basic second")) })
		storedAll(w, u)
	}, storedAll)
	r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2"), func(o *Options) { o.Header, o.Batch = []string{"@" + file}, 1 })
	wantCounts(t, r, 2, 0)
	first, second := s.received()[0].header, s.received()[1].header
	wantEqual(t, "headers", []string{"Basic first", "hunter2", "Basic second", ""},
		[]string{first.Get("Authorization"), first.Get("X-Key"), second.Get("Authorization"), second.Get("X-Key")})
	if strings.Contains(r.stdout+r.stderr, "hunter2") {
		t.Errorf("the output tells a header:\n%s%s", r.stdout, r.stderr)
	}
	wantContains(t, "command", commandLine([]string{"stowrs", "--header", "@" + file}), "@"+file)
}

// The file is read again for each request, so that a token can be renewed during a long run.
func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, []byte("first\n"))
	s := newService(t, func(w http.ResponseWriter, u upload) {
		writeFile(t, token, []byte("second"))
		storedAll(w, u)
	}, func(w http.ResponseWriter, u upload) {
		if err := os.Remove(token); err != nil {
			t.Error(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { writeFile(t, token, []byte("third")) })
		storedAll(w, u)
	}, storedAll)
	r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3"), func(o *Options) { o.TokenFile, o.Batch = token, 1 })
	wantCounts(t, r, 3, 0)
	var got []string
	for _, u := range s.received() {
		got = append(got, u.header.Get("Authorization"))
	}
	wantEqual(t, "Authorization", []string{"Bearer first", "Bearer second", "Bearer third"}, got)
}

func TestUnusableAccess(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, []byte("two\nlines"))
	for want, change := range map[string]func(*Options){
		"--header number 2 is not":      func(o *Options) { o.Header = []string{"A: b", "secret"} },
		"--header number 1 is not":      func(o *Options) { o.Header = []string{"A: secret\r\nB: c"} },
		"Content-Type is not possible":  func(o *Options) { o.Header = []string{"content-type: secret"} },
		"two of --header Authorization": func(o *Options) { o.Header = []string{"Authorization: secret", "Authorization: b"} },
		"does not hold a token":         func(o *Options) { o.TokenFile = token },
		"must be http://":               func(o *Options) { o.URL = "ftp://user:secret@host" },
		"is not a URL":                  func(o *Options) { o.URL = "http://user:secret@[::1" },
		"special in a user":             func(o *Options) { o.URL = "http://user:pass secret@host" },
		"or a password":                 func(o *Options) { o.URL = "http://user:pass/secret%zz@host" },
		"to be escaped":                 func(o *Options) { o.URL = "http://user:se/secret@host" },
		"no such file":                  func(o *Options) { o.TokenFile = token + ".none" },
	} {
		r, _ := sendTo(t, folderOf(t, "1.1"), change)
		wantEqual(t, "exit code", 2, ExitCode(r.summary, r.err))
		wantContains(t, "error", r.err.Error(), want)
		if strings.Contains(r.err.Error(), "secret") {
			t.Errorf("the error tells a secret: %v", r.err)
		}
	}
}

// A service may repeat in its answer what it received. Secrets in it are not printed, wherever they are.
func TestAnswerThatRepeatsSecrets(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 302, 200} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			all := r.Header.Get("Authorization") + " " + r.Header.Get("X-Key")
			w.Header().Set("Warning", all)
			w.Header().Set("Location", "https://login.example.org/?key=secret3&was="+url.QueryEscape(all))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "you are not "+all)
		}))
		t.Cleanup(s.Close)
		r := sendWith(t, s.URL, folderOf(t, "1.1"), func(o *Options) { o.Header = []string{"Authorization: Bearer secret1", "X-Key: secret2"} })
		if all := r.stdout + r.stderr + fmt.Sprint(r.outcomes, r.err); strings.Contains(all, "secret") {
			t.Errorf("%d: %s", status, all)
		}
		o := VerifyOptions{URL: s.URL, Batch: 10, Parallel: 1, Header: []string{"Authorization: Bearer secret1"}, Paths: []string{folderOf(t, "1.1")}}
		var out strings.Builder
		if v, err := verify(t.Context(), o, &out, &out, time.Millisecond); v.There > 0 || strings.Contains(out.String()+fmt.Sprint(err), "secret") {
			t.Errorf("verify, %d: %v %s", status, err, out.String())
		}
	}
}

// A list that does not end must not delay the end of a run.
func TestListThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	fmt.Fprintln(writer, folder)
	s := newService(t, plain(401, "", ""))
	r := sendWith(t, s.URL, "", func(o *Options) { o.Paths, o.FilesFrom = nil, fmt.Sprintf("/dev/fd/%d", reader.Fd()) })
	wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
}

// The command to continue can be copied, and contains no secret.
func TestCommandToGoOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	o := Options{
		URL: server.URL, Accept: "json", Batch: 1, BatchBytes: 1, Parallel: 1, Attempts: 1, Paths: []string{folderOf(t, "1.1")}, Journal: filepath.Join(t.TempDir(), "j"),
		Command: []string{"stowrs", "send", "--url=https://user:secret@host/x?key=secret", "--header", "Authorization: Basic secret", "--header=X: secret", "a b", "it's"},
	}
	var stdout strings.Builder
	summary, err := send(ctx, o, &stdout, io.Discard, time.Millisecond)
	wantEqual(t, "exit code", 130, ExitCode(summary, err))
	wantContains(t, "stdout", stdout.String(), `to go on: stowrs send '--url=https://…@host/x?…' --header 'Authorization: …' '--header=X: …' 'a b' 'it'\''s'`+"\n")
	o.Journal = ""
	wantContains(t, "without a journal", describeGoOn(o), "with --journal FILE")
}

// --bwlimit applies to all requests together.
func TestBandwidthLimit(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, uid := range []string{"1.1", "1.2"} {
		writeFile(t, filepath.Join(folder, uid+".dcm"), instanceBytes(uid, 200_000))
	}
	started := time.Now()
	r, s := sendTo(t, folder, func(o *Options) { o.BandwidthLimit, o.Batch, o.Parallel = 400_000, 1, 2 })
	wantCounts(t, r, 2, 0)
	s.wantByteExact(t, folder)
	if took := time.Since(started); took < 700*time.Millisecond || took > 5*time.Second {
		t.Errorf("400 kB at 400 kB/s took %s, want 1 s", took)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	writeFile(t, filepath.Join(folder, "README.md"), []byte("text"))
	r, s := sendTo(t, folder, func(o *Options) { o.DryRun, o.Journal = true, journal })
	wantEqual(t, "exit code", 0, ExitCode(r.summary, r.err))
	wantEqual(t, "requests", 0, len(s.received()))
	wantContains(t, "stdout", r.stdout, "2 instances, 1.8 kB, of 1 study would be sent")
	if _, err := os.Stat(journal); err == nil {
		t.Error("a dry run has begun a journal")
	}
	wantCounts(t, sendWith(t, s.URL, folder, func(o *Options) { o.Journal, o.Include = journal, []string{"1.1*"} }), 1, 0)
	r = sendWith(t, s.URL, folder, func(o *Options) { o.DryRun, o.Journal = true, journal })
	wantContains(t, "stdout", r.stdout, "1 instance, 910 B, stored before", "1 instance, 910 B, of 1 study would be sent")
}

// The paths of a list are independent: one that does not exist fails alone.
func TestFilesFrom(t *testing.T) {
	t.Parallel()
	folder, list := folderOf(t, "1.1", "1.2", "1.3"), filepath.Join(t.TempDir(), "list")
	writeFile(t, filepath.Join(folder, "sub", "1.4.dcm"), instanceBytes("1.4", 8))
	writeFile(t, list, []byte(filepath.Join(folder, "1.2.dcm")+"\r\n\n"+filepath.Join(folder, "none.dcm")+"\n"+filepath.Join(folder, "sub")))
	r, s := sendTo(t, "", func(o *Options) { o.Paths, o.FilesFrom = nil, list })
	wantCounts(t, r, 2, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.2", "1.4"}}, s.sentUIDs())
	wantContains(t, "failure", r.failures()["none.dcm"], "no such file")
	r, _ = sendTo(t, "", func(o *Options) { o.Paths, o.FilesFrom = nil, list+".none" })
	wantEqual(t, "exit code", 2, ExitCode(r.summary, r.err))
	r, _ = sendTo(t, "", func(o *Options) { o.Paths = nil })
	wantEqual(t, "exit code", 2, ExitCode(r.summary, r.err))
}
