package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documentedRequest matches a command in the documents that makes a certificate, in one or more lines.
var documentedRequest = regexp.MustCompile(`(?m)^ +(openssl req -x509 (?:.*\\\n)*.*)$`)

// The commands in the documents for a trial make certificates that cannot issue others, except for the certificate of the CA.
func TestDocumentedCommandsMakeLeaves(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"aws.md", "on-premises.md"} {
		content, err := os.ReadFile(filepath.Join("../docs", document))
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		script := "mkdir certs test-ca\n"
		for _, match := range documentedRequest.FindAllStringSubmatch(string(content), -1) {
			script += match[1] + "\n"
		}
		command := exec.Command("/bin/sh", "-ec", script)
		command.Dir = folder
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", document, err, output)
		}
		made := 0
		err = filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".crt") {
				return err
			}
			made++
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			block, _ := pem.Decode(content)
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err
			}
			if isCA := filepath.Base(path) == "ca.crt"; c.IsCA != isCA || mayVouch(c) != isCA {
				t.Errorf("%s: %s is of a CA: %v, and may vouch for clients: %v; want %v", document, path, c.IsCA, mayVouch(c), isCA)
			}
			return nil
		})
		if err != nil || made < 2 {
			t.Errorf("%s: %d certificates, error %v", document, made, err)
		}
	}
}
