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
	errorLineSyntax = regexp.MustCompile(`(?s)^(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[(\w+)\] (?:\d+#\d+: )?(?:\*\d+ )?(.*)$`)
	// uids are paths of the service, and everything that looks like a UID.
	uids = regexp.MustCompile(`/studies/[^\s"',;]*|[0-9]+(?:\.[0-9]+){4,}`)
)

// What nginx says of a connection without a PROXY header, around the bytes that it got instead, line ends included.
const (
	brokenHeader       = "broken header"
	behindBrokenHeader = `" while reading PROXY protocol`
	maxErrorLineBytes  = 2048 // of nginx: NGX_MAX_ERROR_STR
)

// isUnfinished: the line goes on in the next one.
func isUnfinished(line string) bool {
	match := errorLineSyntax.FindStringSubmatch(line)
	return len(line) < maxErrorLineBytes && match != nil && strings.HasPrefix(match[2], brokenHeader) && !strings.Contains(line, behindBrokenHeader)
}

// connectionRefusal tells why a connection ended before there was a request: what OpenSSL says of the TLS handshake, without the
// place in its source, or that the PROXY header was none.
func connectionRefusal(text string) (reason string, refused bool) {
	if strings.HasPrefix(text, brokenHeader) {
		return "PROXY protocol: no header", true
	}
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
	if strings.HasPrefix(parsed.text, brokenHeader) { // what a stranger sent, whatever it looks like, and then nginx's own
		behind := parsed.text[max(0, strings.LastIndex(parsed.text, behindBrokenHeader)):]
		if parsed.text = brokenHeader; strings.HasPrefix(behind, behindBrokenHeader) {
			parsed.text += behind[len(`"`):]
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
