package references

import (
	"fmt"
	"io"
	"iter"
	"slices"

	"stowrs-to-s3/app/storeresponse"
)

var (
	attrStudies         = storeresponse.Attribute{Tag: tagStudies, VR: "SQ", Keyword: "ReferencedStudySequence"}
	attrGroups          = storeresponse.Attribute{Tag: tagGroups, VR: "SQ", Keyword: "ReferencedInstancesBySOPClassSequence"}
	attrSeries          = storeresponse.Attribute{Tag: tagSeries, VR: "SQ", Keyword: "ReferencedSeriesSequence"}
	attrInstances       = storeresponse.Attribute{Tag: tagInstances, VR: "SQ", Keyword: "ReferencedInstanceSequence"}
	attrSOPClass        = storeresponse.Attribute{Tag: tagSOPClassUID, VR: "UI", Keyword: "ReferencedSOPClassUID"}
	attrSOPInstance     = storeresponse.Attribute{Tag: tagSOPInstanceUID, VR: "UI", Keyword: "ReferencedSOPInstanceUID"}
	attrFailureReason   = storeresponse.Attribute{Tag: tagFailureReason, VR: "US", Keyword: "FailureReason"}
	attrFailed          = storeresponse.Attribute{Tag: tagFailed, VR: "SQ", Keyword: "FailedSOPSequence"}
	attrReferenced      = storeresponse.Attribute{Tag: tagReferenced, VR: "SQ", Keyword: "ReferencedSOPSequence"}
	attrFailedStudies   = storeresponse.Attribute{Tag: tagFailedStudies, VR: "SQ", Keyword: "FailedStudySequence"}
	attrStudyInstance   = storeresponse.Attribute{Tag: tagStudyInstanceUID, VR: "UI", Keyword: "StudyInstanceUID"}
	attrSeriesInstances = storeresponse.Attribute{Tag: tagSeriesInstanceUID, VR: "UI", Keyword: "SeriesInstanceUID"}
)

// Write writes a module: a request if no reference has failed, else an answer. The references are in the order of Sort;
// sequences without references are left out, as in a Store answer. It writes the same bytes each time, and keeps nothing.
//
// Failed references with a study are in the Failed Study Sequence (0008,119B), which has the same structure as the
// Referenced Study Sequence, with a Failure Reason in each item of its innermost sequence.
func Write(w io.Writer, mediaType string, all []Reference) error {
	s := storeresponse.NewSyntax(w, mediaType)
	s.Begin()
	writeStudies(s, attrStudies, all, false)
	writeFlat(s, attrFailed, all, true)
	writeFlat(s, attrReferenced, all, false)
	writeStudies(s, attrFailedStudies, all, true)
	s.End()
	if err := s.Flush(); err != nil {
		return fmt.Errorf("write storage commitment module: %w", err)
	}
	return nil
}

func writeFlat(s storeresponse.Syntax, a storeresponse.Attribute, all []Reference, failed bool) {
	wanted := func(r Reference) bool { return r.Series == nil && (r.FailureReason != 0) == failed }
	writeItems(s, a, all, wanted, func(Reference, Reference) bool { return false }, func(one []Reference) {
		s.Value(attrSOPClass, one[0].SOPClassUID)
		writeInstance(s, one[0])
	})
}

func writeInstance(s storeresponse.Syntax, r Reference) {
	s.Value(attrSOPInstance, r.SOPInstanceUID)
	if r.FailureReason != 0 {
		s.Number(attrFailureReason, r.FailureReason)
	}
}

func writeStudies(s storeresponse.Syntax, a storeresponse.Attribute, all []Reference, failed bool) {
	wanted := func(r Reference) bool { return r.Series != nil && (r.FailureReason != 0) == failed }
	sameStudy := func(a, b Reference) bool {
		return a.Series != nil && b.Series != nil && a.Series.StudyInstanceUID == b.Series.StudyInstanceUID
	}
	sameClass := func(a, b Reference) bool { return a.SOPClassUID == b.SOPClassUID }
	writeItems(s, a, all, wanted, sameStudy, func(study []Reference) {
		writeItems(s, attrSeries, study, wanted, sameSeries, func(series []Reference) {
			writeItems(s, attrGroups, series, wanted, sameClass, func(class []Reference) {
				writeItems(s, attrInstances, class, wanted, func(Reference, Reference) bool { return false }, func(one []Reference) {
					writeInstance(s, one[0])
				})
				s.Value(attrSOPClass, class[0].SOPClassUID)
			})
			s.Value(attrSeriesInstances, series[0].Series.SeriesInstanceUID)
		})
		s.Value(attrStudyInstance, study[0].Series.StudyInstanceUID)
	})
}

// writeItems writes a sequence: one item for each run of equal references, unless none of them is wanted.
func writeItems(s storeresponse.Syntax, a storeresponse.Attribute, all []Reference, wanted func(Reference) bool, same func(a, b Reference) bool, write func([]Reference)) {
	n := 0
	for run := range runs(all, same) {
		if !slices.ContainsFunc(run, wanted) {
			continue
		}
		if n++; n == 1 {
			s.BeginSequence(a)
		}
		s.BeginItem(n)
		write(run)
		s.EndItem()
	}
	if n > 0 {
		s.EndSequence()
	}
}

// BySeries gives the references of each series, of those in the order of Sort or ComparePlace.
func BySeries(all []Reference) iter.Seq[[]Reference] { return runs(all, sameSeries) }

func sameSeries(a, b Reference) bool { return compareSeries(a.Series, b.Series) == 0 }

func runs(all []Reference, same func(a, b Reference) bool) iter.Seq[[]Reference] {
	return func(yield func([]Reference) bool) {
		for from, i := 0, 1; i <= len(all); i++ {
			if i < len(all) && same(all[i-1], all[i]) {
				continue
			}
			if !yield(all[from:i]) {
				return
			}
			from = i
		}
	}
}
