package main

import (
	"log/slog"
	"regexp"
	"strings"
)

// errorLine is a line of nginx's error log, without what must not be logged.
type errorLine struct {
	level  slog.Level
	text   string
	client string // address
	early  bool   // is about a connection of a client before its first request
}

var (
	errorLineSyntax = regexp.MustCompile(`(?s)^(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[(\w+)\] (?:\d+#\d+: )?(?:\*\d+ )?(.*)$`)
	// uids matches paths of the service, and everything that looks like a UID.
	uids = regexp.MustCompile(`/(?:studies|commitment-requests)/[^\s"',;]*|[0-9]+(?:\.[0-9]+){4,}`)
)

// The text of nginx about a connection without a PROXY header, before and after the bytes that it received instead, which can include line ends.
const (
	brokenHeader       = "broken header"
	behindBrokenHeader = `" while reading PROXY protocol`
)

// connectionRefusal tells why a connection ended before its first request, which is the fault of the client: the reason of OpenSSL,
// without the place in its source, or that of nginx about the PROXY header.
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

// openSSLReason matches the reason in a text of OpenSSL: error:0A000102:SSL routines::unsupported protocol. A reason without a name is a number.
var openSSLReason = regexp.MustCompile(`SSL: error:[0-9A-F]+:[^:]*:[^:]*:(reason|[^:)]+)`)

// parseErrorLine parses a line of nginx's error log. What nginx appends after
// the client's address (request line, upstream, host, referrer) can contain study UIDs,
// and is dropped; the access log's record of the same request contains its route.
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
	if strings.HasPrefix(parsed.text, brokenHeader) { // then follow the bytes of a stranger, which can be anything, and then again the text of nginx
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
	for _, field := range []string{", server: ", ", request: ", ", upstream: ", ", host: ", ", referrer: "} { // in lines without a client
		parsed.text, _, _ = strings.Cut(parsed.text, field)
	}
	parsed.text = uids.ReplaceAllString(parsed.text, "…")
	parsed.client = uids.ReplaceAllString(parsed.client, "…")
	return parsed
}
