package stowrs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

// The packs AwsSolutions and HIPAA Security: every finding on every deployment has a documented reason.
func TestNag(t *testing.T) {
	for name, cfg := range deployments() {
		t.Run(name, func(t *testing.T) {
			if findings := nag(t, cfg, true); len(findings) > 0 {
				t.Errorf("findings:\n%s", strings.Join(findings, "\n"))
			}
		})
	}
}

// The checks run: an unencrypted topic is found.
func TestNagFinds(t *testing.T) {
	findings := strings.Join(nag(t, deployments()[acm], false), "\n")
	for _, rule := range []string{"AwsSolutions-SNS3", "HIPAA.Security-SNSEncryptedKMS"} {
		if !strings.Contains(findings, rule) {
			t.Errorf("%s is not among the findings:\n%s", rule, findings)
		}
	}
}

func nag(t *testing.T, cfg config.Config, sound bool) []string {
	t.Helper()
	// Otherwise findings would be an exception of Synth.
	app, folder, err := testApp(map[string]any{"@aws-cdk/core:annotationsInValidationReport": false})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	made, err := NewStack(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !sound {
		awssns.NewCfnTopic(made.Stack, jsii.String("Unsound"), nil)
	}
	for _, pack := range []awscdk.IAspect{cdknag.NewAwsSolutionsChecks(nil), cdknag.NewHIPAASecurityChecks(nil)} {
		awscdk.Aspects_Of(app).Add(pack, nil)
	}
	app.Synth(nil)
	return annotations(t, filepath.Join(folder, cfg.AppName+".metadata.json"))
}

// annotations are the errors and warnings of a synthesis.
func annotations(t *testing.T, file string) []string {
	t.Helper()
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var metadata map[string][]struct {
		Type string
		Data any
	}
	if err := json.Unmarshal(written, &metadata); err != nil {
		t.Fatal(err)
	}
	var findings []string
	for _, path := range slices.Sorted(maps.Keys(metadata)) {
		for _, entry := range metadata[path] {
			ours := strings.Contains(fmt.Sprint(entry.Data), "[ack: stowrs:") // from config.Validate, which warns about this configuration
			if (entry.Type == "aws:cdk:error" || entry.Type == "aws:cdk:warning") && !ours {
				findings = append(findings, fmt.Sprint(path, ": ", entry.Data))
			}
		}
	}
	return findings
}

// docs/operations.md contains every suppression literally.
func TestSuppressionsAreDocumented(t *testing.T) {
	cfg := deployments()[mTLS]
	cfg.Storage.Encryption, cfg.Storage.Retention = config.S3Managed, config.Destroy // the choices with their own suppressions
	want := "| rule | on | why it stays |\n|---|---|---|\n"
	for _, s := range suppressions(cfg) {
		want += fmt.Sprintf("| %s | %s | %s |\n", s.Rule, strings.Join(s.On, ", "), strings.ReplaceAll(s.Reason, "|", "\\|"))
	}
	_, got, _ := strings.Cut(section(t, "../../docs/operations.md", "## AWS"), "### Findings of cdk-nag that stay\n")
	i, j := strings.Index(got, "| rule |"), strings.LastIndex(got, "|\n")
	if i < 0 || j < i {
		t.Fatalf("docs/operations.md has no table of them; it should be\n%s", want)
	}
	got, _, _ = strings.Cut(got[i:]+"\n", "|\n\n")
	if diff := cmp.Diff(want, got+"|\n"); diff != "" {
		t.Errorf("differs from suppressions.go (-want +got):\n%s", diff)
	}
}
