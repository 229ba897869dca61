package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// sendAlert opens a connection without a certificate, and sends a warning alert with this number instead of a request (RFC 8446 §6). crypto/tls
// cannot send a chosen alert, so the record is made here: the first one of the connection (§5.2, §7.3).
func (s *sidecar) sendAlert(t *testing.T, number byte) {
	t.Helper()
	var secrets bytes.Buffer
	below, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer below.Close()
	connection := tls.Client(below, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &secrets})
	if err := connection.Handshake(); err != nil {
		t.Fatal(err)
	}
	if suite := connection.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("suite %s", tls.CipherSuiteName(suite))
	}
	_, line, _ := strings.Cut(secrets.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	derive := func(label string, size int) []byte {
		info := append([]byte{0, byte(size), byte(len("tls13 " + label))}, "tls13 "+label...)
		key, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	block, err := aes.NewCipher(derive("key", 16))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	const warning, alert, applicationData = 1, 21, 23
	header := []byte{applicationData, 3, 3, 0, byte(3 + sealer.Overhead())}
	if _, err := below.Write(sealer.Seal(header, derive("iv", 12), []byte{warning, number, alert}, header)); err != nil {
		t.Fatal(err)
	}
	below.SetDeadline(time.Now().Add(10 * time.Second))
	io.Copy(io.Discard, below) // until nginx has read it
}

// What strangers send below HTTP is logged as a refusal, even if nginx calls it an error, and hides no real error.
func TestAlertsHideNoError(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files, "APP_ADDRESS="+freeAddress(t))
	for number := range 256 {
		if number > 1 { // 0 closes the connection
			s.sendAlert(t, byte(number))
		}
	}
	s.record(t, "refused", "TLS: ")
	s.wantRefused(t, ca.issue(t, "modality-1").tls(), http.StatusServiceUnavailable, "cannot be reached")
	s.record(t, "nginx", "ERROR", "connect() failed")
	if n := len(s.records("nginx")); n > 1 {
		t.Errorf("%d records of errors, want that of the app alone", n)
	}
	if n := len(s.records("refused")); n > 40 {
		t.Errorf("%d records of refusals", n)
	}
}
