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
	early  bool   // of a connection of a client, before there was a request
}

var (
	errorLineSyntax = regexp.MustCompile(`(?s)^(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[(\w+)\] (?:\d+#\d+: )?(?:\*\d+ )?(.*)$`)
	// uids are paths of the service, and everything that looks like a UID.
	uids = regexp.MustCompile(`/(?:studies|commitment-requests)/[^\s"',;]*|[0-9]+(?:\.[0-9]+){4,}`)
)

// What nginx says of a connection without a PROXY header, around the bytes that it got instead, line ends included.
const (
	brokenHeader       = "broken header"
	behindBrokenHeader = `" while reading PROXY protocol`
)

// connectionRefusal tells why a connection ended before there was a request, which is up to whoever made it: what OpenSSL says,
// without the place in its source, or nginx of the PROXY header.
func connectionRefusal(line errorLine) (reason string, refused bool) {
	handshake := strings.Contains(line.text, "SSL handshak") || strings.Contains(line.text, "SSL_do_handshake() failed")
	match := openSSLReason.FindStringSubmatch(line.text)
	switch {
	case strings.HasPrefix(line.text, brokenHeader):
		return "PROXY protocol: no header", true
	case handshake && match != nil:
		return "TLS handshake: " + match[1], true
	case handshake:
		return "TLS handshake: the client has gone", true
	case line.early && match != nil:
		return "TLS: " + match[1], line.level >= slog.LevelWarn
	}
	return line.text, line.early && line.level >= slog.LevelWarn && strings.Contains(line.text, "PROXY protocol")
}

// openSSLReason is in what OpenSSL says: error:0A000102:SSL routines::unsupported protocol. One without a name is a number.
var openSSLReason = regexp.MustCompile(`SSL: error:[0-9A-F]+:[^:]*:[^:]*:(reason|[^:)]+)`)

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
		parsed.early = !strings.Contains(context, ", request: ") && !strings.Contains(context, ", upstream: ")
	}
	for _, field := range []string{", server: ", ", request: ", ", upstream: ", ", host: ", ", referrer: "} { // without a client
		parsed.text, _, _ = strings.Cut(parsed.text, field)
	}
	parsed.text = uids.ReplaceAllString(parsed.text, "…")
	parsed.client = uids.ReplaceAllString(parsed.client, "…")
	return parsed
}
