package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// settings are the environment of certsync. The AWS SDK reads AWS_* itself.
type settings struct {
	AuthMode string `env:"AUTH_MODE"` // anonymous or clientauth; required
	CertMode string `env:"CERT_MODE"` // ACM, FROMS3 or LOCAL; required

	CertBucketName string        `env:"CERT_BUCKETNAME"`                     // for FROMS3
	CertFolder     string        `env:"CERT_FOLDER"     envDefault:"/certs"` // for LOCAL
	CertRefresh    time.Duration `env:"CERT_REFRESH"    envDefault:"60s"`    // between two looks at the files; 1 s to 24 h

	// AllowedClients narrows the clients that truststore.crt verifies; see parseClients. Empty: all of them.
	AllowedClients        string        `env:"ALLOWED_CLIENTS"`
	CRL                   string        `env:"CRL"                     envDefault:"optional"` // required: without revocation lists, nobody is allowed
	ClientOCSP            string        `env:"CLIENT_OCSP"             envDefault:"off"`      // on: the CA is asked for the status of each client's certificate
	OCSPStapling          string        `env:"OCSP_STAPLING"           envDefault:"off"`      // on: handshakes contain the CA's statement about the server's certificate
	Resolver              string        `env:"RESOLVER"`                                      // DNS servers for OCSP; empty: those of /etc/resolv.conf
	ClientMaxBodySize     string        `env:"CLIENT_MAX_BODY_SIZE"    envDefault:"0"`        // in bytes, or with k, m, g; 0: no limit
	ConnectionsPerAddress int           `env:"CONNECTIONS_PER_ADDRESS" envDefault:"0"`        // concurrent requests of one client address; 0: no limit
	WorkerShutdownTimeout time.Duration `env:"WORKER_SHUTDOWN_TIMEOUT" envDefault:"1h"`       // for requests that began before certificates changed
	StopTimeout           time.Duration `env:"STOP_TIMEOUT"            envDefault:"119s"`     // for requests in flight at a stop
	ProxyProtocol         string        `env:"PROXY_PROTOCOL"          envDefault:"off"`      // on: each connection must begin with a PROXY header

	TLSAddress      string `env:"TLS_ADDRESS"       envDefault:":8443"`          // STOW-RS over TLS
	HealthAddress   string `env:"HEALTH_ADDRESS"    envDefault:"127.0.0.1:8081"` // health and metrics
	AppAddress      string `env:"APP_ADDRESS"       envDefault:"127.0.0.1:8080"` // LISTENADDRESS of the app
	AppAdminAddress string `env:"APP_ADMIN_ADDRESS" envDefault:"127.0.0.1:9090"` // ADMINADDRESS of the app

	RunFolder string `env:"RUN_FOLDER" envDefault:"/run/certsync"` // the only folder that certsync writes to
	Nginx     string `env:"NGINX_PROGRAM" envDefault:"nginx"`      // the program
}

// maxRunFolder leaves room for the name of the socket in a socket address (unix(7): 108 bytes).
const maxRunFolder = 90

// loadSettings reads the environment, a map of names to values, and validates it.
// The error joins all violations.
func loadSettings(environment map[string]string) (settings, error) {
	clean := make(map[string]string, len(environment))
	for name, value := range environment {
		if value = strings.TrimSpace(value); value != "" { // an empty variable means the default
			clean[name] = value
		}
	}
	var c settings
	if err := env.ParseWithOptions(&c, env.Options{Environment: clean}); err != nil {
		return c, readable(err, clean)
	}
	violations := append(c.validateModes(), c.validateRest()...)
	if old := clean["ALLOWED_CLIENT_DNS"]; old != "" {
		violations = append(violations, fmt.Errorf("ALLOWED_CLIENT_DNS=%q: the variable is ALLOWED_CLIENTS now, with the same subjects", old))
	}
	return c, errors.Join(violations...)
}

// readable names the variables in an error of the env library, which knows only the fields.
func readable(err error, environment map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var violations []error
	for _, err := range all.Errors {
		var parse env.ParseError
		if errors.As(err, &parse) {
			field, _ := reflect.TypeFor[settings]().FieldByName(parse.Name)
			variable := field.Tag.Get("env")
			err = fmt.Errorf("%s=%q: must be like its default, %s", variable, environment[variable], field.Tag.Get("envDefault"))
		}
		violations = append(violations, err)
	}
	return errors.Join(violations...)
}

// isBodySize checks the syntax of a size, and that nginx can represent it in a signed 64-bit integer.
func isBodySize(s string) bool {
	digits := strings.TrimRight(strings.ToLower(s), "kmg")
	unit := map[string]int64{"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 63)
	return err == nil && unit > 0 && n <= math.MaxInt64/uint64(unit)
}

func (c settings) validateRest() []error {
	var violations []error
	rule := func(ok bool, variable string, value any, text string) {
		if !ok {
			violations = append(violations, fmt.Errorf("%s=%q: %s", variable, fmt.Sprint(value), text))
		}
	}
	rule(!strings.Contains(c.CertBucketName, "/"), "CERT_BUCKETNAME", c.CertBucketName, "must be the name of a bucket alone; the files lie at its root")
	rule(c.CertRefresh >= time.Second && c.CertRefresh <= 24*time.Hour, "CERT_REFRESH", c.CertRefresh, "must be a second or more, such as 60s, and a day at most")
	if _, err := parseClients(c.AllowedClients); err != nil {
		violations = append(violations, fmt.Errorf("ALLOWED_CLIENTS=%q: %w", c.AllowedClients, err))
	}
	for address := range strings.FieldsSeq(c.Resolver) {
		rule(resolvers([]string{address}) != "", "RESOLVER", c.Resolver, "must be addresses of DNS servers without a zone, separated by spaces, such as 192.0.2.53 2001:db8::53")
	}
	rule(c.WorkerShutdownTimeout >= time.Second, "WORKER_SHUTDOWN_TIMEOUT", c.WorkerShutdownTimeout, "must be a second or more, such as 1h")
	rule(c.StopTimeout >= time.Second, "STOP_TIMEOUT", c.StopTimeout, "must be a second or more, such as 119s")
	rule(isBodySize(c.ClientMaxBodySize), "CLIENT_MAX_BODY_SIZE", c.ClientMaxBodySize, "must be a number of bytes, or one with k, m or g, such as 500m, below 8 EiB; 0: no limit")
	rule(c.ConnectionsPerAddress >= 0 && c.ConnectionsPerAddress <= 65535, "CONNECTIONS_PER_ADDRESS", c.ConnectionsPerAddress, "must lie between 0, no limit, and 65535")
	for _, address := range []struct{ variable, value string }{
		{"TLS_ADDRESS", c.TLSAddress}, {"HEALTH_ADDRESS", c.HealthAddress}, {"APP_ADDRESS", c.AppAddress}, {"APP_ADMIN_ADDRESS", c.AppAdminAddress},
	} {
		rule(isAddress(address.value), address.variable, address.value, "must be [host]:port, such as :8443 or 127.0.0.1:8080")
	}
	rule(!strings.HasPrefix(c.AppAddress, ":"), "APP_ADDRESS", c.AppAddress, "must be host:port, where nginx reaches the service, such as 127.0.0.1:8080")
	rule(filepath.IsAbs(c.RunFolder) && len(c.RunFolder) <= maxRunFolder && !strings.ContainsAny(c.RunFolder, " \t\n;{}\"'\\$*?["), "RUN_FOLDER", c.RunFolder,
		fmt.Sprintf("must be an absolute path of at most %d bytes, without spaces and ; { } \" ' \\ $ * ? [", maxRunFolder))
	return violations
}

// isAddress checks a host and port. nginx gets the address as well, so only characters of names and numbers are allowed, and not the prefix unix, which
// would be the path of a socket.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "unix" || strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-.:", r)
	}) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
