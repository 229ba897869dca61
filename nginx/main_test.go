package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// binaries are the programs that the tests start. They are built when the first test needs them.
type binaries struct {
	certsync string // built with the race detector if the tests are
	stowrs   string // the app
	local    string // provides the S3 server of the tests
}

var built struct {
	once sync.Once
	dir  string
	binaries
	err error
}

// theSystem is what the tests share: the S3 server and one app.
var theSystem struct {
	once sync.Once
	s3   *storage
	app  *app
}

func TestMain(m *testing.M) {
	if variable := os.Getenv(strangersVariable); variable != "" {
		os.Exit(come(variable))
	}
	// Most tests wait: for CERT_REFRESH, for a reload, for nginx to cut a connection. -parallel on the command line takes precedence.
	if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	code := m.Run()
	for _, p := range shared {
		p.kill()
	}
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func build(t testing.TB) binaries {
	t.Helper()
	built.once.Do(func() { built.err = buildAll() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.binaries
}

func buildAll() error {
	dir, err := os.MkdirTemp("", "certsync-test-")
	if err != nil {
		return err
	}
	built.dir = dir
	built.binaries = binaries{filepath.Join(dir, "certsync"), filepath.Join(dir, "stowrs"), filepath.Join(dir, "local")}
	certsync := []string{"build", "-ldflags", "-X main.version=test", "-o", built.certsync}
	if raceDetector {
		certsync = append(certsync, "-race")
	}
	for _, module := range []struct {
		folder    string
		arguments []string
	}{
		{".", append(certsync, ".")},
		{"../app", []string{"build", "-o", built.stowrs, "."}},
		{"../local", []string{"build", "-o", built.local, "."}},
	} {
		command := exec.Command("go", module.arguments...)
		command.Dir = module.folder
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v in %s: %w\n%s", module.arguments, module.folder, err, output)
		}
	}
	return nil
}

// nginxProgram finds nginx. Without it, the tests that need it are skipped, except in CI.
func nginxProgram(t testing.TB) string {
	t.Helper()
	if program := os.Getenv("NGINX_PROGRAM"); program != "" {
		return program
	}
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	const remedy = "nginx is not installed: apt-get install nginx-light, or brew install nginx; or set NGINX_PROGRAM to the program"
	if os.Getenv("CI") == "true" {
		t.Fatal(remedy)
	}
	t.Skip(remedy)
	return ""
}
