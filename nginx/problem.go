package main

import "fmt"

// Names of the files, in the bucket and in the folder. Do not change them: users have files with these names.
const (
	certificateFile = "certificate.crt" // the server's certificate and the chain behind it
	keyFile         = "certificate.key" // its private key
	truststoreFile  = "truststore.crt"  // CA certificates, or self-signed certificates of clients
	crlFile         = "crl.pem"         // optional: revocation lists of all CAs of truststore.crt
)

// problem says why a file is not used, or only in part.
type problem struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy"` // what the operator can do
}

func (p problem) Error() string { return fmt.Sprintf("%s: %s; %s", p.File, p.Reason, p.Remedy) }
