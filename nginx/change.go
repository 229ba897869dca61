package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// record logs a change of the files in use for an auditor: the files and their hashes, their source, and the CAs that
// issue client certificates.
func (k *keeper) record(ctx context.Context, before setting, files map[string][]byte) {
	attrs := []any{"generation", k.generation, "from", k.source.place()}
	for _, name := range []string{certificateFile, truststoreFile, crlFile} { // not the key, not even its hash
		if content, found := files[name]; found {
			sum := sha256.Sum256(content)
			attrs = append(attrs, name, "sha256:"+hex.EncodeToString(sum[:]))
		}
	}
	k.log.InfoContext(ctx, "certificates in use", append(attrs, "certificate_not_after", k.inUse.pair.notAfter, "self_signed", k.inUse.pair.selfMade,
		"clients_verified", k.inUse.trust.certificates != "", "revocation_lists", k.inUse.trust.crl != "")...)
	if k.inUse.trust.crl != "" && before.trust.crl == "" && k.settings.CRL == crlOptional {
		k.log.WarnContext(ctx, "revocation lists are in use, but not required: whoever starts without them lets in whom they refuse", "remedy", "set CRL=required")
	}
	if k.inUse.trust.certificates == before.trust.certificates {
		return
	}
	for _, c := range k.inUse.trust.parsed {
		k.log.InfoContext(ctx, "trusted", "subject", name(c), "sha256", fingerprint(c), "vouches_for_clients", mayVouch(c), "not_after", c.NotAfter.UTC().Format(time.RFC3339))
		if k.door.allowed.all() && mayVouch(c) && isPublic(c) {
			k.log.WarnContext(ctx, "everybody may get a certificate of this public CA, and then store", "subject", name(c), "remedy", "set ALLOWED_CLIENTS, or trust a CA of your own")
		}
	}
}
