package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Timeouts that suit uploads: each bounds one silence, none the whole request.
const (
	dialTimeout         = 15 * time.Second
	tlsHandshakeTimeout = 15 * time.Second
	// responseTimeout runs from the last byte of the request; the service may then still
	// be writing to its storage, or honour a RESPONSEDELAY.
	responseTimeout = 10 * time.Minute
	// writeTimeout is how long the service may take nothing of a body. While its memory is in use it waits for its storage.
	writeTimeout = 10 * time.Minute
	// continueTimeout is how long a refusal is waited for before the body is sent
	// (RFC 9110 §10.1.1). Servers that ignore the expectation cost as much per request.
	continueTimeout = 2 * time.Second
)

// newHTTPClient has one connection for each parallel request, over HTTP/1.1: parallel
// bodies must not share the flow control of one HTTP/2 connection.
func newHTTPClient(o Options) (*http.Client, error) {
	config, err := tlsConfig(o)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dial(writeTimeout),
			TLSClientConfig:       config,
			TLSHandshakeTimeout:   tlsHandshakeTimeout,
			ResponseHeaderTimeout: responseTimeout,
			ExpectContinueTimeout: continueTimeout,
			MaxIdleConnsPerHost:   o.Parallel,
			IdleConnTimeout:       30 * time.Second,
			DisableCompression:    true, // --response shows the body as the server sent it
			WriteBufferSize:       64 << 10,
		},
		// A redirected POST would become a GET, or need the body again (RFC 9110 §15.4).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dial opens connections that end when nothing of a write is taken for the time silence.
func dial(silence time.Duration) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatient{connection, silence}, nil
	}
}

// impatient is a connection whose writes must get on.
type impatient struct {
	net.Conn
	silence time.Duration
}

// Write implements io.Writer. net/http and crypto/tls write some 64 KiB at a time.
func (c *impatient) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.silence)) // one that is closed says so itself
	return c.Conn.Write(p)
}

func tlsConfig(o Options) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // the user asked for it by --insecure
	}
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert: no certificate in PEM in %s", o.CACert)
		}
	}
	if o.Cert != "" {
		key := o.Key
		if key == "" {
			key = o.Cert
		}
		certificate, err := tls.LoadX509KeyPair(o.Cert, key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}
