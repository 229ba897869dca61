package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nginxPrograms are the programs for which the configuration must be valid. NGINX_PINNED is
// the version of the image, if that of the machine is another one.
func nginxPrograms(t *testing.T) []string {
	t.Helper()
	programs := []string{nginxProgram(t)}
	if pinned := os.Getenv("NGINX_PINNED"); pinned != "" {
		programs = append(programs, pinned)
	}
	return programs
}

// nginx accepts the generated configuration in all modes, without a warning.
func TestConfigurationIsValid(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	server := ca.issue(t, "server")
	good := setting{pair: pair{certificate: server.chainPEM(), key: server.keyPEM(t)}}
	trusting, revoking := good, good
	trusting.trust = trust{certificates: ca.pem()}
	revoking.trust = trust{certificates: ca.pem(), crl: ca.revoke(t, tomorrow)}
	broken := good
	broken.trust = trust{certificates: ca.pem()[:len(ca.pem())/2]}
	for _, program := range nginxPrograms(t) {
		version, err := (&nginx{program: program}).version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			variables []string
			setting   setting
			valid     bool
		}{
			"anonymous":       {[]string{"AUTH_MODE=anonymous"}, good, true},
			"refusing":        {[]string{"AUTH_MODE=clientauth"}, good, true},
			"clientauth":      {[]string{"AUTH_MODE=clientauth"}, trusting, true},
			"revocation":      {[]string{"AUTH_MODE=clientauth"}, revoking, true},
			"allowed clients": {[]string{"AUTH_MODE=clientauth", `ALLOWED_CLIENTS=CN=a\"b$c{d},O=ä;CN=e`}, trusting, true},
			"resolvers":       {[]string{"AUTH_MODE=anonymous", "RESOLVER=192.0.2.53 2001:db8::53"}, good, true},
			"largest limit":   {[]string{"AUTH_MODE=anonymous", "CLIENT_MAX_BODY_SIZE=8589934591g"}, good, true},
			"limits":          {[]string{"AUTH_MODE=anonymous", "CLIENT_MAX_BODY_SIZE=20g", "CONNECTIONS_PER_ADDRESS=8"}, good, true},
			"addresses":       {[]string{"AUTH_MODE=anonymous", "TLS_ADDRESS=[::]:8443", "APP_ADDRESS=localhost:8080"}, good, true},
			"PROXY protocol":  {[]string{"AUTH_MODE=clientauth", "PROXY_PROTOCOL=on"}, trusting, true},
			"broken store":    {[]string{"AUTH_MODE=clientauth"}, broken, false},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				folder := newRunFolder(t)
				environment := map[string]string{"CERT_MODE": modeLocal, "RUN_FOLDER": folder}
				for _, variable := range test.variables {
					name, value, _ := strings.Cut(variable, "=")
					environment[name] = value
				}
				c, err := loadSettings(environment)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.prepareRunFolder(); err != nil {
					t.Fatal(err)
				}
				if err := c.writeGeneration(test.setting, 1); err != nil {
					t.Fatal(err)
				}
				output, err := exec.Command(program, (&nginx{folder: folder}).arguments(generationName(1), "-t", "-q")...).CombinedOutput()
				if valid := err == nil && len(output) == 0; valid != test.valid {
					t.Errorf("nginx -t: %v: %s", err, output)
				}
			})
		}
	}
}

// weakPair has an RSA key that is too short for OpenSSL's security level.
func weakPair(t *testing.T) (certificate, key string) {
	t.Helper()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: tomorrow}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &short.PublicKey, short)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(short)}))
}

// Only the user of the sidecar can read keys.
func TestGenerationIsPrivate(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	folders, err := filepath.Glob(filepath.Join(s.runFolder, "generation-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("generations %q, error %v, want one", folders, err)
	}
	for path, want := range map[string]os.FileMode{folders[0]: 0o700 | os.ModeDir, filepath.Join(folders[0], keyFile): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %s, error %v, want %s", path, info.Mode(), err, want)
		}
	}
}

// If nginx -t refuses a key that Go accepts, the last good one stays in use.
func TestWhatNginxDoesNotTakeIsNotServed(t *testing.T) {
	t.Parallel()
	good := newAuthority(t, "CA").issue(t, "good")
	s := startLocal(t, anonymous, served(t, good))
	s.wantServes(t, good)
	certificate, key := weakPair(t)
	if _, err := checkPair([]byte(certificate), []byte(key), time.Now()); err != nil {
		t.Fatalf("it is refused before nginx sees it: %v", err)
	}
	s.certificates(certificateFile, certificate)
	s.certificates(keyFile, key)
	s.wantProblem(t, certificateFile, "nginx does not take it")
	s.wantStored(t, nil)
	if s.servedCertificate(t) != string(good.certificate.Raw) {
		t.Error("the good certificate is not served")
	}
	time.Sleep(2 * refreshTime)
	if n := len(s.records("certificate problem")); n > 2 {
		t.Errorf("%d records of one problem", n)
	}
	if _, err := os.Stat(filepath.Join(s.runFolder, fmt.Sprint("generation-", 3))); err == nil {
		t.Error("the refused generation is left in RUN_FOLDER")
	}
}

// A test by nginx can fail for reasons outside the files, such as lack of memory, so it is repeated at the next look.
func TestNginxIsAskedAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	wrapper, fails := filepath.Join(folder, "nginx"), filepath.Join(folder, "fails")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *-t*) rmdir %q 2>/dev/null && kill -9 $$;; esac\nexec %q \"$@\"\n", fails, nginxProgram(t))
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	old, renewed := newAuthority(t, "CA").issue(t, "old"), newAuthority(t, "CA").issue(t, "renewed")
	s := startLocal(t, anonymous, served(t, old), "NGINX_PROGRAM="+wrapper)
	s.wantServes(t, old)
	if err := os.Mkdir(fails, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range served(t, renewed) {
		s.certificates(name, content)
	}
	s.record(t, "certificate problem", "signal: killed")
	s.wantServes(t, renewed)
}
