package server

import (
	"container/list"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

const (
	// spareConnections may be open besides those of MAXREQUESTS requests: kept ones, and requests that are refused.
	spareConnections = 128
	// adminConnections is the bound of ADMINADDRESS.
	adminConnections = 32
)

// connections bounds how many a server has open. Above the limit, the one that has been
// idle longest is closed for a new one: it waits for its next request, its first header
// is not complete, or its request was answered though its body still comes. If none is
// idle, the new one is closed. So strangers who open thousands push out one another, and
// never a request that is being served.
type connections struct {
	limit   int
	anybody bool // requests that are being served may be closed, too: no one has to get his answer

	mu   sync.Mutex
	open map[net.Conn]*list.Element // in idle; nil: a request is being served
	idle list.List                  // of net.Conn, the longest idle first
}

// headerLines is how many lines a request's header may have. Each becomes a hundred bytes
// and more in memory, however short it is.
const headerLines = 128

// listener gives connections whose headers are bounded.
type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	tcp, is := accepted.(*net.TCPConn)
	if err != nil || !is {
		return accepted, err
	}
	return &headerConn{TCPConn: tcp}, nil
}

// headerConn counts the lines of each header that is read from it.
type headerConn struct {
	*net.TCPConn

	mu    sync.Mutex
	ended bool // by an empty line; what follows is a body
	lines int
	text  bool // there was a line that is not empty
	empty bool // the current line has nothing yet
}

var errHeaderLines = fmt.Errorf("a header of more than %d lines", headerLines)

// Read implements io.Reader.
func (c *headerConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range p[:n] {
		if c.ended {
			break
		}
		c.count(b)
	}
	if c.lines > headerLines {
		return 0, errHeaderLines
	}
	return n, err
}

func (c *headerConn) count(b byte) {
	switch b {
	case '\r':
	case '\n':
		c.ended = c.text && c.empty
		c.empty = true
		c.lines++
	default:
		c.text, c.empty = true, false
	}
}

// expect begins to count the lines of the next header.
func (c *headerConn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.lines, c.text, c.empty = false, 0, false, false
}

// got says that the header was read, which a client that does not wait for answers may have sent with the request before.
func (c *headerConn) got() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// exchangeOn is what a request knows of its connection.
type exchangeOn struct {
	all        *connections
	connection net.Conn
}

type exchangeOnKey struct{}

// context is a http.Server's ConnContext. What it adds is for received and answered.
func (c *connections) context(ctx context.Context, connection net.Conn) context.Context {
	return context.WithValue(ctx, exchangeOnKey{}, exchangeOn{c, connection})
}

// received ends the header of a request: what follows is its body.
func received(ctx context.Context) {
	on, _ := ctx.Value(exchangeOnKey{}).(exchangeOn) // not in all tests
	if own, is := on.connection.(*headerConn); is {
		own.got()
	}
}

// answered makes the connection of a request an idle one, since its answer does not depend on what is still read.
func answered(ctx context.Context) {
	if on, is := ctx.Value(exchangeOnKey{}).(exchangeOn); is {
		on.all.note(on.connection, http.StateIdle)
	}
}

// track is a http.Server's ConnState.
func (c *connections) track(connection net.Conn, state http.ConnState) {
	if own, is := connection.(*headerConn); is && state == http.StateIdle {
		own.expect()
	}
	if surplus := c.note(connection, state); surplus != nil {
		_ = surplus.Close() // nothing was written to it that is not acknowledged
	}
}

// note returns the connection that must be closed, if any.
func (c *connections) note(connection net.Conn, state http.ConnState) (surplus net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]*list.Element{}
	}
	entry, known := c.open[connection]
	if !known && state != http.StateNew {
		return nil // it was closed here, which its goroutine does not know yet
	}
	if entry != nil {
		c.idle.Remove(entry)
	}
	switch state {
	case http.StateNew:
		if len(c.open) >= c.limit {
			longest := c.idle.Front()
			if longest == nil {
				return connection
			}
			surplus, _ = c.idle.Remove(longest).(net.Conn)
			delete(c.open, surplus)
		}
		c.open[connection] = c.idle.PushBack(connection)
	case http.StateIdle:
		c.open[connection] = c.idle.PushBack(connection)
	case http.StateActive:
		c.open[connection] = nil
		if c.anybody {
			c.open[connection] = c.idle.PushBack(connection)
		}
	case http.StateHijacked, http.StateClosed:
		delete(c.open, connection)
	}
	return surplus
}
