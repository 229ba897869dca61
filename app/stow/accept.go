package stow

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

// mediaTypeDICOM is that of a PS3.10 file; a Store request may carry it, or
// metadata as storeresponse.MediaTypeJSON or storeresponse.MediaTypeXML (PS3.18 Table 10.5.4-1).
const mediaTypeDICOM = "application/dicom"

// framing is how the instances are laid out in the body.
type framing struct {
	payload  string // mediaTypeDICOM, or that of the metadata; empty: the first part tells
	boundary string // of multipart/related; empty: the body is one part
}

// acceptContent is step 1 for Content-Type (PS3.18 Table 10.5.4-1) and Content-Encoding.
func acceptContent(header http.Header) (framing, error) {
	var f framing
	// A body is stored while it arrives, and a coding can only be checked at its end: damaged bytes would be stored before the check fails.
	if encoding := strings.Join(header.Values("Content-Encoding"), ","); !isIdentity(encoding) {
		return framing{}, refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q is not supported; send the body as it is, without Content-Encoding or with identity", storeresponse.Printable(encoding))
	}
	if err := acceptWhole(header); err != nil {
		return framing{}, err
	}
	value := header.Get("Content-Type")
	m := related.ParseMediaType(value)
	switch m.Name {
	case mediaTypeDICOM, storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML:
		f.payload = m.Name
		return f, nil
	case "multipart/related":
	default:
		return framing{}, unsupported(value)
	}
	switch f.payload = related.ParseMediaType(m.Params["type"]).Name; f.payload {
	case "", mediaTypeDICOM, storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML:
	default:
		return framing{}, unsupported(value)
	}
	boundary := strings.TrimRight(m.Params["boundary"], " ")
	switch {
	case boundary == "":
		return framing{}, refuse(http.StatusBadRequest, "Content-Type %q names no boundary", storeresponse.Printable(value))
	case len(boundary) > related.MaxBoundaryBytes:
		return framing{}, refuse(http.StatusBadRequest, "the boundary has %d characters, at most %d are accepted", len(boundary), related.MaxBoundaryBytes)
	}
	f.boundary = boundary
	return f, nil
}

// acceptWhole refuses a piece of a body, as clients send it that can resume uploads: it could look like an instance that ends there (RFC 9110 §14.5).
func acceptWhole(header http.Header) error {
	if value := header.Get("Content-Range"); value != "" {
		return refuse(http.StatusBadRequest, "Content-Range %q says that the body is a piece of what is to be stored; send it as a whole, without Content-Range", storeresponse.Printable(value))
	}
	return nil
}

func isIdentity(encoding string) bool {
	encoding = strings.TrimSpace(encoding)
	return encoding == "" || strings.EqualFold(encoding, "identity")
}

func unsupported(contentType string) error {
	return refuse(http.StatusUnsupportedMediaType,
		`Content-Type %q is not supported; send multipart/related; boundary=…; type="application/dicom", type="application/dicom+json" `+
			`or type="application/dicom+xml" (metadata and bulkdata), or one of these as the whole body`, storeresponse.Printable(contentType))
}

// hostSyntax is a name or an IPv4 address, or an IPv6 address in brackets, with or without a port (RFC 3986 §3.2.2).
var hostSyntax = regexp.MustCompile(`^([A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?$`)

// ValidHost says whether a host, with or without a port, is valid.
func ValidHost(host string) bool { return hostSyntax.MatchString(host) }

// acceptHost is step 1 for Host (RFC 9112 §3.2). HTTP/1.0 may leave it out.
func acceptHost(r *http.Request) error {
	if r.Host != "" && !ValidHost(r.Host) {
		return refuse(http.StatusBadRequest, "the Host header is not the name or the address of a host")
	}
	return nil
}

// acceptStudy is step 1 for {study} of the URL; empty means POST /studies.
func acceptStudy(study string) error {
	if study != "" && !dicom.ValidUID(study) {
		return refuse(http.StatusBadRequest, "the study in the URL is not a UID: digits and dots, 64 characters at most (PS3.5 §9.1)")
	}
	return nil
}

// acceptResponse chooses the media type of the answer (PS3.18 §8.7.8.1): the
// accept query parameter, then the Accept header by q, JSON for a wildcard.
// All other requests get JSON too, because real clients send no Accept, or that of a
// retrieve request; if strict, they are refused with 406, as the standard requires.
func acceptResponse(r *http.Request, strict bool) (string, error) {
	query := plusSigns.Replace(r.URL.Query().Get("accept"))
	for _, list := range []string{query, strings.Join(r.Header.Values("Accept"), ",")} {
		if chosen := choose(list, strict); chosen != "" {
			return chosen, nil
		}
	}
	if strict {
		return "", refuse(http.StatusNotAcceptable, "none of the Accept types can be given; available: %s, %s", storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML)
	}
	return storeresponse.MediaTypeJSON, nil
}

// plusSigns restores unescaped plus signs of a query, which were read as spaces.
var plusSigns = strings.NewReplacer("dicom json", storeresponse.MediaTypeJSON[len("application/"):], "dicom xml", storeresponse.MediaTypeXML[len("application/"):])

// choose returns the offer with the highest q; the q of an offer is that of the media range
// that matches it most closely (RFC 9110 §12.5.1). If several have the same q, the closest
// match wins, then the one that is named first, then JSON. Empty: none is acceptable.
func choose(list string, strict bool) string {
	type preference struct {
		closeness, order int
		q                float64
	}
	offers := []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML}
	preferences := make([]preference, len(offers))
	for order, element := range related.SplitUnquoted(list, ',') {
		m := related.ParseMediaType(element)
		q, err := strconv.ParseFloat(m.Params["q"], 64)
		if err != nil {
			q = 1
		}
		for i, offer := range offers {
			if c := closeness(m.Name, offer, strict); c > preferences[i].closeness {
				preferences[i] = preference{c, order, q}
			}
		}
	}
	best := 0
	for i, p := range preferences[1:] {
		if cmp.Or(cmp.Compare(p.q, preferences[best].q), cmp.Compare(p.closeness, preferences[best].closeness), cmp.Compare(preferences[best].order, p.order)) > 0 {
			best = i + 1
		}
	}
	if preferences[best].q <= 0 {
		return ""
	}
	return offers[best]
}

// closeness says how closely a media range matches an offer; 0: not at all.
func closeness(name, offer string, strict bool) int {
	short := strings.Replace(offer, "dicom+", "", 1)
	switch {
	case name == offer:
		return 4
	case !strict && (name == short || name == strings.Replace(short, "application/xml", "text/xml", 1)):
		return 3
	case name == "application/*":
		return 2
	case name == "*/*":
		return 1
	}
	return 0
}

// Refusal ends a request before any instance is read: the client gets the
// status and the detail, which contains no patient data and no details of AWS.
type Refusal struct {
	StatusCode int
	Detail     string
}

func (r *Refusal) Error() string { return r.Detail }

func refuse(statusCode int, format string, args ...any) error {
	return &Refusal{StatusCode: statusCode, Detail: fmt.Sprintf(format, args...)}
}
