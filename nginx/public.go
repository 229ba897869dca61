package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"sync"
)

// publicBundles are the files in which operating systems keep the public CAs.
var publicBundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}

// isPublic tells whether a certificate is one of the CAs that this system trusts for the web.
func isPublic(c *x509.Certificate) bool { return publicCAs()[string(c.Raw)] }

var publicCAs = sync.OnceValue(func() map[string]bool {
	public := map[string]bool{}
	for _, path := range append([]string{os.Getenv("SSL_CERT_FILE")}, publicBundles...) { // the same variable as in OpenSSL and Go
		content, _ := os.ReadFile(path) //nolint:gosec // a fixed path, or that of the operator; without any file, no CA is known to be public
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			public[string(block.Bytes)] = true
		}
	}
	return public
})
