package main

import (
	"fmt"
	"strings"
)

// Values of AUTH_MODE: who may store.
const (
	anonymous  = "anonymous"  // everybody who reaches the port
	clientAuth = "clientauth" // everybody with a client certificate that truststore.crt verifies
)

// Values of CRL: whether crl.pem must exist.
const (
	crlOptional = "optional"
	crlRequired = "required"
)

// Values of PROXY_PROTOCOL, CLIENT_OCSP and OCSP_STAPLING.
const (
	off = "off"
	on  = "on"
)

// Values of CERT_MODE: where the server's certificate comes from.
const (
	modeACM    = "ACM"    // the load balancer has it; here a self-signed one is sufficient
	modeFromS3 = "FROMS3" // files in a bucket
	modeLocal  = "LOCAL"  // files in a folder
)

// validateModes refuses unknown values, and combinations that cannot work. AUTH_MODE and CERT_MODE have
// no default, so that a misspelt variable never gives access.
func (c settings) validateModes() []error {
	var violations []error
	switch c.AuthMode {
	case anonymous, clientAuth:
	case "":
		violations = append(violations, fmt.Errorf("AUTH_MODE is required: %s or %s", anonymous, clientAuth))
	default:
		violations = append(violations, fmt.Errorf("AUTH_MODE=%q: must be %s or %s", c.AuthMode, anonymous, clientAuth))
	}
	modes := []string{modeACM, modeFromS3, modeLocal}
	switch c.CertMode {
	case modeACM, modeFromS3, modeLocal:
	case "":
		violations = append(violations, fmt.Errorf("CERT_MODE is required: one of %s", strings.Join(modes, " ")))
	default:
		violations = append(violations, fmt.Errorf("CERT_MODE=%q: must be one of %s", c.CertMode, strings.Join(modes, " ")))
	}
	if c.AuthMode == clientAuth && c.CertMode == modeACM {
		violations = append(violations, fmt.Errorf("AUTH_MODE=%s cannot work with CERT_MODE=%s: the load balancer ends the client's TLS, and no client certificate gets here; use CERT_MODE=%s or %s",
			clientAuth, modeACM, modeFromS3, modeLocal))
	}
	if c.AuthMode == anonymous && c.AllowedClients != "" {
		violations = append(violations, fmt.Errorf("ALLOWED_CLIENTS needs AUTH_MODE=%s: without client certificates there is no name to compare", clientAuth))
	}
	switch {
	case c.CRL != crlRequired && c.CRL != crlOptional:
		violations = append(violations, fmt.Errorf("CRL=%q: must be %s or %s", c.CRL, crlRequired, crlOptional))
	case c.CRL == crlRequired && c.AuthMode == anonymous:
		violations = append(violations, fmt.Errorf("CRL=%s needs AUTH_MODE=%s: without client certificates there is nothing to revoke", crlRequired, clientAuth))
	}
	for variable, value := range map[string]string{"PROXY_PROTOCOL": c.ProxyProtocol, "CLIENT_OCSP": c.ClientOCSP, "OCSP_STAPLING": c.OCSPStapling} {
		if value != on && value != off {
			violations = append(violations, fmt.Errorf("%s=%q: must be %s or %s", variable, value, on, off))
		}
	}
	if c.AuthMode == anonymous && c.ClientOCSP == on {
		violations = append(violations, fmt.Errorf("CLIENT_OCSP=%s needs AUTH_MODE=%s: without client certificates there is none to ask for", on, clientAuth))
	}
	if c.CertMode == modeFromS3 && c.CertBucketName == "" {
		violations = append(violations, fmt.Errorf("CERT_BUCKETNAME is required with CERT_MODE=%s: the bucket that holds %s and %s", modeFromS3, certificateFile, keyFile))
	}
	return violations
}
