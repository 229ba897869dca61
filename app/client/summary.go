package client

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// lines writes text for people, one line at a time, until a write fails.
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

// Summary is the outcome of Send.
type Summary struct {
	Counts
	Duration time.Duration // of the run, with its walk
	Stopped  error         // why the run ended early; nil: it did not
}

// summary ends the output. Failures and warnings are listed under their reason.
func (l *lines) summary(s Summary, failures, warnings []*group) {
	l.groups("stored with a warning", warnings)
	l.groups("failed", failures)
	if s.Before > 0 {
		l.print(fmt.Sprintf("%s, %s, stored before, by the journal", count(s.Before, "instance", "instances"), size(s.BeforeBytes)))
	}
	if s.Stopped != nil {
		l.print("stopped before the end: " + s.Stopped.Error())
	}
	var rate float64
	if seconds := s.Duration.Seconds(); seconds > 0 {
		rate = float64(s.StoredBytes) / seconds / 1e6
	}
	if s.Ready > 0 {
		l.print(fmt.Sprintf("%s, %s, of %s would be sent", count(s.Ready, "instance", "instances"), size(s.ReadyBytes), count(s.Studies, "study", "studies")))
	}
	if s.Same > 0 {
		l.print(count(s.Same, "of them has", "of them have") + " the UIDs and, as far as was looked, the bytes of another")
	}
	if s.Different > 0 {
		l.print(count(s.Different, "of them has", "of them have") + " the UIDs of another, and other bytes: a service keeps one of them")
	}
	if s.Ready > 0 {
		l.print(fmt.Sprintf("%s could not be read or named, %s", comma(s.Failed), count(s.Skipped, "file skipped", "files skipped")))
		return
	}
	text := count(s.Stored, "instance", "instances") + " stored"
	if s.Unverified > 0 {
		text += fmt.Sprintf(" (%s already stored, not verified)", comma(s.Unverified))
	}
	l.print(fmt.Sprintf("%s, %s failed, %s; %s in %.2f s, %.1f MB/s", text, comma(s.Failed),
		count(s.Skipped, "file skipped", "files skipped"), size(s.StoredBytes), s.Duration.Seconds(), rate))
}

func (l *lines) groups(what string, groups []*group) {
	for _, g := range groups {
		l.print(fmt.Sprintf("%s, %s: %s", what, count(g.count, "instance", "instances"), g.reason))
		if g.remedy != "" {
			l.print("  " + g.remedy)
		}
		for _, example := range g.examples {
			l.print("  " + example)
		}
		if more := g.count - int64(len(g.examples)); more > 0 && len(g.examples) > 0 {
			l.print(fmt.Sprintf("  and %s more", comma(more)))
		}
	}
}

// response writes an answer: status line, headers in alphabetical order, an empty line, and the unchanged
// body, followed by a line break if it does not end with one.
func (l *lines) response(a *answer) {
	l.print(a.proto + " " + a.status)
	var header strings.Builder
	_ = a.header.Write(&header) // a strings.Builder never fails
	l.write(strings.ReplaceAll(header.String(), "\r\n", "\n") + "\n")
	l.write(string(a.body))
	if len(a.body) > 0 && a.body[len(a.body)-1] != '\n' {
		l.write("\n")
	}
}
