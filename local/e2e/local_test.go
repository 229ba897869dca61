package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/local/gateway"
)

// localFlags are the flags of `local`, with the ports of this test.
func localFlags(t *testing.T) (flags []string, addresses map[string]string) {
	t.Helper()
	addresses = map[string]string{}
	for _, name := range []string{"--listen", "--admin-listen", "--s3-listen", "--console-listen"} {
		addresses[name] = freeAddress(t)
		flags = append(flags, name, addresses[name])
	}
	return flags, addresses
}

func TestLocalRunsTheWholeSystem(t *testing.T) {
	flags, addresses := localFlags(t)
	data := t.TempDir()
	p := start(t, nil, binaries.local, append(flags, "--data", data)...)
	admin := &service{process: p, address: addresses["--listen"], admin: addresses["--admin-listen"]}
	eventually(t, time.Minute, "the system is ready", func() bool {
		status, _ := admin.get("/readyz")
		return status == http.StatusOK
	})
	code, stdout, stderr := run(t, nil, binaries.stowrsRace, "send", "--url", "http://"+addresses["--listen"], sampleFolder)
	if code != 0 {
		t.Fatalf("stowrs send: exit %d\n%s%s", code, stdout, stderr)
	}
	banner := p.stdout.String()
	access, secret := credential(banner, "access key "), credential(banner, "secret key ")
	config := gateway.Config{Dir: data, Listen: addresses["--s3-listen"], Bucket: "dicom", AccessKey: access, SecretKey: secret}
	b := &bucket{config: config, client: gateway.Client(config)} // with the credentials that it prints
	b.wantSamples(t)

	response, err := http.Get("http://" + addresses["--console-listen"])
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the console answers %d, want 200", response.StatusCode)
	}
	p.signal(t, os.Interrupt)
	if code := p.exitCode(t, 20*time.Second); code != 0 {
		t.Errorf("exit %d after an interrupt, want 0", code)
	}
}

func credential(banner, label string) string {
	_, rest, _ := strings.Cut(banner, label)
	var word string
	fmt.Sscan(rest, &word)
	return word
}

func TestLocalNamesTheFlagOfATakenPort(t *testing.T) {
	for _, flag := range []string{"--listen", "--admin-listen", "--s3-listen", "--console-listen"} {
		t.Run(flag, func(t *testing.T) {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			flags, _ := localFlags(t)
			flags = append(flags, flag, taken.Addr().String(), "--data", t.TempDir())
			code, stdout, stderr := run(t, nil, binaries.local, flags...)
			if code != 1 || !strings.Contains(stderr, flag+" "+taken.Addr().String()) || !strings.Contains(stderr, "in use") {
				t.Errorf("exit %d, want 1 and an error that names %s\n%s%s", code, flag, stdout, stderr)
			}
		})
	}
}
