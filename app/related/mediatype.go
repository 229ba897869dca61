package related

import "strings"

// MediaType is a media type with its parameters; names are in lower case.
type MediaType struct {
	Name   string
	Params map[string]string
}

// ParseMediaType reads a Content-Type, or one element of an Accept header. It also
// accepts values from clients that mime.ParseMediaType refuses: values without
// quotes that contain "/", ":", "=" or "?" (PS3.18 §8.7.1 mentions both).
func ParseMediaType(s string) MediaType {
	fields := SplitUnquoted(s, ';')
	m := MediaType{Name: strings.ToLower(strings.TrimSpace(fields[0])), Params: map[string]string{}}
	for _, field := range fields[1:] {
		name, value, found := strings.Cut(field, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := m.Params[name]; found && !twice {
			m.Params[name] = unquote(strings.TrimSpace(value))
		}
	}
	return m
}

// SplitUnquoted splits s at separators outside of quoted strings.
func SplitUnquoted(s string, separator byte) []string {
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

// unquote decodes a quoted-string of RFC 9110 §5.6.4; it returns anything else unchanged.
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
