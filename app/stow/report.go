package stow

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"stowrs-to-s3/app/storeresponse"
)

// module is step 6: the Store Instances Response Module of the outcomes, in the order of the instances.
func (s *outcomes) module(wadoURL string) storeresponse.Module {
	m := storeresponse.Module{
		Referenced: func(yield func(storeresponse.Referenced) bool) {
			for o := range s.where(func(o *outcome) bool { return o.reason == 0 }) {
				stored := storeresponse.Referenced{SOPClassUID: o.family.class, SOPInstanceUID: o.sop, WarningReason: o.warning}
				if wadoURL != "" {
					stored.RetrieveURL = wadoURL + "/studies/" + o.family.study + "/series/" + o.family.series + "/instances/" + o.sop
				}
				if !yield(stored) {
					return
				}
			}
		},
		Failed: func(yield func(storeresponse.Failed) bool) {
			for o := range s.where(func(o *outcome) bool { return o.reason != 0 && o.sop != "" }) {
				if !yield(storeresponse.Failed{SOPClassUID: o.family.class, SOPInstanceUID: o.sop, FailureReason: o.reason}) {
					return
				}
			}
		},
		OtherFailures: func(yield func(storeresponse.Reason) bool) {
			for o := range s.where(func(o *outcome) bool { return o.reason != 0 && o.sop == "" }) {
				if !yield(o.reason) {
					return
				}
			}
		},
	}
	if study := s.study(); study != "" && wadoURL != "" {
		m.RetrieveURL = wadoURL + "/studies/" + study
	}
	return m
}

func (s *outcomes) where(is func(*outcome) bool) iter.Seq[*outcome] {
	return func(yield func(*outcome) bool) {
		for _, o := range s.all {
			if is(o) && !yield(o) {
				return
			}
		}
	}
}

// study is the study of all stored instances; empty if there is more than one study, or none.
func (s *outcomes) study() string {
	study := ""
	for o := range s.where(func(o *outcome) bool { return o.reason == 0 }) {
		if study != "" && study != o.family.study {
			return ""
		}
		study = o.family.study
	}
	return study
}

// describe sets the response headers of PS3.18 Table 10.5.3-2: where the study can be
// retrieved, if there is only one and WADOURL is set, and Warnings (§10.5.3.2, in the syntax
// of RFC 7234 §5.5) with the reasons why instances were not stored, as numbers and in words.
func (s *outcomes) describe(header http.Header, retrieveURL string, t tally) {
	if retrieveURL != "" {
		header.Set("Location", retrieveURL)
		header.Set("Content-Location", retrieveURL)
	}
	if t.failed == 0 {
		return
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		reasons = append(reasons, reason.Hex())
	}
	header.Set("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%d of %d not stored: %s"`, t.failed, t.failed+t.stored, strings.Join(reasons, " ")))
	for _, w := range s.words {
		who := fmt.Sprintf("instance %d", w.number)
		if w.others > 0 {
			who += fmt.Sprintf(" and %d more", w.others)
		}
		header.Add("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%s: %s"`, who, quotable(w.text)))
	}
}

// quotable returns text in a form that is allowed in a quoted-string (RFC 9110 §5.6.4), in ASCII.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\', r < ' ', r > '~':
			return '?'
		}
		return r
	}, text)
}

// answer writes the module; its length is counted first, so that it need not be kept in memory.
func answer(w http.ResponseWriter, status int, encode func(w io.Writer, mediaType string) error, mediaType string, reader *reader) error {
	var length counter
	if err := encode(&length, mediaType); err != nil {
		return fmt.Errorf("encode response module: %w", err)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(int64(length)))
	w.WriteHeader(status)
	defer reader.end()
	buffered := bufio.NewWriterSize(reader, answerBlockBytes)
	if encode(buffered, mediaType) == nil {
		_ = buffered.Flush() // the client has left, or does not read
	}
	return nil
}

const answerBlockBytes = 32 << 10

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
