package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The cdk CLI of package.json, in a copy of the repository, edited as docs/aws.md says.

func TestCLIRefusesTheShippedConfiguration(t *testing.T) {
	root := checkout(t)
	for _, folder := range []string{".", "infra"} {
		output, err := cdk(t, filepath.Join(root, folder), "synth")
		if err == nil {
			t.Errorf("cdk synth in %s succeeds without a certificate", folder)
		}
		for _, want := range []string{
			`Certificate.CertificateArn = "": is required when CertificateMode is ACM`, "aws acm list-certificates --region us-east-1", "aws acm request-certificate",
			`LoadBalancer.AllowedPeers = "0.0.0.0/0": would let anyone on the internet store into the archive`, "set AllowEveryone to true",
		} {
			if !strings.Contains(output, want) {
				t.Errorf("cdk synth in %s does not say %q:\n%s", folder, want, output)
			}
		}
		if _, err := os.Stat(filepath.Join(root, folder, "cdk.out", "stowrs-to-s3.template.json")); err == nil {
			t.Errorf("cdk synth in %s leaves a template", folder)
		}
	}
}

// By docs/aws.md, an account is bootstrapped before config.go is edited: the command must not require values that are still missing.
func TestCLIBootstrapsBeforeConfigurationIsEdited(t *testing.T) {
	guide, err := os.ReadFile("../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	if command := "npx cdk bootstrap --app '' aws://123456789012/eu-central-1 "; !strings.Contains(string(guide), command) {
		t.Fatalf("docs/aws.md has no %s", command)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	output, err := cdk(t, filepath.Join(checkout(t), "infra"), "bootstrap", "--app", "", "aws://123456789012/eu-central-1")
	if err == nil || !strings.Contains(output, "Bootstrapping environment aws://123456789012/eu-central-1") || strings.Contains(output, "config.go") {
		t.Errorf("cdk bootstrap does not get as far as AWS: %v\n%s", err, output)
	}
}

// Both folders give the same template, which is the golden one, and the same images.
func TestCLISynthesisesInBothFolders(t *testing.T) {
	root := checkout(t,
		`CertificateArn: ""`, `CertificateArn: "`+testArn+`"`,
		"\t\t\t\t\"0.0.0.0/0\",\n", "\t\t\t\t\"198.51.100.0/24\",\n\t\t\t\t\"203.0.113.7/32\",\n")
	images := map[string]string{}
	for _, folder := range []string{".", "infra"} {
		if output, err := cdk(t, filepath.Join(root, folder), "synth", "--quiet", "--no-path-metadata", "--no-asset-metadata", "--no-version-reporting"); err != nil {
			t.Fatalf("cdk synth in %s: %v\n%s", folder, err, output)
		}
		out := filepath.Join(root, folder, "cdk.out")
		written, err := os.ReadFile(filepath.Join(out, "stowrs-to-s3.template.json"))
		if err != nil {
			t.Fatal(err)
		}
		if masked := imageHash.ReplaceAll(written, []byte(":ASSET")); !bytes.Equal(masked, read(t, "testdata/templates/acm-anonymous.json")) {
			t.Errorf("cdk synth in %s has another template than the tests look at", folder)
		}
		images[folder] = fmt.Sprint(dockerImages(t, filepath.Join(out, "stowrs-to-s3.assets.json")))
		if output, err := cdk(t, filepath.Join(root, folder), "ls"); err != nil || !strings.Contains(output, "stowrs-to-s3") {
			t.Errorf("cdk ls in %s: %v\n%s", folder, err, output)
		}
	}
	if images["."] != images["infra"] {
		t.Errorf("images differ: %s at the root, %s in infra", images["."], images["infra"])
	}
	if got := strings.Count(images["."], "linux/amd64"); got != 2 {
		t.Errorf("got %d images for linux/amd64, want 2: %s", got, images["."])
	}
}

// The edits of docs/aws.md for the other topologies, with the real CLI: each gives the template that the tests check. Zones that cannot have the
// tasks are reported at synth.
func TestCLISynthesisesEachTopology(t *testing.T) {
	for name, authMode := range map[string]string{"froms3-anonymous": "Anonymous", "froms3-clientauth": "ClientAuth"} {
		root := checkout(t,
			"AuthMode: Anonymous,", "AuthMode: "+authMode+",",
			"CertificateMode: ACM,", "CertificateMode: FromS3,",
			"\t\t\t\t\"0.0.0.0/0\",\n", "\t\t\t\t\"198.51.100.0/24\",\n\t\t\t\t\"203.0.113.7/32\",\n")
		folder := filepath.Join(root, "infra")
		output, err := cdk(t, folder, "synth", "--quiet", "--no-path-metadata", "--no-asset-metadata", "--no-version-reporting")
		if err != nil {
			t.Fatalf("cdk synth of %s: %v\n%s", name, err, output)
		}
		written := read(t, filepath.Join(folder, "cdk.out", "stowrs-to-s3.template.json"))
		if masked := imageHash.ReplaceAll(written, []byte(":ASSET")); !bytes.Equal(masked, read(t, "testdata/templates/"+name+".json")) {
			t.Errorf("cdk synth of %s has another template than the tests look at", name)
		}
		if !strings.Contains(output, "Not every zone of us-east-1 can have the tasks") {
			t.Errorf("cdk synth of %s does not warn of zones:\n%s", name, output)
		}
	}
}

const testArn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"

// imageHash changes with every line of the app.
var imageHash = regexp.MustCompile(`:[0-9a-f]{64}\b`)

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// dockerImages are the hashes of the image folders, with their platforms.
func dockerImages(t *testing.T, manifest string) map[string]any {
	t.Helper()
	written, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var assets struct {
		DockerImages map[string]struct{ Source map[string]any }
	}
	if err := json.Unmarshal(written, &assets); err != nil {
		t.Fatal(err)
	}
	images := map[string]any{}
	for hash, image := range assets.DockerImages {
		images[hash] = image.Source["platform"]
	}
	return images
}

// checkout copies what synthesis reads into a new folder, and edits config.go: pairs of a text that occurs
// once, and its replacement.
func checkout(t *testing.T, edits ...string) string {
	t.Helper()
	root := t.TempDir()
	write := func(name string, content []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var sources []string
	for _, folder := range []string{"*.go", "config/*.go", "stowrs/*.go"} {
		found, err := filepath.Glob(folder)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	for _, name := range append(sources, "go.mod", "go.sum") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		content := string(read(t, name))
		if name == "config.go" {
			for i := 0; i < len(edits); i += 2 {
				if strings.Count(content, edits[i]) != 1 {
					t.Fatalf("config.go has %q %d times", edits[i], strings.Count(content, edits[i]))
				}
				content = strings.Replace(content, edits[i], edits[i+1], 1)
			}
		}
		write("infra/"+name, []byte(content))
	}
	write("cdk.json", read(t, "cdk.json"))
	write("infra/cdk.json", read(t, "cdk.json"))
	write("go.work", []byte("go 1.26.0\n\nuse ./infra\n"))
	write("app/Dockerfile", []byte("FROM scratch\nLABEL of=app\n"))
	write("nginx/Dockerfile", []byte("FROM scratch\nLABEL of=nginx\n"))
	return root
}

// cdk runs the pinned CLI, offline.
func cdk(t *testing.T, folder string, arguments ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs("node_modules/.bin/cdk")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("run npm install in infra, or make test-infra: %v", err)
	}
	command := exec.CommandContext(t.Context(), program, append(arguments, "--no-notices", "--ci")...)
	command.Dir = folder
	command.Env = append(os.Environ(), "CDK_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "CDK_DISABLE_CLI_TELEMETRY=true", "CDK_HOME="+t.TempDir())
	output, err := command.CombinedOutput()
	return string(output), err
}

// Both folders contain the same file, not a symbolic link, which Git turns into a text file on Windows; and the CLI is pinned.
func TestCLIFiles(t *testing.T) {
	for _, name := range []string{"cdk.json", "../cdk.json"} {
		if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no file: %v", name, err)
		}
	}
	here, err := os.ReadFile("cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	if above, err := os.ReadFile("../cdk.json"); err != nil || string(here) != string(above) {
		t.Errorf("infra/cdk.json differs from cdk.json; copy it: %v", err)
	}
	var manifest struct{ DevDependencies map[string]string }
	content, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	if version := manifest.DevDependencies["aws-cdk"]; !strings.HasPrefix(version, "2.") {
		t.Errorf("aws-cdk is %q, and should be pinned", version)
	}
}
