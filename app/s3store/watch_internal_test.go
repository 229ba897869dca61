package s3store

import (
	"io"
	"net"
	"net/http/httptrace"
	"runtime"
	"testing"
	"time"
)

// What the system has taken waits for a slow link. While the other side takes it, there is progress; when it takes nothing any more, or
// has everything and does not answer, there is none.
func TestWatchSeesTheLink(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says what is acknowledged")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sender, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	receiver, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	receiver.(*net.TCPConn).SetReadBuffer(64 << 10)
	sender.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	taken, _ := sender.Write(make([]byte, 64<<20)) // as much as the system takes
	waiting := unacknowledgedBytes(sender)
	if waiting < 256<<10 || waiting > taken {
		t.Fatalf("%d bytes are said to wait of %d", waiting, taken)
	}

	const after = 400 * time.Millisecond
	stalled := make(chan struct{})
	w := newWatch(after, func() { close(stalled) })
	defer w.end()
	httptrace.ContextClientTrace(w.context(t.Context())).GotConn(httptrace.GotConnInfo{Conn: sender})
	for range 30 { // for three times as long as a stall
		if _, err := io.CopyN(io.Discard, receiver, int64(waiting)/60); err != nil {
			t.Fatal(err)
		}
		select {
		case <-stalled:
			t.Fatalf("a stall, while the link takes data; %d of %d bytes wait", unacknowledgedBytes(sender), waiting)
		case <-time.After(after / 10):
		}
	}
	begun := time.Now()
	<-stalled
	if took := time.Since(begun); took > 2*after {
		t.Errorf("a link that takes nothing was seen after %s, want %s", took, after)
	}
}

// The transport may read more of the body after a stall, until it sees that the attempt is cancelled.
func TestWatchStallsOnce(t *testing.T) {
	stalled := make(chan struct{}, 2)
	w := newWatch(20*time.Millisecond, func() { stalled <- struct{}{} })
	defer w.end()
	<-stalled
	w.progress()
	select {
	case <-stalled:
		t.Error("a second stall")
	case <-time.After(100 * time.Millisecond):
	}
}
