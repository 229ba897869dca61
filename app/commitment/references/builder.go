package references

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"stowrs-to-s3/app/storeresponse"
)

// builder makes a module from items and values, for either syntax. UIDs come after the sequences
// to which they apply, because tags ascend: so they are filled in when an item ends. Its error is sticky.
type builder struct {
	module  *Module
	take    func(int64) error
	items   []item // that are open
	classes map[string]string
	err     error
}

// item is an item of a sequence that is being read.
type item struct {
	role   role
	failed bool
	from   int       // how many references there were at its beginning
	series []*Series // of a study
	values map[string]string
}

type role int

const (
	ignored role = iota
	study
	series
	group
	reference
)

const (
	referenceBytes = 48  // of a Reference
	seriesBytes    = 64  // of a Series, or of a study, besides its UID, including its place in a map or list
	longestUID     = 128 // as received; PS3.5 §9.1 allows 64
	mostClasses    = 1000
)

// begin opens an item of a sequence.
func (b *builder) begin(tag string) {
	next := item{from: len(b.module.All)}
	parent, top := ignored, len(b.items) == 0
	if !top {
		parent, next.failed = b.items[len(b.items)-1].role, b.items[len(b.items)-1].failed
	}
	switch tag = strings.ToUpper(tag); {
	case top && (tag == tagStudies || tag == tagFailedStudies):
		next.role, next.failed = study, tag == tagFailedStudies
	case parent == study && tag == tagSeries:
		next.role = series
		next.series = []*Series{{}}
		b.count(seriesBytes)
		above := &b.items[len(b.items)-1]
		above.series = append(above.series, next.series[0])
	case parent == series && tag == tagGroups:
		next.role = group
	case top && (tag == tagReferenced || tag == tagFailed):
		next.role, next.failed = reference, tag == tagFailed
	case (parent == group || parent == series) && (tag == tagInstances || tag == tagReferenced):
		next.role = reference
	}
	b.items = append(b.items, next)
}

// value is the first value of an attribute.
func (b *builder) value(tag, text string) {
	tag = strings.ToUpper(tag)
	switch tag {
	case tagTransactionUID, tagStudyInstanceUID, tagSeriesInstanceUID, tagSOPClassUID, tagSOPInstanceUID, tagFailureReason:
	default:
		return
	}
	if text = withoutPadding(text); len(text) > longestUID {
		b.fail("(%s,%s) has more than %d characters", tag[:4], tag[4:], longestUID)
		return
	}
	if len(b.items) == 0 {
		if tag == tagTransactionUID {
			b.module.TransactionUID = text
		}
		return
	}
	if of := &b.items[len(b.items)-1]; of.role != ignored {
		if of.values == nil {
			of.values = map[string]string{}
		}
		of.values[tag] = text
	}
}

// end closes the item that was opened last.
func (b *builder) end() {
	last := b.items[len(b.items)-1]
	b.items = b.items[:len(b.items)-1]
	switch last.role {
	case study:
		uid := b.required(last, tagStudyInstanceUID, "a study has no Study Instance UID (0020,000D)")
		for _, s := range last.series {
			s.StudyInstanceUID = uid
		}
		b.count(int64(seriesBytes + len(uid)))
		b.module.Studies = append(b.module.Studies, uid)
	case series:
		uid := b.required(last, tagSeriesInstanceUID, "a series has no Series Instance UID (0020,000E)")
		b.count(int64(len(uid)))
		last.series[0].SeriesInstanceUID = uid
	case group:
		class := b.class(last.values[tagSOPClassUID])
		for i := range b.module.All[last.from:] {
			if r := &b.module.All[last.from+i]; r.SOPClassUID == "" {
				r.SOPClassUID = class
			}
		}
	case reference:
		b.add(last)
	}
}

func (b *builder) add(last item) {
	if len(b.module.All) == MaxReferences {
		b.err = cmp.Or(b.err, ErrTooMany)
		return
	}
	r := Reference{
		SOPInstanceUID: b.required(last, tagSOPInstanceUID, "a reference has no Referenced SOP Instance UID (0008,1155)"),
		SOPClassUID:    b.class(last.values[tagSOPClassUID]),
	}
	for i := len(b.items) - 1; i >= 0 && r.Series == nil; i-- {
		if b.items[i].role == series {
			r.Series = b.items[i].series[0]
		}
	}
	if n, err := strconv.ParseUint(last.values[tagFailureReason], 10, 16); err == nil {
		r.FailureReason = storeresponse.Reason(n) // wherever it is: what has one is not committed
	}
	if last.failed && r.FailureReason == 0 {
		r.FailureReason = ReasonProcessingFailure
	}
	if len(b.module.All) == cap(b.module.All) {
		b.grow()
	}
	b.count(int64(len(r.SOPInstanceUID)))
	if b.err == nil {
		b.module.All = append(b.module.All, r)
	}
}

// grow doubles the room, up to MaxReferences; for a moment both lists exist, and both are counted. The largest one is made when there are half as many
// references, so that both together need less than the largest one with all of its UIDs.
func (b *builder) grow() {
	before := cap(b.module.All)
	room := min(max(2*before, 49), MaxReferences) // 49 × 2^11 is a little more than MaxReferences
	if b.count(int64(room) * referenceBytes); b.err != nil {
		return
	}
	b.module.All = append(make([]Reference, 0, room), b.module.All...)
	b.count(-int64(before) * referenceBytes)
}

// class is a SOP Class UID; equal ones share one string.
func (b *builder) class(uid string) string {
	if known, found := b.classes[uid]; found || uid == "" {
		return known
	}
	b.count(int64(len(uid)))
	if len(b.classes) < mostClasses {
		b.classes[uid] = uid
	}
	return uid
}

func (b *builder) required(of item, tag, problem string) string {
	value := of.values[tag]
	if value == "" {
		b.fail("%s", problem)
	}
	return value
}

// count requests memory before it is used.
func (b *builder) count(n int64) {
	if b.err == nil {
		b.err = b.take(n)
	}
}

func (b *builder) fail(format string, args ...any) {
	b.err = cmp.Or(b.err, fmt.Errorf("%w: %s", ErrSyntax, fmt.Sprintf(format, args...)))
}
