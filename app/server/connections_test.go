package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// stored sends one instance over a new connection.
func (r *running) stored(t *testing.T) error {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Post("http://"+r.stow+"/studies", "application/dicom", bytes.NewReader(sample(t)))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return fmt.Errorf("got %s", response.Status)
	}
	return nil
}

// Strangers open far more connections than the service has room for: silent ones, with half a
// header, and idle after an answer. Honest clients still get a connection, and the request in progress is finished.
func TestStrangersOpenManyConnections(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	r := start(t, s3, map[string]string{"MAXREQUESTS": "2"}) // so 130 connections
	hold := make(chan struct{})
	s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold, Times: 1})
	inProgress := make(chan error, 1)
	go func() { inProgress <- r.stored(t) }()
	for s3.MaxInFlight("PutObject") == 0 {
		time.Sleep(time.Millisecond)
	}
	var all []net.Conn
	for i := range 600 {
		connection := r.dial(t)
		all = append(all, connection)
		switch i % 3 {
		case 1:
			fmt.Fprint(connection, "POST /studies HTTP/1.1\r\nHost: x\r\n")
		case 2:
			fmt.Fprint(connection, "OPTIONS /studies HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if i%50 == 49 {
			if err := r.stored(t); err != nil {
				t.Errorf("after %d connections: %v", i+1, err)
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; { // the last connections may not yet be accepted
		open := stillOpen(all)
		if open <= 130 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open", open)
		}
	}
	close(hold)
	if err := <-inProgress; err != nil {
		t.Errorf("the request in progress: %v", err)
	}
}

// stillOpen counts the connections that the service has not closed.
func stillOpen(connections []net.Conn) int {
	open := 0
	for _, connection := range connections {
		_ = connection.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		_, err := io.Copy(io.Discard, connection)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			open++
		}
	}
	return open
}

// Strangers whose requests are refused, and whose bodies never arrive, do not occupy connections that others need.
func TestStrangersAreRefused(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), map[string]string{"MAXREQUESTS": "2"}) // so 130 connections
	for i := range 400 {
		fmt.Fprint(r.dial(t), "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
		if i%50 == 49 {
			if err := r.stored(t); err != nil {
				t.Errorf("after %d connections: %v", i+1, err)
			}
		}
	}
}

// ADMINADDRESS has a separate limit, so that the service answers probes even if clients use all connections.
func TestAdminConnections(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	var all []net.Conn
	for range 200 {
		connection, err := net.Dial("tcp", r.admin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		all = append(all, connection)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + r.admin + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), "true") {
		t.Errorf("got %s", body)
	}
	if open := stillOpen(all); open > 32 {
		t.Errorf("%d connections are open", open)
	}
}
