package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

//go:embed nginx.conf
var nginxConf string

// Names in RUN_FOLDER.
const (
	currentName = "current"    // a link to the generation that is served
	socketName  = "nginx.sock" // where nginx answers certsync
	unusedName  = "unused"     // folders that nginx wants at its start
)

// setting is what nginx is to serve.
type setting struct {
	pair  pair
	trust trust
}

// same says whether nginx would behave the same.
func (s setting) same(other setting) bool {
	return s.pair.certificate == other.pair.certificate && s.pair.key == other.pair.key &&
		s.trust.certificates == other.trust.certificates && s.trust.crl == other.trust.crl
}

// refusing says that clients must have a certificate, and that none can be verified.
func (c settings) refusing(s setting) bool {
	return c.AuthMode == clientAuth && s.trust.certificates == ""
}

// render returns the files of one generation: nginx.conf, what it includes, and the certificates.
func (c settings) render(s setting, generation int, version nginxVersion) map[string]string {
	files := map[string]string{
		"nginx.conf":          nginxConf,
		"processes.conf":      fmt.Sprintf("worker_processes %d;\nworker_rlimit_nofile %d;\n", runtime.GOMAXPROCS(0), openFiles()), // Go knows the limits of the container
		"connections.conf":    fmt.Sprintf("worker_connections %d;\n", openFiles()/2),                                              // a request has two
		"app.conf":            fmt.Sprintf("server %s;\n", c.AppAddress),
		"listen.conf":         c.listenConf(version),
		"clientauth.conf":     c.clientAuthConf(s),
		"allowedclients.conf": allowedClientsConf(c.AllowedClients),
		"limits.conf":         c.limitsConf(),
		"generation.conf":     fmt.Sprintf("listen unix:%s;\nreturn 200 %d;\n", filepath.Join(c.RunFolder, socketName), generation),
		certificateFile:       s.pair.certificate,
		keyFile:               s.pair.key,
	}
	if s.trust.certificates != "" {
		files[truststoreFile] = s.trust.certificates
	}
	if s.trust.crl != "" {
		files[crlFile] = s.trust.crl
	}
	return files
}

// openFiles is how many files a worker may have open: 8192, or the hard limit of the
// container where it is lower, which nginx could not raise.
func openFiles() uint64 {
	const enough = 8192
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return enough
	}
	return min(limit.Max, enough)
}

// listenConf: the keepalive finds clients that are gone without a word, and keeps
// firewalls from forgetting a connection that waits for its answer.
func (c settings) listenConf(version nginxVersion) string {
	address := strings.TrimPrefix(c.TLSAddress, ":") // nginx wants the port alone
	if version.hasHTTP2Directive() {
		return fmt.Sprintf("listen %s ssl so_keepalive=60s:15s:4;\nhttp2 on;\n", address)
	}
	return fmt.Sprintf("listen %s ssl http2 so_keepalive=60s:15s:4;\n", address)
}

func (c settings) clientAuthConf(s setting) string {
	if c.AuthMode == anonymous {
		return "ssl_verify_client off;\n"
	}
	if c.refusing(s) {
		return `ssl_verify_client off;
add_header Retry-After 60 always;
return 503 '{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"client certificates cannot be verified at the moment, and nobody is let in without; the log of the service says why","retry":true}';
`
	}
	conf := "ssl_verify_client on;\nssl_verify_depth 3;\nssl_client_certificate " + truststoreFile + ";\n"
	if s.trust.crl != "" {
		conf += "ssl_crl " + crlFile + ";\n"
	}
	return conf
}

// allowedClientsConf is the inside of a map from $ssl_client_s_dn: 1 for a client that
// may store. Expressions, because the plain strings of a map match without regard
// to case.
func allowedClientsConf(subjects []string) string {
	if len(subjects) == 0 {
		return "default 1;\n"
	}
	conf := "default 0;\n"
	for _, dn := range subjects {
		conf += `"~^` + literalExpression(dn) + `$" 1;` + "\n"
	}
	return conf
}

// literalExpression matches dn as nginx writes it: OpenSSL escapes what is not ASCII
// as \C3\BC. All but letters and digits is written in hexadecimal, so that neither
// nginx nor PCRE finds a meaning in it.
func literalExpression(dn string) string {
	var b strings.Builder
	for _, c := range []byte(dn) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case c >= 0x80:
			fmt.Fprintf(&b, `\x5C%02X`, c)
		default:
			fmt.Fprintf(&b, `\x%02X`, c)
		}
	}
	return b.String()
}

func (c settings) limitsConf() string {
	conf := "client_max_body_size " + c.ClientMaxBodySize + ";\n"
	if c.ConnectionsPerAddress > 0 {
		conf += "limit_conn address " + strconv.Itoa(c.ConnectionsPerAddress) + ";\n"
	}
	return conf
}

// generationFolder is where the files of a generation lie.
func (c settings) generationFolder(generation int) string {
	return filepath.Join(c.RunFolder, generationName(generation))
}

func generationName(generation int) string { return "generation-" + strconv.Itoa(generation) }

// writeGeneration writes the files, which only this user may read.
func (c settings) writeGeneration(s setting, generation int, version nginxVersion) error {
	folder := c.generationFolder(generation)
	if err := os.RemoveAll(folder); err != nil { // of an earlier process
		return fmt.Errorf("remove an old generation: %w", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of a generation: %w", err)
	}
	for name, content := range c.render(s, generation, version) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write a generation: %w", err)
		}
	}
	return nil
}

// switchTo makes the generation the one that nginx reads at its start and at a
// reload. The link changes at once: nginx never sees half of it.
func (c settings) switchTo(generation int) error {
	link := filepath.Join(c.RunFolder, currentName)
	next := link + ".next"
	if err := os.Remove(next); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("switch generations: %w", err)
	}
	if err := os.Symlink(generationName(generation), next); err != nil {
		return fmt.Errorf("switch generations: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return fmt.Errorf("switch generations: %w", err)
	}
	return nil
}

// prepareRunFolder empties RUN_FOLDER of what an earlier process has left.
func (c settings) prepareRunFolder() error {
	remedy := fmt.Sprintf("mount a writable folder there that user %d owns: a tmpfs, or an empty volume", os.Getuid())
	if err := os.MkdirAll(filepath.Join(c.RunFolder, unusedName), 0o700); err != nil {
		return problem{c.RunFolder, "RUN_FOLDER cannot be written to: " + err.Error(), remedy}
	}
	old, err := filepath.Glob(filepath.Join(c.RunFolder, "generation-*"))
	if err != nil {
		return fmt.Errorf("RUN_FOLDER: %w", err)
	}
	for _, path := range append(old, filepath.Join(c.RunFolder, socketName), filepath.Join(c.RunFolder, currentName)) {
		if err := os.RemoveAll(path); err != nil {
			return problem{c.RunFolder, "RUN_FOLDER cannot be written to: " + err.Error(), remedy}
		}
	}
	return nil
}
