package client

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
)

// The syntax of a header field (RFC 9110 §5.1, §5.5).
var (
	fieldName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	fieldValue = regexp.MustCompile(`^[\t -~\x80-\xff]*$`)
)

// ownFields are the headers that send itself sets.
var ownFields = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Expect", "Accept", "Connection"}

// validateAccess checks --header and --token-file. Its errors never contain the value of a header, which may be a secret.
func (o Options) validateAccess() error {
	lines, err := o.headerLines()
	if err != nil {
		return err
	}
	var violations []error
	authorized := o.TokenFile != ""
	for n, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch {
		case !found || !fieldName.MatchString(name) || !fieldValue.MatchString(value):
			violations = append(violations, fmt.Errorf("--header number %d is not 'Name: value'", n+1))
		case slices.Contains(ownFields, name):
			violations = append(violations, fmt.Errorf("--header %s is not possible: send makes it", name))
		case name == "Authorization" && authorized:
			violations = append(violations, errors.New("there are two of --header Authorization and --token-file, and a request can have one"))
		case name == "Authorization":
			authorized = true
		}
	}
	if o.TokenFile != "" {
		if _, err := o.token(); err != nil {
			violations = append(violations, err)
		}
	}
	return errors.Join(violations...)
}

// authorize adds --header and --token-file to a request.
func (o Options) authorize(request *http.Request) error {
	lines, err := o.headerLines()
	if err != nil {
		return err
	}
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !fieldName.MatchString(name) || !fieldValue.MatchString(value) { // the file may have changed since validateAccess
			return errors.New("--header: a line is not 'Name: value'")
		}
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value
			continue
		}
		request.Header.Add(name, value)
	}
	if o.TokenFile == "" {
		return nil
	}
	token, err := o.token()
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// headerLines gives the lines of --header. A file that is given as @FILE is read again at each call.
func (o Options) headerLines() ([]string, error) {
	var lines []string
	for _, line := range o.Header {
		name, file := strings.CutPrefix(line, "@")
		if !file {
			lines = append(lines, line)
			continue
		}
		content, err := os.ReadFile(name) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("--header: %w", err)
		}
		if strings.TrimSpace(string(content)) == "" { // the file is probably being rewritten: a request without its headers would be refused
			return nil, fmt.Errorf("--header: %s is empty", name)
		}
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}

func (o Options) token() (string, error) {
	content, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || !fieldValue.MatchString(token) {
		return "", fmt.Errorf("--token-file: %s does not hold a token in one line", o.TokenFile)
	}
	return token, nil
}

// hide removes the secrets of the request from the answer, because some services repeat them in error messages. Call it
// after the answer is parsed.
func (a *answer) hide(sent http.Header) {
	const shortest = 6 // bytes; a shorter value may also be an ordinary word
	for name, values := range sent {
		if slices.Contains(ownFields, name) || name == "User-Agent" {
			continue
		}
		for _, secret := range strings.Fields(strings.Join(values, " ")) {
			if len(secret) < shortest || strings.EqualFold(secret, "Bearer") {
				continue
			}
			a.status = strings.ReplaceAll(a.status, secret, "…")
			a.body = bytes.ReplaceAll(a.body, []byte(secret), []byte("…"))
			for _, lines := range a.header {
				for n := range lines {
					lines[n] = strings.ReplaceAll(lines[n], secret, "…")
				}
			}
		}
	}
}

// The parts of a URL that may be secret: user and password before the host, and the query.
var (
	userInURL  = regexp.MustCompile(`(//)[^/\s]*@`)
	queryOfURL = regexp.MustCompile(`(://[^\s?"]*\?)[^\s"]*`)
)

// secretless replaces these parts with "…".
func secretless(text string) string {
	return queryOfURL.ReplaceAllString(userInURL.ReplaceAllString(text, "${1}…@"), "${1}…")
}

// commandLine is a command for the user to copy, without the values of headers and passwords.
func commandLine(args []string) string {
	var words []string
	header := false
	for _, arg := range args {
		if value, joined := strings.CutPrefix(arg, "--header="); joined {
			arg = "--header=" + maskHeader(value)
		} else if header {
			arg = maskHeader(arg)
		}
		header = arg == "--header"
		words = append(words, quote(secretless(arg)))
	}
	return strings.Join(words, " ")
}

func maskHeader(line string) string {
	if strings.HasPrefix(line, "@") {
		return line
	}
	name, _, _ := strings.Cut(line, ":")
	return name + ": …"
}

var plainWord = regexp.MustCompile(`^[-\w@%+=:,./]+$`)

// quote quotes a word for a POSIX shell.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
