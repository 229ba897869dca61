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

// Timeouts for uploads: each limits a time without progress, none limits the whole request.
const (
	dialTimeout         = 15 * time.Second
	tlsHandshakeTimeout = 15 * time.Second
	// responseTimeout begins with the last byte of the request; the service may then still
	// be writing to its storage, or wait for RESPONSEDELAY.
	responseTimeout = 10 * time.Minute
	// writeTimeout is how long the service may read nothing of a body. It reads nothing while its memory is full and it waits for its storage.
	writeTimeout = 10 * time.Minute
	// continueTimeout is how long a request waits for a refusal before it sends its body
	// (RFC 9110 §10.1.1). A server that ignores the expectation delays each request by this time.
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
		// A redirected POST would become a GET, or would need the body again (RFC 9110 §15.4).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dial opens connections on which a Write fails after the time silence.
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

// impatient is a connection with a time limit for each Write.
type impatient struct {
	net.Conn
	silence time.Duration
}

// Write implements io.Writer. net/http and crypto/tls write about 64 KiB at a time.
func (c *impatient) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.silence)) // if the connection is closed, Write reports it
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
			return nil, fmt.Errorf("--cacert: no certificate in PEM (-----BEGIN CERTIFICATE-----) in %s", o.CACert)
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
