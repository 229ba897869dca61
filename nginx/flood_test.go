package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// clientHello is the first record of a client that accepts only RSA. Each time somebody sends it, it costs the server a signature (RFC 8446 §4.1.2).
func clientHello(t *testing.T) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go tls.Client(there, &tls.Config{InsecureSkipVerify: true}).Handshake() // ends with the pipe
	record := make([]byte, 16<<10)
	n, err := here.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return record[:n]
}

// Strangers that use the whole processor make nginx busy, not dead. A worker that hangs is dead.
func TestBusyServerIsNotDead(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 4096) // a signature takes milliseconds
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: tomorrow}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := startLocal(t, anonymous, map[string]string{
		certificateFile: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyFile:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})),
	}, "GOMAXPROCS=1")
	s.wantGood(t)
	hello := clientHello(t)
	worker, err := os.FindProcess(s.workers(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	signal := func(number syscall.Signal) {
		if err := worker.Signal(number); err != nil {
			t.Fatal(err)
		}
	}
	var strangers []net.Conn
	for range 1500 {
		connection, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		strangers = append(strangers, connection)
	}
	signal(syscall.SIGSTOP) // until all strangers have sent their record
	for _, connection := range strangers {
		connection.Write(hello)
	}
	signal(syscall.SIGCONT)
	busy := 0
	for began := time.Now(); time.Since(began) < 15*time.Second && busy == 0; {
		status, state := s.state(t)
		if status != http.StatusOK || !state.Live {
			t.Fatalf("status %d, %+v", status, state)
		}
		if state.Busy {
			busy++
		}
	}
	if busy == 0 {
		t.Error("it was never busy")
	}
	for _, connection := range strangers {
		connection.Close()
	}
	eventually(t, 60*time.Second, "it answers again", func() bool {
		_, state := s.state(t)
		return state.Nginx && !state.Busy
	})
	signal(syscall.SIGSTOP)
	if status, state := s.state(t); status != http.StatusServiceUnavailable || state.Nginx {
		t.Errorf("with a worker that hangs: status %d, %+v", status, state)
	}
	signal(syscall.SIGCONT)
}
