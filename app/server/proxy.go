package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/stow"
)

// Headers that say who the client is and how it reached a proxy. The first group is trusted
// only from TRUSTEDPROXY; the others never, and no code after this file sees them.
var (
	proxyHeaders     = []string{"X-Client-DN", echo.HeaderXRealIP, echo.HeaderXRequestID, echo.HeaderXForwardedProto, "X-Forwarded-Host"}
	forwardedHeaders = []string{
		echo.HeaderXForwardedProto, "X-Forwarded-Host", echo.HeaderXForwardedFor, echo.HeaderXForwardedProtocol,
		echo.HeaderXForwardedSsl, echo.HeaderXUrlScheme, "Forwarded",
	}
)

var requestIDSyntax = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// believeOnly removes the headers of a trusted proxy from all other requests, and a
// request id that is not allowed in a log record or in an object's metadata. It
// completes r.URL with the scheme, http or https, and the host that the client sees.
func believeOnly(trusted []netip.Prefix) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if !isTrusted(r, trusted) {
				for _, name := range proxyHeaders {
					r.Header.Del(name)
				}
			}
			if !requestIDSyntax.MatchString(r.Header.Get(echo.HeaderXRequestID)) {
				r.Header.Del(echo.HeaderXRequestID)
			}
			r.URL.Scheme, r.URL.Host = "http", r.Host
			if strings.EqualFold(r.Header.Get(echo.HeaderXForwardedProto), "https") {
				r.URL.Scheme = "https"
			}
			if host := r.Header.Get("X-Forwarded-Host"); stow.ValidHost(host) {
				r.URL.Host = host
			}
			for _, name := range forwardedHeaders {
				r.Header.Del(name)
			}
			return next(c)
		}
	}
}

func isTrusted(r *http.Request, trusted []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, prefix := range trusted {
		if prefix.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// clientAddress is that of X-Real-IP, which remains only from a trusted proxy, else the peer's.
func clientAddress(r *http.Request) string {
	if claimed, err := netip.ParseAddr(r.Header.Get(echo.HeaderXRealIP)); err == nil {
		return claimed.WithZone("").String()
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

var percentEncoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// cleanPath makes equivalent paths equal, before the request is routed: percent-encoded
// unreserved characters are decoded (RFC 3986 §6.2.2.2). Slashes at the start are reduced to one and slashes at the
// end are removed, because clients add them when they join a base URL and a path. An asterisk asks about the server as a
// whole (RFC 9110 §9.3.7), as its root does here.
func cleanPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		escaped := percentEncoded.ReplaceAllStringFunc(u.EscapedPath(), func(code string) string {
			if decoded, err := url.PathUnescape(code); err == nil && isUnreserved(decoded[0]) {
				return decoded
			}
			return code
		})
		if escaped == "*" {
			escaped = ""
		}
		escaped = "/" + strings.Trim(escaped, "/")
		if path, err := url.PathUnescape(escaped); err == nil {
			u.Path, u.RawPath = path, escaped
		}
		return next(c)
	}
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
