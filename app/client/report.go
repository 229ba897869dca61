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

// This file contains most of the wording for people. A message says what happened, to how many
// instances, and, if known, what to do. It never contains an attribute of a
// patient: an instance is named by its path and its SOP Instance UID.

// errChanged reports that a file has changed after the walk, and is therefore not sent.
var errChanged = errors.New("the file has changed since it was looked at")

// errUnasked reports that a request could not be made, because --header or --token-file could not be read.
var errUnasked = errors.New("the service was not asked")

func describeInsecure() string {
	return "warning: --insecure: the certificate of the service is not verified"
}

func describeSkip(path, why string) string { return fmt.Sprintf("skipped %s: %s", path, why) }

func describeMoreSkips() string {
	return "further files that are skipped are only counted, and in --report"
}

// describeGoOn tells the user how to continue a run that has stopped.
func describeGoOn(o Options) string {
	switch command := commandLine(o.Command); {
	case o.Journal == "":
		return "the next run sends everything again; with --journal FILE it would go on where it was"
	case o.FilesFrom == "-":
		return "to go on, with the same paths on standard input: " + command
	default:
		return "to go on: " + command
	}
}

func describeStart(target *url.URL) string { return "sending to " + urlOf(target) }

func describeSecond(instances int) string {
	return count(instances, "instance has", "instances have") + " failed for now; a second pass begins"
}

func describeOutage(why string, longest time.Duration) string {
	return fmt.Sprintf("%s; everything waits until the service is back, for %s at most", why, longest.Round(time.Second))
}

func describeOutageEnd(after time.Duration) string {
	return fmt.Sprintf("the service is back after %s", after.Round(100*time.Millisecond))
}

// describeOutageAnswer describes an answer, with the Failure Reason of one instance if there is one.
func describeOutageAnswer(a *answer, of *instance) string {
	if text := describeAnswer(a); of.reason == 0 {
		return text
	} else {
		return text + ": " + reasonText(of.reason)
	}
}

func describeSplit(a *answer, instances int) string {
	return fmt.Sprintf("%s; %d instances go again in two requests", describeAnswer(a), instances)
}

// describeAnswer is the status, with the message of the service if there is one.
func describeAnswer(a *answer) string {
	text := "HTTP " + printable(a.status)
	switch {
	case a.code/100 == 3:
		return text + ": the service is elsewhere; give that as --url: " + printable(secretless(a.header.Get("Location")))
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

// message is the text of an answer: the title and detail of a problem document
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

// describeNoAnswer describes why a request got no complete answer.
func describeNoAnswer(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // its text repeats method and URL
		err = wrapped.Err
	}
	text := "no answer: " + err.Error()
	switch {
	case errors.Is(err, errUnasked):
		text = err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "no answer: the connection was closed"
	case errors.Is(err, http.ErrSchemeMismatch):
		text += "; does --url begin with http:// instead?"
	case hopeless(err):
		text += "; --cacert names the authorities to trust"
	}
	return printable(text)
}

func describeUnnamed(sent bool) string {
	if !sent {
		return "the answer came before all of it was sent"
	}
	return "the answer does not name the instance"
}

// describeFailed is the detail of a failure that the service reports.
func describeFailed(reason storeresponse.Reason) string {
	if reason == 0 {
		return "the service gives no reason"
	}
	return ""
}

// notSent is the prefix of the message about a file that could not be read. Verify, which sends nothing, removes it.
const notSent = "not sent: "

func describeFileError(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the line already contains the path
	}
	return notSent + err.Error()
}

// String is the reason of the outcome in words.
func (o Outcome) String() string {
	if o.Reason == 0 {
		return o.Detail
	}
	text := reasonText(o.Reason)
	if o.Detail != "" {
		text += " (" + o.Detail + ")"
	}
	return text
}

// named is the path, followed by the SOP Instance UID if it is known.
func (o Outcome) named() string { return strings.TrimRight(o.Path+"  "+o.SOPInstanceUID, " ") }

func reasonText(r storeresponse.Reason) string { return r.Hex() + " " + r.String() }

func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return comma(int64(n)) + " " + many
}

func comma(n int64) string { return humanize.Comma(n) }

// describeLeft formats an estimated time, with at most two units.
func describeLeft(left time.Duration) string {
	switch hours := int(left.Hours()); {
	case hours >= 24:
		return fmt.Sprintf("%dd%dh", hours/24, hours%24)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, int(left.Minutes())%60)
	case left >= time.Minute:
		return fmt.Sprintf("%dm", int(left.Minutes()))
	}
	return fmt.Sprintf("%ds", int(left.Seconds()))
}

// size formats a number of bytes, with units of 1000.
func size(bytes int64) string { return humanize.Bytes(uint64(max(bytes, 0))) }

// printable replaces characters that could control the terminal, in text of others.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
