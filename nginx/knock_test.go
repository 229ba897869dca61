package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// strangersVariable makes the test binary a process of strangers. Its value is the address, the number of strangers per second, and the total number.
const strangersVariable = "STRANGERS"

// strangers is a process with clients that have no certificate. It is a separate process, so that its processor time can be measured and limited apart from the server's.
type strangers struct {
	*process
	all int
}

// startStrangers sends strangers to an address at this rate.
func startStrangers(t testing.TB, address string, perSecond, all int) *strangers {
	t.Helper()
	return &strangers{start(t, []string{fmt.Sprintf("%s=%s %d %d", strangersVariable, address, perSecond, all)}, os.Args[0]), all}
}

// wait returns the processor seconds of the strangers' own half, after the last of them has ended. Each of them must have received the refusal.
func (s *strangers) wait(t testing.TB) (seconds float64) {
	t.Helper()
	if code := s.exitCode(t, 5*time.Minute); code != 0 {
		t.Fatalf("exit %d: %s", code, s.stderr.tail())
	}
	if refused, err := strconv.Atoi(s.stdout.String()); err != nil || refused != s.all {
		t.Errorf("of %d strangers %s were refused", s.all, s.stdout.String())
	}
	return (s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()).Seconds()
}

// come is the body of the process. Each stranger announces a body of 1 GiB, and sends one byte per second until the server cuts the connection.
func come(variable string) int {
	var address string
	var perSecond, all int
	if _, err := fmt.Sscan(variable, &address, &perSecond, &all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var those sync.WaitGroup
	var refused atomic.Int64
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	for range all {
		<-tick.C
		those.Go(func() {
			if knock(address) {
				refused.Add(1)
			}
		})
	}
	those.Wait()
	fmt.Print(refused.Load())
	return 0
}

// knock is one stranger. It returns whether it received the refusal.
func knock(address string) bool {
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address,
		&tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}) // other curves would cost the stranger more than the server
	if err != nil {
		return false
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprint(connection, longRequest)
	go func() { // ends with the connection
		for {
			if _, err := connection.Write([]byte{0}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	answer, _ := io.ReadAll(connection) // until the end of lingering_time
	return strings.HasPrefix(string(answer), "HTTP/1.1 400 ")
}

// pin binds processes to these processors.
func pin(t testing.TB, processors string, ids ...int) {
	t.Helper()
	for _, id := range ids {
		if output, err := exec.Command("taskset", "-a", "-p", "-c", processors, strconv.Itoa(id)).CombinedOutput(); err != nil {
			t.Fatalf("taskset: %v: %s", err, output)
		}
	}
}

// A stranger costs nginx little, and does not disturb a client that stores at the same time.
func TestStrangersAreCheap(t *testing.T) {
	t.Parallel()
	const all, mostSeconds = 300, 0.003 // three times the value in docs/benchmarks.md, for a busy machine
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	u := s.startUpload(t, s.client(ca.issue(t, "modality-1").tls()), newInstance(t, 20*mib))
	before, certsync := s.nginxSeconds(t), cpuSeconds(t, s.cmd.Process.Pid)
	those := startStrangers(t, s.address, 200, all)
	for gone := false; !gone; {
		select {
		case <-those.exited:
			gone = true
		case <-time.After(200 * time.Millisecond):
		}
		if status, state := s.state(t); status != http.StatusOK || !state.Live || state.Busy {
			t.Fatalf("health: %d, %+v", status, state)
		}
	}
	own := those.wait(t)
	used := (s.nginxSeconds(t) - before) / all
	t.Logf("nginx %.2f ms a stranger, certsync %.2f ms, his own half %.2f ms", used*1e3, (cpuSeconds(t, s.cmd.Process.Pid)-certsync)/all*1e3, own/all*1e3)
	if used > mostSeconds {
		t.Errorf("a stranger costs nginx %.1f ms", used*1e3)
	}
	u.wantStored(t, s)
}

// nginxSeconds is the processor time that the workers have used.
func (s *sidecar) nginxSeconds(t testing.TB) (seconds float64) {
	t.Helper()
	for _, id := range s.workers(t) {
		seconds += cpuSeconds(t, id)
	}
	return seconds
}

// Nobody gets a ticket to resume a session, because it would outlive the revocation of its client. By default, OpenSSL sends two with TLS 1.3.
func TestNoTickets(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, tickets := s.client(nil), &ticketCounter{}
		config := client.Transport.(*http.Transport).TLSClientConfig
		config.MaxVersion, config.ClientSessionCache = version, tickets
		if r, err := s.send(t.Context(), client, "/studies", bytes.NewReader(nil), 0); err != nil || tickets.n > 0 {
			t.Errorf("%s: %d tickets, status %d, error %v", tls.VersionName(version), tickets.n, r.status, err)
		}
	}
}

// ticketCounter is a session cache that only counts.
type ticketCounter struct{ n int }

func (*ticketCounter) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (c *ticketCounter) Put(_ string, session *tls.ClientSessionState) {
	if session != nil {
		c.n++
	}
}
