package compose

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// reference is a URI of bulkdata, with the holes that refer to it.
type reference struct {
	key     string
	holes   []*hole // that may need parts; nil: its instance is finished
	only    *hole   // the only hole so far, while its instance is not finished
	wanting int     // holes that still need parts
	using   int     // holes whose instance is not finished
	failed  bool    // an instance failed that still needed parts: these are dropped
}

// referenceBytes is about the memory of a reference with one hole, besides its URI.
const referenceBytes = 320

// refer makes h wait for its bulkdata.
func (c *Composer) refer(h *hole) error {
	key := c.key(h.URI)
	r := c.references[key]
	if r == nil || r.wanting == 0 && !r.failed { // its bulkdata came before: more will come
		if err := c.take(referenceBytes + textBytes(len(key))); err != nil {
			return err
		}
		r = &reference{key: key, only: h}
		c.references[key] = r
	} else {
		r.only = nil
	}
	h.reference, h.place = r, len(r.holes)
	r.holes = append(r.holes, h)
	r.wanting++
	r.using++
	return nil
}

// takers are the holes that need a part of r, beginning with the one that is being filled.
// Holes that need no more parts are removed, so that a part takes only as much
// time as it has takers.
func (r *reference) takers(drawing *hole) []*hole {
	if r == nil {
		return nil
	}
	var takers []*hole
	left := r.holes[:0]
	for _, h := range r.holes {
		if h == nil || h.full {
			continue
		}
		h.place = len(left)
		if left = append(left, h); h.instance.err != nil || h.instance.readErr != nil {
			continue
		}
		if takers = append(takers, h); h == drawing {
			last := len(takers) - 1
			takers[0], takers[last] = takers[last], takers[0]
		}
	}
	clear(r.holes[len(left):])
	r.holes = left
	return takers
}

// leave is called at the end of h: it needs no more parts.
func (c *Composer) leave(h *hole) {
	r := h.reference
	if r == nil { // there was no memory for it
		return
	}
	if r.only = nil; !h.full {
		r.wanting--
		r.failed = true
		r.holes[h.place] = nil
	}
	if r.using--; r.using > 0 {
		return
	}
	r.holes = nil
	if r.failed { // parts that still come for it must be recognised
		return
	}
	if c.references[r.key] == r {
		delete(c.references, r.key)
	}
	c.free(referenceBytes + textBytes(len(r.key)))
}

// framePath ends the Content-Location of a frame (PS3.18 §10.1.4).
var framePath = regexp.MustCompile(`/frames/([0-9]{1,10})/?$`)

// find returns the reference of location, and the frame, 0 if it names none.
func (c *Composer) find(location string) (*reference, int) {
	if r := c.references[c.key(location)]; r != nil {
		return r, 0
	}
	at := framePath.FindStringSubmatchIndex(location)
	if at == nil {
		return nil, 0
	}
	frame, err := strconv.Atoi(location[at[2]:at[3]])
	if err != nil || frame == 0 {
		frame = -1 // not a frame
	}
	return c.references[c.key(location[:at[0]])], frame
}

// key is uri in the form for comparison: absolute, relative to the request (RFC 3986 §5), and
// normalised (§6.2.2, §6.2.3). On the host of the request, http and https are the
// same: a proxy in front may not say which of them the client uses.
func (c *Composer) key(uri string) string {
	uri = normaliseEscapes(strings.TrimSpace(uri))
	base := c.request.Base
	if base == nil {
		base = &url.URL{}
	}
	u, err := base.Parse(uri)
	if err != nil || u.Opaque != "" {
		return uri
	}
	u.Host = host(u)
	if u.Host != "" && u.Path == "" {
		u.Path = "/"
	}
	if isHTTP(u) && isHTTP(base) && u.Host == host(base) {
		u.Scheme = base.Scheme
	}
	return u.String()
}

func isHTTP(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

// host is the host in lower case, without the default port of the scheme.
func host(u *url.URL) string {
	h := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		h = strings.TrimSuffix(h, ":80")
	case "https":
		h = strings.TrimSuffix(h, ":443")
	}
	return strings.TrimSuffix(h, ":")
}

// normaliseEscapes decodes escapes of unreserved characters and writes the others in
// upper case (RFC 3986 §6.2.2.1, §6.2.2.2).
func normaliseEscapes(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	var b strings.Builder
	for i := 0; i < len(uri); i++ {
		if uri[i] != '%' || i+2 >= len(uri) {
			b.WriteByte(uri[i])
			continue
		}
		n, err := strconv.ParseUint(uri[i+1:i+3], 16, 8)
		switch c := byte(n); {
		case err != nil:
			b.WriteByte('%')
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(strings.ToUpper(uri[i : i+3]))
		}
		i += 2
	}
	return b.String()
}
