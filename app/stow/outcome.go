package stow

import (
	"log/slog"
	"net/http"
	"slices"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
)

// outcome is the result of one instance. A request keeps up to 100,000 of them
// until it is answered, so an outcome is small, and its memory is counted.
type outcome struct {
	sop     string          // SOP Instance UID; empty: there is no valid one
	family  *family         // shared by neighbours
	upload  *s3store.Upload // nil: settled
	number  int32           // of the instance, from 1
	warning storeresponse.Reason
	reason  storeresponse.Reason // zero: stored, or not settled
	service bool                 // the service or its storage is the cause of the failure, not the sender
}

// family is what the instances of a series have in common.
type family struct{ class, study, series string }

// Bytes of memory, with what the allocator adds.
const (
	outcomeBytes = 64
	familyBytes  = 64
	// freeOutcomes of a request are not counted: the memory for requests has room for them.
	freeOutcomes = 200
)

// identify keeps what the answer needs of id.
func (o *outcome) identify(id dicom.Identity, before *outcome) {
	o.sop = id.SOPInstanceUID
	if o.sop == "" {
		o.sop = id.MediaStorageSOPInstanceUID
	}
	o.sop = validUID(o.sop)
	f := family{validUID(id.SOPClassUID), validUID(id.StudyInstanceUID), validUID(id.SeriesInstanceUID)}
	if before != nil && before.family != nil && *before.family == f {
		o.family = before.family
		return
	}
	o.family = &f
}

// bytes is the memory of an outcome.
func (o *outcome) bytes(before *outcome) int64 {
	n := outcomeBytes + len(o.sop)
	if f := o.family; f != nil && (before == nil || before.family != f) {
		n += familyBytes + len(f.class) + len(f.study) + len(f.series)
	}
	return int64(n)
}

// validUID returns an empty string for invalid UIDs, which could contain anything, so that they do not get into answers, logs and headers.
func validUID(uid string) string {
	if dicom.ValidUID(uid) {
		return uid
	}
	return ""
}

// outcomes are those of a request, in the order of its instances.
type outcomes struct {
	all     []*outcome
	pending []*outcome                 // not settled
	many    int                        // how many pending outcomes start a search for those that are done
	uploads map[string]*s3store.Upload // of the pending ones, by key
	kept    *memory.RequestMemory
	words   []words
	log     func(level slog.Level, o *outcome, err error)
}

// words is the message to the sender about all instances with the same failure.
type words struct {
	text   string
	number int // of the first
	others int
}

// maxWords is the number of Warning headers at most: clients limit the size of headers.
const maxWords = 8

// add appends an outcome.
func (s *outcomes) add() *outcome {
	o := &outcome{number: int32(len(s.all)) + 1} //nolint:gosec // little more than 100,000
	s.all = append(s.all, o)
	return o
}

// identify names the last outcome, and counts its memory.
func (s *outcomes) identify(o *outcome, id dicom.Identity) error {
	var before *outcome
	if n := len(s.all); n > 1 {
		before = s.all[n-2]
	}
	o.identify(id, before)
	if len(s.all) <= freeOutcomes {
		return nil
	}
	return s.kept.Take(o.bytes(before))
}

// wait marks o as pending until its upload is done.
func (s *outcomes) wait(o *outcome, upload *s3store.Upload) {
	o.upload = upload
	s.pending = append(s.pending, o)
	s.uploads[upload.Key()] = upload
}

// settle takes over the results of uploads that are done, or of all uploads if it is told to wait.
func (s *outcomes) settle(wait bool) {
	const few = 64
	if !wait && len(s.pending) < s.many {
		return
	}
	s.pending = slices.DeleteFunc(s.pending, func(o *outcome) bool {
		select {
		case <-o.upload.Done():
		default:
			if !wait {
				return false
			}
		}
		if err := o.upload.Wait(); err != nil {
			s.fail(o, err)
		}
		if key := o.upload.Key(); s.uploads[key] == o.upload {
			delete(s.uploads, key)
		}
		o.upload = nil
		return true
	})
	s.many = few + 2*len(s.pending)
}

// fail sets the outcome of an instance that failed with err.
func (s *outcomes) fail(o *outcome, err error) {
	found := situationOf(err)
	o.reason, o.service = found.reason, found.service
	level := slog.LevelWarn
	if o.service {
		level = slog.LevelError
	}
	s.log(level, o, err)
	for i := range s.words {
		if s.words[i].text == found.words {
			s.words[i].others++
			return
		}
	}
	if len(s.words) < maxWords {
		s.words = append(s.words, words{text: found.words, number: int(o.number)})
	}
}

// withdraw makes all instances count as not stored.
func (s *outcomes) withdraw(err error) {
	for _, o := range s.all {
		if o.reason == 0 {
			s.fail(o, err)
		}
	}
}

// tally counts the outcomes of a request.
type tally struct {
	stored, failed, warnings int
	service                  int // failures caused by the service or its storage
	unparsable               int // failures in Other Failures with ReasonCannotUnderstand
	reasons                  map[storeresponse.Reason]int
}

func (s *outcomes) count() tally {
	t := tally{reasons: map[storeresponse.Reason]int{}}
	for _, o := range s.all {
		switch {
		case o.reason == 0:
			t.stored++
			if o.warning != 0 {
				t.warnings++
			}
			continue
		case o.service:
			t.service++
		case o.sop == "" && o.reason == storeresponse.ReasonCannotUnderstand:
			t.unparsable++
		}
		t.failed++
		t.reasons[o.reason]++
	}
	return t
}

// status is the status code of the answer (PS3.18 Table 10.5.3-1). bodyErr is
// what ended the body early, if anything did.
func (t tally) status(bodyErr error) int {
	switch {
	case t.stored > 0 && t.failed == 0 && t.warnings == 0 && bodyErr == nil:
		return http.StatusOK
	case t.stored > 0:
		return http.StatusAccepted
	case t.failed > 0 && t.service == t.failed:
		return http.StatusServiceUnavailable // an outage, not a conflict: the sender must repeat the request
	case bodyErr != nil:
		return situationOf(bodyErr).status
	case t.failed == t.unparsable: // no part at all, too
		return http.StatusBadRequest
	}
	return http.StatusConflict
}
