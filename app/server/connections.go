package server

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

const (
	// spareConnections may be open in addition to those of MAXREQUESTS requests: idle ones, and requests that are refused.
	spareConnections = 128
	// adminConnections is the limit of ADMINADDRESS.
	adminConnections = 32
	// otherFiles are connections to S3 that do not store, to the collector of traces and for credentials, listeners and the log.
	otherFiles = 64
)

// connectionLimit is how many connections LISTENADDRESS may have. The rest of the files that the process may open is for health and
// S3: if strangers could take all of them, nobody could ask whether the service is live.
func connectionLimit(maxRequests, threads, files int) int {
	return min(maxRequests+spareConnections, max(files-threads-adminConnections-otherFiles, files/4))
}

// connections limits how many connections a server has open. Above the limit, the one that has been
// idle longest is closed for a new one: it waits for its next request, its first header
// is not complete, or its request was answered though its body still comes. If none is
// idle, the new one is closed. So strangers who open thousands of connections displace only one another, and
// never a request that is being served.
type connections struct {
	limit   int
	anybody bool // requests that are being served may be closed, too: nobody depends on their answers

	mu   sync.Mutex
	open map[net.Conn]*list.Element // in idle; nil: a request is being served
	idle list.List                  // of net.Conn, the longest idle first
}

// headerLines is the maximum number of lines of a request's header. Each takes at least a hundred bytes
// of memory, however short it is.
const headerLines = 128

// listener accepts connections and limits their headers.
type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	tcp, is := accepted.(*net.TCPConn)
	if err != nil || !is {
		return accepted, err
	}
	return &headerConn{TCPConn: tcp, body: -1}, nil
}

// headerConn counts the lines of each header that is read from it. A read ends with the header, and with a
// body of known length, so that the bytes after it are counted for their own header. After a body of
// unknown length the connection is closed (exchange).
type headerConn struct {
	*net.TCPConn

	mu    sync.Mutex
	ended bool  // by an empty line; the body follows
	body  int64 // remaining bytes of it; negative: unknown
	lines int
	text  bool // there was a line that is not empty
	empty bool // the current line has nothing yet

	reading sync.Mutex // of rest: net/http reads in turn
	rest    []byte     // bytes that came together with a header
}

var errHeaderLines = fmt.Errorf("a header of more than %d lines", headerLines)

// Read implements io.Reader.
func (c *headerConn) Read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.isLong() { // it is final: net/textproto looks past an error or two
		return 0, errHeaderLines
	}
	p = p[:c.room(len(p))]
	if len(c.rest) > 0 {
		n = copy(p, c.rest)
		c.rest = c.rest[n:]
	} else {
		n, err = c.TCPConn.Read(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		c.body -= int64(min(n, int(max(c.body, 0))))
		return n, err
	}
	for i, b := range p[:n] {
		if c.count(b); c.lines > headerLines {
			return 0, errHeaderLines
		}
		if c.ended {
			c.rest = append(bytes.Clone(p[i+1:n]), c.rest...)
			return i + 1, nil
		}
	}
	return n, err
}

func (c *headerConn) isLong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines > headerLines
}

// room is how many of most bytes may be read at once. After a body the next header begins.
func (c *headerConn) room(most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.ended || c.body < 0:
		return most
	case c.body == 0:
		c.begin()
		return most
	}
	return int(min(int64(most), c.body))
}

// begin begins to count the lines of a header.
func (c *headerConn) begin() { c.ended, c.body, c.lines, c.text, c.empty = false, -1, 0, false, false }

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

// expect says that the next header follows.
func (c *headerConn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin()
}

// got says that the header was read, and how long the body is; negative: unknown.
func (c *headerConn) got(body int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.body = true, body
}

// exchangeOn is what a request knows of its connection.
type exchangeOn struct {
	all        *connections
	connection net.Conn
}

type exchangeOnKey struct{}

// context is the ConnContext of an http.Server. It adds what received and answered need.
func (c *connections) context(ctx context.Context, connection net.Conn) context.Context {
	return context.WithValue(ctx, exchangeOnKey{}, exchangeOn{c, connection})
}

// received ends the header of a request: what follows is its body.
func received(r *http.Request) {
	on, _ := r.Context().Value(exchangeOnKey{}).(exchangeOn) // not in all tests
	if own, is := on.connection.(*headerConn); is {
		own.got(r.ContentLength)
	}
}

// answered marks the connection of a request as idle, because the rest of the body no longer affects its answer.
func answered(ctx context.Context) {
	if on, is := ctx.Value(exchangeOnKey{}).(exchangeOn); is {
		on.all.note(on.connection, http.StateIdle)
	}
}

// track is the ConnState of an http.Server.
func (c *connections) track(connection net.Conn, state http.ConnState) {
	if own, is := connection.(*headerConn); is && state == http.StateIdle {
		own.expect()
	}
	if surplus := c.note(connection, state); surplus != nil {
		_ = surplus.Close() // all data that were written to it are acknowledged
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
		return nil // it was closed here, but its goroutine does not know this yet
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
