package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"net/netip"
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
	socketName  = "nginx.sock" // on which nginx answers certsync
	unusedName  = "unused"     // folders that nginx requires at its start
)

// setting is what nginx serves: a server certificate, and the trust for clients.
type setting struct {
	pair  pair
	trust trust
}

// same says whether nginx would behave the same with both settings.
func (s setting) same(other setting) bool {
	return s.pair.certificate == other.pair.certificate && s.pair.key == other.pair.key &&
		s.trust.certificates == other.trust.certificates && s.trust.crl == other.trust.crl
}

// refusing says that clients need a certificate, but none can be verified.
func (c settings) refusing(s setting) bool {
	return c.AuthMode == clientAuth && s.trust.certificates == ""
}

// render returns the files of one generation: nginx.conf, what it includes, and the certificates.
func (c settings) render(s setting, generation int) map[string]string {
	files := map[string]string{
		"nginx.conf":       nginxConf,
		"processes.conf":   fmt.Sprintf("worker_processes %d;\nworker_rlimit_nofile %d;\n", runtime.GOMAXPROCS(0), openFiles()), // GOMAXPROCS follows the CPU limit of the container
		"connections.conf": fmt.Sprintf("worker_connections %d;\n", workerConnections()),                                        // a request has two
		"app.conf":         fmt.Sprintf("server %s;\n", c.AppAddress),
		"door.conf":        fmt.Sprintf("server unix:%s;\n", filepath.Join(c.RunFolder, doorName)),
		"shutdown.conf":    fmt.Sprintf("worker_shutdown_timeout %ds;\n", int64(c.WorkerShutdownTimeout.Seconds())),
		"listen.conf":      c.listenConf(),
		"clientauth.conf":  c.clientAuthConf(s),
		"ocsp.conf":        c.ocspConf(s),
		"limits.conf":      c.limitsConf(),
		"generation.conf":  fmt.Sprintf("listen unix:%s;\nreturn 200 %d;\n", filepath.Join(c.RunFolder, socketName), generation),
		certificateFile:    s.pair.certificate,
		keyFile:            s.pair.key,
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
// container if it is lower, because nginx could not raise it.
func openFiles() uint64 {
	const enough = 8192
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return enough
	}
	return min(limit.Max, enough)
}

// workerConnections is how many connections a worker may have; a request needs two.
func workerConnections() uint64 { return openFiles() / 2 }

// listenConf is the listen directive. The keepalive detects clients that have disappeared, and keeps
// firewalls from dropping a connection that waits for its answer.
func (c settings) listenConf() string {
	address := strings.TrimPrefix(c.TLSAddress, ":") // nginx expects only the port
	if c.ProxyProtocol == on {
		address += " proxy_protocol"
	}
	return fmt.Sprintf("listen %s ssl so_keepalive=60s:15s:4;\n", address)
}

// ocspConf switches OCSP stapling on if the server's certificate names a responder, and sets the DNS servers by which nginx finds responders.
func (c settings) ocspConf(s setting) string {
	var conf strings.Builder
	if c.OCSPStapling == on && s.pair.ocsp {
		conf.WriteString("ssl_stapling on;\n")
	}
	if servers := cmp.Or(resolvers(strings.Fields(c.Resolver)), systemResolvers()); servers != "" {
		conf.WriteString("resolver " + servers + ";\n")
	}
	return conf.String()
}

// resolvers writes the addresses of DNS servers in the syntax of nginx. It leaves out addresses with a zone, which nginx does not support.
func resolvers(addresses []string) string {
	var known []string
	for _, text := range addresses {
		address, err := netip.ParseAddr(text)
		switch {
		case err != nil || address.Zone() != "":
		case address.Is6():
			known = append(known, "["+address.String()+"]")
		default:
			known = append(known, address.String())
		}
	}
	return strings.Join(known, " ")
}

// systemResolvers returns the DNS servers of this machine in the syntax of nginx.
func systemResolvers() string {
	content, _ := os.ReadFile("/etc/resolv.conf") // without it, no name is resolved
	var addresses []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		addresses = append(addresses, fields[1])
	}
	return resolvers(addresses)
}

func (c settings) limitsConf() string {
	conf := "client_max_body_size " + c.ClientMaxBodySize + ";\n"
	if c.ConnectionsPerAddress > 0 {
		conf += "limit_conn address " + strconv.Itoa(c.ConnectionsPerAddress) + ";\n"
	}
	return conf
}

// generationFolder is the folder with the files of a generation.
func (c settings) generationFolder(generation int) string {
	return filepath.Join(c.RunFolder, generationName(generation))
}

func generationName(generation int) string { return "generation-" + strconv.Itoa(generation) }

// writeGeneration writes the files, which only this user may read.
func (c settings) writeGeneration(s setting, generation int) error {
	folder := c.generationFolder(generation)
	if err := os.RemoveAll(folder); err != nil { // from an earlier process
		return fmt.Errorf("remove an old generation: %w", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of a generation: %w", err)
	}
	for name, content := range c.render(s, generation) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write a generation: %w", err)
		}
	}
	return nil
}

// switchTo makes the generation the one that nginx reads at its start and at a
// reload. The link changes atomically.
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

// prepareRunFolder removes from RUN_FOLDER what an earlier process has left. The folder belongs to this process as long as lock is open.
func (c settings) prepareRunFolder() (lock *os.File, err error) {
	remedy := fmt.Sprintf("mount a writable folder there that user %d owns: a tmpfs, or an empty volume", os.Getuid())
	if err := os.MkdirAll(filepath.Join(c.RunFolder, unusedName), 0o700); err != nil {
		return nil, problem{c.RunFolder, "RUN_FOLDER cannot be written to: " + err.Error(), remedy}
	}
	if lock, err = c.writePID(); err != nil { // first of all, so that nothing of a running process is removed
		return nil, problem{c.RunFolder, "RUN_FOLDER cannot be used: " + err.Error(), remedy}
	}
	old, err := filepath.Glob(filepath.Join(c.RunFolder, "generation-*"))
	if err != nil {
		return nil, fmt.Errorf("RUN_FOLDER: %w", err)
	}
	for _, path := range append(old, filepath.Join(c.RunFolder, socketName), filepath.Join(c.RunFolder, doorName), filepath.Join(c.RunFolder, currentName)) {
		if err := os.RemoveAll(path); err != nil {
			return nil, problem{c.RunFolder, "RUN_FOLDER cannot be written to: " + err.Error(), remedy}
		}
	}
	return lock, nil
}
