package client

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Server and client share only storeresponse, dicom and commitment/references. So the client builds without the
// server's framework and without an SDK, and both packages without HTTP.
func TestImports(t *testing.T) {
	const module = "stowrs-to-s3/app/"
	own := []string{module + "client", module + "dicom", module + "storeresponse", module + "commitment/references"}
	for name, forbidden := range map[string][]string{
		"client":        {"github.com/labstack/", "github.com/aws/", "github.com/prometheus/"},
		"dicom":         {"github.com/labstack/", "github.com/aws/", "net/http"},
		"storeresponse": {"github.com/", "net"},
	} {
		output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+name).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", name, err)
		}
		dependencies := strings.Fields(string(output))
		if !slices.Contains(dependencies, module+name) {
			t.Errorf("go list %s gives %d packages, but not the package itself", name, len(dependencies))
		}
		for _, dependency := range dependencies {
			if strings.HasPrefix(dependency, module) && !slices.Contains(own, dependency) {
				t.Errorf("%s depends on %s", name, dependency)
			}
			for _, prefix := range forbidden {
				if strings.HasPrefix(dependency, prefix) {
					t.Errorf("%s depends on %s", name, dependency)
				}
			}
		}
	}
}
