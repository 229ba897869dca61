package stow

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"stowrs-to-s3/app/dicom"
)

// maxBoundaryBytes: RFC 2046 §5.1.1 allows 70, Orthanc's client sends 73.
const maxBoundaryBytes = 256

// mediaType is a media type with its parameters; names are in lower case.
type mediaType struct {
	name   string
	params map[string]string
}

// parseMediaType reads a Content-Type, or one element of an Accept header. It
// takes what clients send and mime.ParseMediaType does not: values without
// quotes that hold "/", ":", "=" or "?" (PS3.18 §8.7.1 knows of both).
func parseMediaType(s string) mediaType {
	fields := splitUnquoted(s, ';')
	m := mediaType{name: strings.ToLower(strings.TrimSpace(fields[0])), params: map[string]string{}}
	for _, field := range fields[1:] {
		name, value, found := strings.Cut(field, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := m.params[name]; found && !twice {
			m.params[name] = unquote(strings.TrimSpace(value))
		}
	}
	return m
}

// splitUnquoted splits s at separators outside of quoted strings.
func splitUnquoted(s string, separator byte) []string {
	var fields []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == separator:
			fields = append(fields, s[from:i])
			from = i + 1
		}
	}
	return append(fields, s[from:])
}

// unquote takes a quoted-string of RFC 9110 §5.6.4 apart; anything else it leaves as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mediaTypeDICOM is that of a PS3.10 file; a Store request may carry it, or
// metadata as MediaTypeJSON or MediaTypeXML (PS3.18 Table 10.5.4-1).
const mediaTypeDICOM = "application/dicom"

// framing is how the instances are laid out in the body.
type framing struct {
	payload  string // mediaTypeDICOM, or that of the metadata; empty: the first part tells
	boundary string // of multipart/related; empty: the body is one part
	gzip     bool   // the body is compressed
}

// acceptContent is step 1 for Content-Type (PS3.18 Table 10.5.4-1) and Content-Encoding.
func acceptContent(header http.Header) (framing, error) {
	var f framing
	switch encoding := strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip": // RFC 9110 §8.4.1.3: equivalent
		f.gzip = true
	default:
		return framing{}, refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q is not supported; send the body as it is, or gzip", encoding)
	}
	value := header.Get("Content-Type")
	m := parseMediaType(value)
	switch m.name {
	case mediaTypeDICOM, MediaTypeJSON, MediaTypeXML:
		f.payload = m.name
		return f, nil
	case "multipart/related":
	default:
		return framing{}, unsupported(value)
	}
	switch f.payload = parseMediaType(m.params["type"]).name; f.payload {
	case "", mediaTypeDICOM, MediaTypeJSON, MediaTypeXML:
	default:
		return framing{}, unsupported(value)
	}
	boundary := strings.TrimRight(m.params["boundary"], " ")
	switch {
	case boundary == "":
		return framing{}, refuse(http.StatusBadRequest, "Content-Type %q names no boundary", value)
	case len(boundary) > maxBoundaryBytes:
		return framing{}, refuse(http.StatusBadRequest, "the boundary has %d characters, at most %d are accepted", len(boundary), maxBoundaryBytes)
	}
	f.boundary = boundary
	return f, nil
}

func unsupported(contentType string) error {
	return refuse(http.StatusUnsupportedMediaType,
		`Content-Type %q is not supported; send multipart/related; boundary=…; type="application/dicom", type="application/dicom+json" `+
			`or type="application/dicom+xml" (metadata and bulkdata), or one of these as the whole body`, contentType)
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
// What is left is JSON too, since real clients send none or the one of a
// retrieve request; if strict, it is refused with 406 as the standard has it.
func acceptResponse(r *http.Request, strict bool) (string, error) {
	for _, list := range []string{r.URL.Query().Get("accept"), strings.Join(r.Header.Values("Accept"), ",")} {
		if chosen := choose(list, strict); chosen != "" {
			return chosen, nil
		}
	}
	if strict {
		return "", refuse(http.StatusNotAcceptable, "none of the Accept types can be given; available: %s, %s", MediaTypeJSON, MediaTypeXML)
	}
	return MediaTypeJSON, nil
}

func choose(list string, strict bool) string {
	best, bestQ, wildcard := "", 0.0, false
	for _, element := range splitUnquoted(list, ',') {
		m := parseMediaType(element)
		q := 1.0
		if value, found := m.params["q"]; found {
			if parsed, err := strconv.ParseFloat(value, 64); err == nil {
				q = parsed
			}
		}
		offer := ""
		switch m.name {
		case MediaTypeJSON:
			offer = MediaTypeJSON
		case MediaTypeXML:
			offer = MediaTypeXML
		case "application/json":
			if !strict {
				offer = MediaTypeJSON
			}
		case "application/xml", "text/xml":
			if !strict {
				offer = MediaTypeXML
			}
		case "*/*", "application/*":
			wildcard = wildcard || q > 0
		}
		if offer != "" && q > bestQ {
			best, bestQ = offer, q
		}
	}
	if best == "" && wildcard {
		return MediaTypeJSON
	}
	return best
}

// Refusal ends a request before any instance is read: the client gets the
// status and the detail, which names no patient and nothing of AWS.
type Refusal struct {
	StatusCode int
	Detail     string
}

func (r *Refusal) Error() string { return r.Detail }

func refuse(statusCode int, format string, args ...any) error {
	return &Refusal{StatusCode: statusCode, Detail: fmt.Sprintf(format, args...)}
}
