package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/cxapi"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/google/go-cmp/cmp"
)

// AWS' own solutions and HIPAA: no finding without a reason, on any deployment.
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

func nag(t *testing.T, cfg Config, sound bool) []string {
	t.Helper()
	// Else findings are an exception of Synth.
	app, folder, err := testApp(map[string]any{"@aws-cdk/core:annotationsInValidationReport": false})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	stack := newStack(app, cfg)
	if !sound {
		awssns.NewCfnTopic(stack, jsii.String("Unsound"), nil)
	}
	for _, pack := range []awscdk.IAspect{cdknag.NewAwsSolutionsChecks(nil), cdknag.NewHIPAASecurityChecks(nil)} {
		awscdk.Aspects_Of(app).Add(pack, nil)
	}
	app.Synth(nil)
	annotations := assertions.Annotations_FromStack(stack)
	var findings []string
	for _, list := range []*[]*cxapi.SynthesisMessage{
		annotations.FindError(jsii.String("*"), assertions.Match_AnyValue()), annotations.FindWarning(jsii.String("*"), assertions.Match_AnyValue()),
	} {
		for _, finding := range *list {
			findings = append(findings, fmt.Sprint(*finding.Id, ": ", finding.Entry.Data))
		}
	}
	return findings
}

// docs/operations.md has every suppression, word for word.
func TestSuppressionsAreDocumented(t *testing.T) {
	cfg := deployments()[mTLS]
	cfg.Storage.Encryption, cfg.Storage.Retention = S3Managed, Destroy // the choices that have some of their own
	want := "| rule | on | why it stays |\n|---|---|---|\n"
	for _, s := range suppressions(cfg) {
		want += fmt.Sprintf("| %s | %s | %s |\n", s.Rule, strings.Join(s.On, ", "), strings.ReplaceAll(s.Reason, "|", "\\|"))
	}
	_, got, _ := strings.Cut(section(t, "../docs/operations.md", "## AWS"), "### Findings of cdk-nag that stay\n")
	i, j := strings.Index(got, "| rule |"), strings.LastIndex(got, "|\n")
	if i < 0 || j < i {
		t.Fatalf("docs/operations.md has no table of them; it should be\n%s", want)
	}
	got, _, _ = strings.Cut(got[i:]+"\n", "|\n\n")
	if diff := cmp.Diff(want, got+"|\n"); diff != "" {
		t.Errorf("differs from suppressions.go (-want +got):\n%s", diff)
	}
}
