package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// documentedCap is the nftables file in docs/operations.md.
func documentedCap(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    table inet stow\n(    .*\n)+`).Find(content)
	if found == nil {
		t.Fatal("docs/operations.md has no table of nftables")
	}
	return string(found)
}

// The limit of docs/operations.md in front of TLS holds back addresses with too many new or open connections, and nobody else. The test runs
// itself again in its own network namespace, where it may load the rules.
func TestDocumentedCap(t *testing.T) {
	t.Parallel()
	const inside = "IN_A_NETWORK_OF_ITS_OWN"
	if os.Getenv(inside) == "" {
		path := os.Getenv("PATH") + ":/usr/sbin" // which is only in root's PATH
		if err := exec.Command("env", "PATH="+path, "nft", "--version").Run(); err != nil {
			const remedy = "nft is not installed: apt-get install nftables"
			if os.Getenv("CI") == "true" {
				t.Fatal(remedy)
			}
			t.Skip(remedy)
		}
		arguments := []string{"--net", os.Args[0], "-test.run=^TestDocumentedCap$", "-test.v"}
		if os.Getuid() != 0 {
			arguments = append([]string{"--map-root-user"}, arguments...)
		}
		command := exec.Command("unshare", arguments...)
		command.Env = append(os.Environ(), inside+"=1", "PATH="+path)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
		return
	}
	for _, command := range []string{"ip link set lo up", "ip address add fd00::2/64 dev lo nodad", "ip address add fd00::3/64 dev lo nodad"} {
		runCommand(t, "", command)
	}
	for _, address := range []string{"127.0.0.1:443", "[::1]:443"} { // no listener accepts: the kernel completes the connections
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	rules := documentedCap(t)
	load := func(rules string) {
		runCommand(t, rules, "nft -c -f -")
		runCommand(t, rules, "nft -f -")
		runCommand(t, "", "nft add element inet stow known { 127.0.0.9 }")
	}

	load(rules)
	for _, burst := range []struct {
		from   []string
		limits bool
	}{{[]string{"127.0.0.2"}, true}, {[]string{"fd00::2", "fd00::3"}, true}, {[]string{"127.0.0.9"}, false}} {
		const all = 100
		began := time.Now()
		opened := open(t, all, burst.from...)
		atMost := 21 + int(20*time.Since(began).Seconds()) // the burst, and 20 per second
		if opened < 20 || burst.limits && opened > atMost || !burst.limits && opened < all {
			t.Errorf("of %d connections from %s %d were let through, limit %v", all, burst.from, opened, burst.limits)
		}
		if open(t, 1, "127.0.0.3") != 1 {
			t.Errorf("while %s comes, another address does not get through", burst.from)
		}
	}

	load(strings.ReplaceAll(rules, "20/second burst 20 ", "10000/second burst 10000 "))
	for _, from := range []string{"127.0.0.4", "fd00::2"} {
		if opened := open(t, 100, from); opened != 64 {
			t.Errorf("%s holds %d connections, want 64", from, opened)
		}
	}
	if open(t, 1, "127.0.0.3") != 1 {
		t.Error("while others hold all they may, another address does not get through")
	}
}

// open opens so many connections at once, from these addresses in turn, and returns how many succeed. They stay open until the test ends.
func open(t *testing.T, connections int, from ...string) int {
	t.Helper()
	var all sync.WaitGroup
	var opened atomic.Int64
	for n := range connections {
		all.Go(func() {
			source := net.ParseIP(from[n%len(from)])
			to := map[bool]string{true: "127.0.0.1", false: "::1"}[source.To4() != nil]
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: source}, Timeout: 500 * time.Millisecond} // shorter than the time until a second SYN packet
			connection, err := dialer.Dial("tcp", net.JoinHostPort(to, strconv.Itoa(443)))
			if err == nil {
				opened.Add(1)
				t.Cleanup(func() { connection.Close() })
			}
		})
	}
	all.Wait()
	return int(opened.Load())
}

// runCommand runs a command, whose words are separated by spaces, with this input.
func runCommand(t *testing.T, input, command string) {
	t.Helper()
	words := strings.Fields(command)
	c := exec.Command(words[0], words[1:]...)
	c.Stdin = strings.NewReader(input)
	if output, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, output)
	}
}
