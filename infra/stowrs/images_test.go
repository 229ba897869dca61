package stowrs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

// The images have what the task expects of them: users, programs, ports, and the folder that is written
// to. A volume of Fargate belongs to root, unless the image declares it with another owner.
func TestImagesAreWhatTheTaskExpects(t *testing.T) {
	for file, lines := range map[string][]string{
		filepath.Join("..", "..", "app", "Dockerfile"): {"USER " + appUser, "/stowrs /stowrs", `ENTRYPOINT ["/stowrs"]`, `"/stowrs", "health", "--live"`},
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

// The build gets a version and the mirrors, and another revision gives another image.
func TestBuildArguments(t *testing.T) {
	built := func(edit func(*config.ServiceConfig)) string {
		cfg := deployments()[acm]
		edit(&cfg.Service)
		var assets struct{ DockerImages map[string]any }
		if err := json.Unmarshal(synthesisedFile(t, cfg, cfg.AppName+".assets.json"), &assets); err != nil {
			t.Fatal(err)
		}
		return text(assets.DockerImages)
	}
	first := built(func(c *config.ServiceConfig) {
		c.BuildArgs = map[string]string{"GOPROXY": "https://mirror.example.org"}
	})
	if want := `"dockerBuildArgs":{"GOPROXY":"https://mirror.example.org","VERSION":"1"}`; !strings.Contains(first, want) {
		t.Errorf("the build has no %s: %s", want, first)
	}
	second := built(func(c *config.ServiceConfig) {
		c.ImageRevision, c.BuildArgs = "2", map[string]string{"GOPROXY": "https://mirror.example.org"}
	})
	if first == second || !strings.Contains(second, `"VERSION":"2"`) {
		t.Errorf("another revision is built as %s", second)
	}
}

// An existing image is pulled by its digest, by a role that may pull from its repository. (The template is compared without digests.)
func TestImageOfARepository(t *testing.T) {
	got := of(t, internal)
	app := got.one(t, "AWS::ECS::TaskDefinition", "").get("ContainerDefinitions", 0, "Image")
	if want := `{"Fn::Join":["",["210987654321.dkr.ecr.ca-west-1.",{"Ref":"AWS::URLSuffix"},"/imaging/stowrs@sha256:ASSET"]]}`; text(app) != want {
		t.Errorf("the image of the app is %s, want %s", text(app), want)
	}
	policy := text(got.one(t, "AWS::IAM::Policy", "ExecutionRole").get("PolicyDocument"))
	want := `"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws:ecr:ca-west-1:210987654321:repository/imaging/stowrs",`
	if !strings.Contains(policy, want) {
		t.Errorf("the execution role cannot pull it: %s", policy)
	}
}
