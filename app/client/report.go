package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/storeresponse"
)

// This file holds all wording for people. A message says what happened, to how many
// instances, and what to do where that is known. It never holds an attribute of a
// patient: of an instance it names the path and the SOP Instance UID.

// errChanged is why a file that was identified is not sent.
var errChanged = errors.New("the file has changed since it was looked at")

func describeInsecure() string {
	return "warning: --insecure: the certificate of the service is not verified"
}

func describeSkip(path, why string) string { return fmt.Sprintf("skipped %s: %s", path, why) }

func describeNothing(paths []string, skipped int) error {
	return fmt.Errorf("no DICOM instance in %s (%s)", strings.Join(paths, " "), count(skipped, "file skipped", "files skipped"))
}

func describeStart(instances int, bytes int64, requests int, target *url.URL) string {
	return fmt.Sprintf("sending %s, %s, in %s to %s", count(instances, "instance", "instances"), size(bytes),
		count(requests, "request", "requests"), target.Redacted())
}

// describeRequest is the line of a finished batch.
func describeRequest(batch []*instance, last exchange, duration time.Duration) string {
	done := withFate(batch, stored)
	line := fmt.Sprintf("%s stored, %d failed, %s in %.2f s", count(len(done), "instance", "instances"),
		len(withFate(batch, failed)), size(bytesOf(done)), duration.Seconds())
	if last.answer != nil {
		line += fmt.Sprintf(", HTTP %d", last.answer.code)
	}
	return line
}

func describeRetry(err error, instances int, pause time.Duration) string {
	return fmt.Sprintf("%v; %s again in %s", err, count(instances, "instance goes", "instances go"),
		pause.Round(100*time.Millisecond))
}

func describeSplit(a *answer, instances int) string {
	return fmt.Sprintf("%s; %d instances go again in two requests", describeAnswer(a), instances)
}

// describeAnswer is the status and what the service says of it, if it says it in words.
func describeAnswer(a *answer) string {
	text := "HTTP " + printable(a.status)
	switch {
	case a.code/100 == 3:
		return text + ": the service is elsewhere; give that as --url: " + printable(a.header.Get("Location"))
	case a.hasModule:
		return text
	case a.code/100 == 2:
		return text + " without a Store Instances Response Module: nothing says what is stored"
	}
	if message := a.message(); message != "" {
		text += ": " + message
	}
	return text
}

var markup = regexp.MustCompile(`(?s)<(style|script|title).*?</(style|script|title)>|<[^>]*>`)

// message is what an answer says in words: the title and detail of a problem document
// (RFC 9457), plain text, HTML without its markup, or the Warning header (PS3.18 §10.5.3.2).
func (a *answer) message() string {
	const limit = 300 // runes
	text := string(a.body[:min(len(a.body), 16*limit)])
	var problem struct{ Title, Detail, Message string }
	if json.Unmarshal(a.body, &problem) == nil {
		text = ""
		for _, part := range []string{problem.Title, problem.Detail, problem.Message} {
			if part != "" && text != "" {
				text += ": "
			}
			text += part
		}
	} else {
		text = html.UnescapeString(markup.ReplaceAllString(text, " "))
	}
	text = strings.Join(strings.Fields(printable(text)), " ")
	if text == "" {
		text = printable(a.header.Get("Warning"))
	}
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + "…"
	}
	return text
}

// describeNoAnswer is for a request that broke before its answer was read.
func describeNoAnswer(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // it repeats method and URL
		err = wrapped.Err
	}
	text := "no answer: " + err.Error()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "no answer: the connection was closed"
	case errors.Is(err, http.ErrSchemeMismatch):
		text += "; does --url begin with http:// instead?"
	case hopeless(err):
		text += "; --cacert names the authorities to trust"
	}
	return printable(text)
}

func describeUnsent(why error) string { return "not sent: " + why.Error() }

func describeUnnamed() string { return "the answer does not name the instance" }

// describeFailed is what there is to say besides the reason.
func describeFailed(reason storeresponse.Reason) string {
	if reason == 0 {
		return "the service gives no reason"
	}
	return ""
}

func describeFileError(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the line names the path already
	}
	return "not sent: " + err.Error()
}

// String is why the instance was not stored, in words.
func (f Failure) String() string {
	text := f.Detail
	if f.Reason != 0 {
		text = reasonText(f.Reason)
		if f.Detail != "" {
			text += " (" + f.Detail + ")"
		}
	}
	if f.Attempts > 1 {
		text += fmt.Sprintf(", after %d attempts", f.Attempts)
	}
	return text
}

func (w Warning) String() string { return reasonText(w.Reason) }

func reasonText(r storeresponse.Reason) string { return fmt.Sprintf("%04X %s", uint16(r), r) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", humanize.Comma(int64(n)), many)
}

// size is in units of 1000.
func size(bytes int64) string { return humanize.Bytes(uint64(max(bytes, 0))) }

// printable keeps what others wrote from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// lines writes text for people, a line at a time, until a write fails.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) print(line string) { l.write(printable(line) + "\n") }

func (l *lines) write(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

// summary ends the output. Failures and warnings are listed under their reason.
func (l *lines) summary(s Summary) {
	var rate float64
	if seconds := s.Duration.Seconds(); seconds > 0 {
		rate = float64(s.Bytes) / seconds / 1e6
	}
	for _, w := range grouped(s.Warnings, Warning.String) {
		l.print(fmt.Sprintf("stored with a warning, %s: %s", count(len(w), "instance", "instances"), w[0]))
		for _, one := range w {
			l.print(strings.TrimRight(fmt.Sprintf("  %s  %s", one.Path, one.SOPInstanceUID), " "))
		}
	}
	for _, f := range grouped(s.Failures, Failure.String) {
		l.print(fmt.Sprintf("failed, %s: %s", count(len(f), "instance", "instances"), f[0]))
		for _, one := range f {
			l.print(strings.TrimRight(fmt.Sprintf("  %s  %s", one.Path, one.SOPInstanceUID), " "))
		}
	}
	l.print(fmt.Sprintf("%s stored, %d failed, %s; %s in %.2f s, %.1f MB/s", count(s.Stored, "instance", "instances"),
		len(s.Failures), count(s.Skipped, "file skipped", "files skipped"), size(s.Bytes), s.Duration.Seconds(), rate))
}

// grouped brings what reads the same together, in the order of first appearance.
func grouped[T any](items []T, text func(T) string) [][]T {
	var groups [][]T
	index := make(map[string]int)
	for _, item := range items {
		n, known := index[text(item)]
		if !known {
			n = len(groups)
			index[text(item)] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], item)
	}
	return groups
}

// response writes an answer as it came: status line, headers, empty line, body. Headers
// are in alphabetical order, the body is verbatim and ends with a line break.
func (l *lines) response(a *answer) {
	l.print(a.proto + " " + a.status)
	var header strings.Builder
	_ = a.header.Write(&header) // a strings.Builder takes everything
	l.write(strings.ReplaceAll(header.String(), "\r\n", "\n") + "\n")
	l.write(string(a.body))
	if len(a.body) > 0 && a.body[len(a.body)-1] != '\n' {
		l.write("\n")
	}
}
