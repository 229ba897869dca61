package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the task expects of the images is what their Dockerfiles say: users, programs, ports, the folder that is written
// to. A volume of Fargate belongs to root unless the image declares it and owns it.
func TestImagesAreWhatTheTaskExpects(t *testing.T) {
	for file, lines := range map[string][]string{
		filepath.Join("..", "app", "Dockerfile"): {"USER " + appUser, "/stowrs /stowrs", `ENTRYPOINT ["/stowrs"]`, `"/stowrs", "health", "--live"`},
		filepath.Join(nginxFolder, "Dockerfile"): {
			"USER " + nginxUser, "/certsync /certsync", "VOLUME " + nginxRunFolder, "--chown=" + nginxUser + " " + nginxRunFolder, "EXPOSE 8443 8081", `"/certsync", "health"`,
		},
		filepath.Join(nginxFolder, "health.go"): {`"GET ` + healthPath + `"`},
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range lines {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s has no %s", file, want)
			}
		}
	}
}
