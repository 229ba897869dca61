package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWrongConfigurationIsRefusedWithAllViolations(t *testing.T) {
	variables := []string{"BUCKETNAME=", "LOGLEVEL=LOUD", "MEMORYBUDGET=1MiB", "THREADCOUNT=-1", "ONDUPLICATE=maybe", "STOPTIMEOUT=soon"}
	for _, command := range []string{"serve", "check"} {
		t.Run(command, func(t *testing.T) {
			code, _, stderr := run(t, variables, binaries.stowrsRace, command)
			if code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
			for _, violation := range []string{`BUCKETNAME=""`, `LOGLEVEL="LOUD"`, `MEMORYBUDGET="1.0 MiB"`, `THREADCOUNT="-1"`, `ONDUPLICATE="maybe"`, `STOPTIMEOUT="soon"`} {
				if !strings.Contains(stderr, violation+": ") {
					t.Errorf("stderr does not name %s:\n%s", violation, stderr)
				}
			}
		})
	}
}

func TestCheckPrintsTheConfigurationWithoutSecrets(t *testing.T) {
	code, stdout, stderr := run(t, []string{
		"BUCKETNAME=dicom", "PREFIX=/in/", "AWS_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=AKIAE2ETESTS", "AWS_SECRET_ACCESS_KEY=e2e-secret", "AWS_SESSION_TOKEN=e2e-token",
	}, binaries.stowrsRace, "check")
	if code != 0 {
		t.Fatalf("exit %d, want 0\n%s", code, stderr)
	}
	for _, want := range [][2]string{{"BUCKETNAME", "dicom"}, {"PREFIX", "in"}, {"MEMORYBUDGET", "256 MiB"}, {"AWS_REGION", "eu-central-1"}} {
		if !hasLine(stdout, want[0], want[1]) {
			t.Errorf("stdout does not say %s %s:\n%s", want[0], want[1], stdout)
		}
	}
	for _, secret := range []string{"e2e-secret", "e2e-token", "AKIAE2ETESTS"} {
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%s is printed", secret)
		}
	}
}

// S3: a key has at most 1,024 bytes, and three UIDs with their slashes take 194.
func TestPrefixThatMakesKeysTooLongIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, prefix, suffix string
		code                 int
	}{
		{"as long as can be", strings.Repeat("p", 829), "", 0},
		{"one too long", strings.Repeat("p", 830), "", 2},
		{"much too long", strings.Repeat("p", 1025), "", 2},
		{"with a suffix, as long as can be", strings.Repeat("p", 825), ".dcm", 0},
		{"with a suffix, too long", strings.Repeat("p", 826), ".dcm", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, stderr := run(t, []string{"BUCKETNAME=dicom", "PREFIX=" + test.prefix, "OBJECTSUFFIX=" + test.suffix}, binaries.stowrsRace, "check")
			if code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			if test.code != 0 && (!strings.Contains(stderr, "PREFIX") || !strings.Contains(strings.ReplaceAll(stderr, ",", ""), "1024")) {
				t.Errorf("stderr does not name PREFIX and 1,024 bytes:\n%.500s", stderr)
			}
		})
	}
}

// hasLine: some line is the name, white space and the value.
func hasLine(text, name, value string) bool {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name); found && strings.TrimSpace(rest) == value {
			return true
		}
	}
	return false
}

// The S3 server of the tests must never be part of the service.
func TestServiceDoesNotDependOnTheGateway(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	list.Dir = appFolder
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := string(output)
	if !strings.Contains(packages, "stowrs-to-s3/app/s3store\n") {
		t.Fatalf("go list -deps names no package of the service:\n%s", packages)
	}
	for name := range strings.Lines(packages) {
		if strings.Contains(name, "versitygw") || strings.HasPrefix(name, "stowrs-to-s3/local") {
			t.Errorf("stowrs depends on %s", name)
		}
	}
}
