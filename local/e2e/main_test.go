package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"stowrs-to-s3/local/gateway"
)

// gatewayVariable makes the test binary run a gateway instead of tests; its value is a gateway.Config.
const gatewayVariable = "E2E_GATEWAY"

// appFolder holds the module of stowrs, which has dependencies that module local does not know.
const appFolder = "../../app"

// binaries are built by TestMain.
var binaries struct {
	stowrs     string // as released
	stowrsRace string // with the race detector if the tests have it, otherwise the same
	local      string
	gateway    string // the test binary, without the race detector, which would make the S3 server slow
}

func TestMain(m *testing.M) {
	if config := os.Getenv(gatewayVariable); config != "" {
		if err := runGateway(config); err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
			os.Exit(1)
		}
		return
	}
	// Parallel tests wait most of the time, and hardly need the processor.
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "stowrs-e2e-")
	if err == nil {
		err = buildAll(dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// long skips a test that takes more than ten seconds if tests are run with -short.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: make test-all runs it")
	}
}

func runGateway(value string) error {
	var config gateway.Config
	if err := json.Unmarshal([]byte(value), &config); err != nil {
		return err
	}
	return gateway.Run(context.Background(), config, func() { fmt.Println("ready") })
}

func buildAll(dir string) error {
	binaries.stowrs = filepath.Join(dir, "stowrs")
	binaries.stowrsRace = binaries.stowrs
	binaries.local = filepath.Join(dir, "local")
	if err := goCommand(appFolder, "build", "-tags", "grpcnotrace", "-o", binaries.stowrs, "."); err != nil { // like make build
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	binaries.gateway = self
	if raceDetector {
		binaries.stowrsRace, binaries.gateway = filepath.Join(dir, "stowrs-race"), filepath.Join(dir, "gateway")
		if err := goCommand(appFolder, "build", "-race", "-o", binaries.stowrsRace, "."); err != nil {
			return err
		}
		if err := goCommand(".", "test", "-c", "-o", binaries.gateway, "."); err != nil {
			return err
		}
	}
	return goCommand("..", "build", "-o", binaries.local, ".")
}

func goCommand(folder string, args ...string) error {
	command := exec.Command("go", args...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, output)
	}
	return nil
}
