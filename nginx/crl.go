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
// checkTruststore: one of every key of a CA, up to the root, as nginx wants them, and those of CAs that only clients show. An
// expired one refuses all clients of its CA, which is a problem beside a usable
// file; but it does not replace a list that is still valid. newest are the lists that were in use, by keyName. Trust never
// grows by an older one: it would let in again who was revoked since (RFC 5280 §5.2.3).
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
			problems = append(problems, notYet(list)) // beside one that is valid; alone it is an error below
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
		_ = pem.Encode(&encoded, &pem.Block{Type: "X509 CRL", Bytes: c.list.Raw}) // a buffer takes all
	}
	t.crl = encoded.String()
	return t, problems, nil
}

// choice is the list of a key that signs lists.
type choice struct {
	key    string // keyName: of a CA that is not in the store, with the identifier of its key
	list   *x509.RevocationList
	ofRoot bool
}

// choose finds the list of every key of the store, and then the newest of each other.
func (t trust) choose(lists []*x509.RevocationList, now time.Time) ([]choice, error) {
	var chosen []choice
	known := map[string]bool{}
	for _, c := range t.parsed {
		key := keyName(c.RawSubject, c.RawSubjectPublicKeyInfo)
		if !c.IsCA && !selfIssued(c) || known[key] {
			continue // a client's, below one of the CAs; a certificate of a key that had one before
		}
		list, err := listOf(c, lists, now)
		if err != nil {
			return nil, err
		}
		known[key] = true
		chosen = append(chosen, choice{key, list, selfIssued(c)})
	}
	others := map[string]int{} // where they are in chosen
	for _, list := range lists {
		if slices.ContainsFunc(t.parsed, func(c *x509.Certificate) bool { return sameName(c.RawSubject, list.RawIssuer) }) {
			continue // chosen, older than that, or of a key that nobody has any more
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

// check says why a list may not be used beside the newest that was, which may be nil. late is a problem beside a list that may.
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

// better tells whether a list counts rather than another one of the same key: one that is valid now, or else the newer.
func better(list, other *x509.RevocationList, now time.Time) bool {
	valid := func(l *x509.RevocationList) bool { return !l.ThisUpdate.After(now) && !overdue(l, now) }
	return valid(list) && !valid(other) || valid(list) == valid(other) && older(other, list)
}

// older tells whether a list was made before another one of the same key.
func older(list, other *x509.RevocationList) bool {
	return list.ThisUpdate.Before(other.ThisUpdate) || other.Number != nil && (list.Number == nil || list.Number.Cmp(other.Number) < 0)
}

// overdue tells whether the next list is due.
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

// unread says why OpenSSL would not take a list for what it has to check; empty: it does. nginx has it check each certificate up to the
// root, so that the root's list is asked for a certificate of a CA that names no distribution point (RFC 5280 §5.2, §5.2.5).
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

// partial says why a list does not have all that a CA has revoked; empty: it has (RFC 5280 §5.2.4, §5.2.5). OpenSSL goes by what its
// entries say, whether or not the list says that it has such: one may be of another CA, or let a certificate in again (§5.3.1, §5.3.3).
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

// listOf finds the list that a CA's key has signed: of several, the newest that is valid now.
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
