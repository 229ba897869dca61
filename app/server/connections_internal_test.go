package server

import (
	"net"
	"net/http"
	"testing"
)

// A new connection closes the one that has been idle longest, never one with a request; if there is none, the new one is closed.
func TestConnections(t *testing.T) {
	bound := &connections{limit: 2}
	a, b, c, d := new(net.TCPConn), new(net.TCPConn), new(net.TCPConn), new(net.TCPConn)
	names := map[net.Conn]string{a: "a", b: "b", c: "c", d: "d", nil: "none"}
	for i, step := range []struct {
		connection net.Conn
		state      http.ConnState
		closed     net.Conn
	}{
		{a, http.StateNew, nil},
		{b, http.StateNew, nil},
		{a, http.StateActive, nil},
		{c, http.StateNew, b},      // has no header yet
		{b, http.StateActive, nil}, // too late
		{c, http.StateActive, nil},
		{d, http.StateNew, d}, // both others are served
		{d, http.StateClosed, nil},
		{c, http.StateIdle, nil},
		{a, http.StateIdle, nil},
		{c, http.StateActive, nil},
		{c, http.StateIdle, nil},
		{d, http.StateNew, a}, // idle for longer than c
		{d, http.StateActive, nil},
		{c, http.StateClosed, nil},
		{a, http.StateClosed, nil},
		{b, http.StateNew, nil}, // there is room
		{c, http.StateNew, b},
		{d, http.StateIdle, nil},
		{a, http.StateNew, c},
	} {
		if got := bound.note(step.connection, step.state); got != step.closed {
			t.Fatalf("step %d: %s is %s: closed is %s, want %s", i, names[step.connection], step.state, names[got], names[step.closed])
		}
	}
	if len(bound.open) != 2 || bound.idle.Len() != 2 {
		t.Errorf("%d open, %d idle, want 2 and 2", len(bound.open), bound.idle.Len())
	}
}

// A service that may open only a few files keeps some of them for health and S3.
func TestConnectionsLeaveFilesForOthers(t *testing.T) {
	for _, test := range []struct{ maxRequests, threads, files, want int }{
		{512, 256, 1 << 20, 640},
		{512, 256, 992, 640},
		{512, 256, 991, 639},
		{512, 256, 128, 32},
	} {
		if got := connectionLimit(test.maxRequests, test.threads, test.files); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}
