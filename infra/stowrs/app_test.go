package stowrs

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

// The service accepts the environment of its container. CloudFormation fills in the names of the buckets.
func TestContainerEnvironmentIsAccepted(t *testing.T) {
	stowrs := buildApp(t)
	each(t, func(t *testing.T, got template, cfg config.Config) {
		check := exec.CommandContext(t.Context(), stowrs, "check")
		check.Env = []string{}
		for name, value := range environment(t, got, "app") {
			if strings.HasPrefix(value, "{") {
				value = "stowrstos3-dicom-0123456789ab"
			}
			check.Env = append(check.Env, name+"="+value)
		}
		output, err := check.CombinedOutput()
		if err != nil {
			t.Fatalf("stowrs check: %v\n%s", err, output)
		}
		for _, want := range []string{"THREADCOUNT", "LISTENADDRESS"} {
			if !strings.Contains(string(output), want) {
				t.Errorf("it does not print %s:\n%s", want, output)
			}
		}
	})
}

// buildApp builds the service as its image does, without the workspace.
func buildApp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stowrs")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "../../app"
	build.Env = append(build.Environ(), "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build ../../app: %v\n%s", err, output)
	}
	return path
}
