package main

import (
	"log/slog"
	"regexp"
	"strings"
)

// errorLine is a line of nginx's error log, as it may be kept.
type errorLine struct {
	level  slog.Level
	text   string
	client string // address
}

var (
	errorLineSyntax = regexp.MustCompile(`^(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[(\w+)\] (?:\d+#\d+: )?(?:\*\d+ )?(.*)$`)
	// uids are paths of the service, and everything that looks like a UID.
	uids = regexp.MustCompile(`/studies/[^\s"',;]*|[0-9]+(?:\.[0-9]+){4,}`)
)

// handshakeRefusal tells why a TLS handshake failed: what OpenSSL says, without the place in its source.
func handshakeRefusal(text string) (reason string, refused bool) {
	if !strings.Contains(text, "SSL handshak") && !strings.Contains(text, "SSL_do_handshake() failed") {
		return "", false
	}
	if match := openSSLReason.FindStringSubmatch(text); match != nil {
		return "TLS handshake: " + match[1], true
	}
	return "TLS handshake: the client has gone", true
}

// openSSLReason is in what OpenSSL says: error:0A000102:SSL routines::unsupported protocol.
var openSSLReason = regexp.MustCompile(`SSL: error:[0-9A-F]+:[^:]*:[^:]*:([^:)]+)`)

// parseErrorLine takes a line of nginx's error log apart. What nginx appends after
// the client's address (request line, upstream, host, referrer) carries study UIDs,
// and is dropped; the access log's record of the same request has its route.
func parseErrorLine(line string) errorLine {
	line = strings.TrimSpace(line)
	parsed := errorLine{level: slog.LevelError, text: line}
	if match := errorLineSyntax.FindStringSubmatch(line); match != nil {
		parsed.text = match[2]
		switch match[1] {
		case "warn":
			parsed.level = slog.LevelWarn
		case "notice", "info", "debug":
			parsed.level = slog.LevelInfo
		}
	}
	if text, context, found := strings.Cut(parsed.text, ", client: "); found {
		parsed.text = text
		parsed.client, _, _ = strings.Cut(context, ",")
	}
	for _, field := range []string{", server: ", ", request: ", ", upstream: ", ", host: ", ", referrer: "} { // without a client
		parsed.text, _, _ = strings.Cut(parsed.text, field)
	}
	parsed.text = uids.ReplaceAllString(parsed.text, "…")
	parsed.client = uids.ReplaceAllString(parsed.client, "…")
	return parsed
}
