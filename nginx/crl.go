package main

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// checkCRL adds the revocation lists of crl.pem to a trust that has passed
// checkTruststore: one for each key of a CA, up to the root, because nginx needs all of them, and those of CAs that only clients send. With an
// expired list, all clients of its CA are refused; this is a problem, but the
// file is usable. However, an expired list does not replace one that is still valid. newest contains the lists that were in use, by keyName. An older
// list never replaces them, because it would allow clients again that have been revoked since (RFC 5280 §5.2.3).
func (t trust) checkCRL(content []byte, newest map[string]*x509.RevocationList, now time.Time) (trust, []problem, error) {
	lists, err := parseLists(content)
	if err != nil {
		return trust{}, nil, err
	}
	chosen, err := t.choose(lists, now)
	if err != nil {
		return trust{}, nil, err
	}
	var problems []problem
	for _, list := range lists {
		if list.ThisUpdate.After(now) {
			problems = append(problems, notYet(list)) // if another list of the key is valid; otherwise this is an error below
		}
	}
	var encoded bytes.Buffer
	t.lists = map[string]*x509.RevocationList{}
	for _, c := range chosen {
		late, err := c.check(newest[c.key], now)
		if err != nil {
			return trust{}, nil, err
		}
		if late != nil {
			problems = append(problems, *late)
		}
		if !c.list.NextUpdate.IsZero() && (t.nextUpdate.IsZero() || c.list.NextUpdate.Before(t.nextUpdate)) {
			t.nextUpdate = c.list.NextUpdate
		}
		t.lists[c.key] = c.list
		_ = pem.Encode(&encoded, &pem.Block{Type: "X509 CRL", Bytes: c.list.Raw}) // a write to a buffer never fails
	}
	t.crl = encoded.String()
	return t, problems, nil
}

// choice is the list that was chosen for a key.
type choice struct {
	key    string // keyName; for a CA that is not in the store, with the identifier of its key instead of the key
	list   *x509.RevocationList
	ofRoot bool
}

// choose finds the list of every key of the store, and then the newest list of each other key.
func (t trust) choose(lists []*x509.RevocationList, now time.Time) ([]choice, error) {
	var chosen []choice
	known := map[string]bool{}
	for _, c := range t.parsed {
		key := keyName(c.RawSubject, c.RawSubjectPublicKeyInfo)
		if !c.IsCA && !selfIssued(c) || known[key] {
			continue // a client's certificate below one of the CAs, or a second certificate of the same key
		}
		list, err := listOf(c, lists, now)
		if err != nil {
			return nil, err
		}
		known[key] = true
		chosen = append(chosen, choice{key, list, selfIssued(c)})
	}
	others := map[string]int{} // key → index in chosen
	for _, list := range lists {
		if slices.ContainsFunc(t.parsed, func(c *x509.Certificate) bool { return sameName(c.RawSubject, list.RawIssuer) }) {
			continue // it is chosen already, is older than the chosen one, or is of a key that is no longer in the store
		}
		key := keyName(list.RawIssuer, list.AuthorityKeyId)
		n, found := others[key]
		switch {
		case !found:
			others[key] = len(chosen)
			chosen = append(chosen, choice{key, list, false})
		case better(list, chosen[n].list, now):
			chosen[n].list = list
		}
	}
	for n, c := range chosen {
		for _, other := range chosen[:n] {
			if sameName(c.list.RawIssuer, other.list.RawIssuer) && (len(c.list.AuthorityKeyId) == 0 || len(other.list.AuthorityKeyId) == 0) {
				return nil, problem{crlFile, fmt.Sprintf("%s has lists of two keys, and one of them does not say of which it is: nginx could take it for that of the other, and refuse all clients of that", c.list.Issuer),
					"have the CA make lists with the extension Authority Key Identifier (RFC 5280 §5.2.1)"}
			}
		}
	}
	return chosen, nil
}

// check says why a list may not replace the newest one that was in use (nil: none was). late is a problem of a list that may be used.
func (c choice) check(used *x509.RevocationList, now time.Time) (late *problem, err error) {
	list := c.list
	switch why := unread(list, c.ofRoot); {
	case why != "":
		return nil, problem{crlFile, fmt.Sprintf("the list of %s %s: nginx would refuse all clients of this CA", list.Issuer, why), "have the CA make a complete list, without that extension"}
	case list.ThisUpdate.After(now):
		return nil, notYet(list)
	case used != nil && older(list, used):
		return nil, problem{crlFile, fmt.Sprintf("the list of %s of %s is older than the one in use", list.Issuer, list.ThisUpdate.UTC().Format(time.RFC3339)), "put the CA's current list; to go back to an older one, restart the sidecar"}
	case overdue(list, now):
		late := expiredList(list.Issuer.String(), list.NextUpdate)
		if used != nil && !overdue(used, now) {
			return nil, late
		}
		return &late, nil
	}
	return nil, nil
}

// better tells whether a list is preferred to another one of the same key: a list that is valid now comes first, then the newer one.
func better(list, other *x509.RevocationList, now time.Time) bool {
	valid := func(l *x509.RevocationList) bool { return !l.ThisUpdate.After(now) && !overdue(l, now) }
	return valid(list) && !valid(other) || valid(list) == valid(other) && older(other, list)
}

// older tells whether a list was made before another one of the same key.
func older(list, other *x509.RevocationList) bool {
	return list.ThisUpdate.Before(other.ThisUpdate) || other.Number != nil && (list.Number == nil || list.Number.Cmp(other.Number) < 0)
}

// overdue tells whether the time of the next list has passed.
func overdue(list *x509.RevocationList, now time.Time) bool {
	return !list.NextUpdate.IsZero() && now.After(list.NextUpdate)
}

func notYet(list *x509.RevocationList) problem {
	return problem{crlFile, fmt.Sprintf("the list of %s is not valid before %s", list.Issuer, list.ThisUpdate.UTC().Format(time.RFC3339)), "check the clock of this machine, or put a list that is valid now"}
}

func expiredList(issuer string, at time.Time) problem {
	return problem{crlFile, fmt.Sprintf("the list of %s has expired on %s: all clients of this CA are refused", issuer, at.UTC().Format(time.RFC3339)), "put the CA's current list"}
}

func parseLists(content []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	blocks, err := pemBlocks(crlFile, content)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if block.Type != "X509 CRL" {
			return nil, problem{crlFile, fmt.Sprintf("it has a block %q, which is no revocation list, or one under a name that OpenSSL does not read", block.Type), "put nothing but blocks that begin with -----BEGIN X509 CRL-----"}
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, problem{crlFile, fmt.Sprintf("list %d in it cannot be parsed (%v)", len(lists)+1, err), "export it from the CA again, in PEM"}
		}
		if kind := partial(list); kind != "" {
			return nil, problem{crlFile, fmt.Sprintf("list %d in it, of %s, is %s, by which a revoked client could be let in", len(lists)+1, list.Issuer, kind), "put the CA's complete list"}
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, problem{crlFile, "it has no revocation list in PEM", "put blocks that begin with -----BEGIN X509 CRL-----; from DER: openssl crl -inform der -in crl.der -out crl.pem"}
	}
	return lists, nil
}

// unread says why OpenSSL would not use a list; empty: it does. nginx makes OpenSSL check every certificate of a chain, so the root's list
// must also be valid for CA certificates without a distribution point (RFC 5280 §5.2, §5.2.5).
func unread(list *x509.RevocationList, ofRoot bool) string {
	for _, entry := range list.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			if extension.Critical {
				return "has an entry with the critical extension " + extension.Id.String()
			}
		}
	}
	for _, extension := range list.Extensions {
		switch id := extension.Id.String(); id {
		case "2.5.29.20", "2.5.29.35": // CRLNumber, AuthorityKeyIdentifier
		case "2.5.29.28": // IssuingDistributionPoint, which partial has read
			var fields []asn1.RawValue
			_, _ = asn1.Unmarshal(extension.Value, &fields)
			for _, field := range fields {
				if ofRoot && (field.Tag == 0 || field.Tag == 1 && !bytes.Equal(field.Bytes, []byte{0})) {
					return "is for one distribution point, or for certificates of users, and not for the CA's own"
				}
			}
		default:
			if extension.Critical {
				return "has the critical extension " + id
			}
		}
	}
	return ""
}

// partial says why a list does not contain everything that a CA has revoked; empty: it does (RFC 5280 §5.2.4, §5.2.5). OpenSSL applies the
// entries even if the extensions of the list do not announce them: an entry can be of another CA, or remove a revocation (§5.3.1, §5.3.3).
func partial(list *x509.RevocationList) string {
	const removeFromCRL = 8
	for _, entry := range list.RevokedCertificateEntries {
		if entry.ReasonCode == removeFromCRL {
			return "a delta list, which takes the revocation of serial number " + entry.SerialNumber.Text(16) + " back"
		}
		for _, extension := range entry.Extensions {
			if extension.Id.String() == "2.5.29.29" {
				return "an indirect one, of several CAs"
			}
		}
	}
	for _, extension := range list.Extensions {
		switch extension.Id.String() {
		case "2.5.29.27":
			return "a delta list, which has what changed since another one"
		case "2.5.29.28": // IssuingDistributionPoint
			var fields []asn1.RawValue
			if _, err := asn1.Unmarshal(extension.Value, &fields); err != nil {
				return "one whose scope cannot be read"
			}
			for _, field := range fields {
				if kind := map[int]string{2: "one of CA certificates only", 3: "one of some reasons only", 4: "an indirect one, of several CAs", 5: "one of attribute certificates only"}[field.Tag]; kind != "" && !bytes.Equal(field.Bytes, []byte{0}) {
					return kind
				}
			}
		}
	}
	return ""
}

// listOf finds the list that a CA's key has signed. Of several, it is the one that better prefers.
func listOf(ca *x509.Certificate, lists []*x509.RevocationList, now time.Time) (*x509.RevocationList, error) {
	var newest *x509.RevocationList
	var other error // of a list of the same name
	for _, list := range lists {
		if !sameName(list.RawIssuer, ca.RawSubject) {
			continue
		}
		if err := list.CheckSignatureFrom(ca); err != nil {
			if len(list.AuthorityKeyId) > 0 && bytes.Equal(list.AuthorityKeyId, ca.SubjectKeyId) { // it may be the newest
				return nil, problem{crlFile, fmt.Sprintf("the list of %s of %s is damaged: it names the key of that CA, which has not signed it (%v)", list.Issuer, list.ThisUpdate.UTC().Format(time.RFC3339), err), "put the CA's list again, or take it out"}
			}
			other = problem{crlFile, fmt.Sprintf("the list of %s was not signed by the certificate in %s (%v)", list.Issuer, truststoreFile, err), "put the list that this CA has issued; after a change of its key, append that of each"}
			continue
		}
		if newest == nil || better(list, newest, now) {
			newest = list
		}
	}
	switch {
	case newest != nil:
		return newest, nil
	case other != nil:
		return nil, other
	case !ca.IsCA:
		return nil, problem{crlFile, fmt.Sprintf("%s has the self-signed client certificate %s, for which there can be no list: with revocation lists nginx refuses it", truststoreFile, name(ca)),
			"remove crl.pem and revoke this client by taking it out of " + truststoreFile + ", or issue its certificate by a CA"}
	}
	return nil, problem{crlFile, fmt.Sprintf("the list of %s is missing: nginx would refuse all its clients", name(ca)), "append the list of every CA in " + truststoreFile + ", root included"}
}
