package commitment

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// searchesAtOnce of one request: half of the slots that the store has for lists, so that other requests get some, too.
const searchesAtOnce = 4

// look looks up one request.
type look struct {
	store    *s3store.Store
	searches atomic.Int64

	mu sync.Mutex // of the references, while several lists run
}

// up returns the references of a module, each once, with a Failure Reason if the instance is not in the bucket.
//
// A key begins with the study, and S3 has no other index. So each series with references is listed. If instances are also named
// without a study, every study that the request names is listed completely, and they are searched in these.
func (l *look) up(ctx context.Context, m *references.Module) ([]references.Reference, error) {
	all := m.All
	slices.SortFunc(all, references.ComparePlace)
	all = slices.CompactFunc(all, func(a, b references.Reference) bool { return references.ComparePlace(a, b) == 0 })
	flat := slices.IndexFunc(all, func(r references.Reference) bool { return r.Series != nil })
	if flat < 0 {
		flat = len(all)
	}
	studies := m.Studies
	slices.Sort(studies)
	studies = slices.DeleteFunc(slices.Compact(studies), func(uid string) bool { return !dicom.ValidUID(uid) })
	for i := range all {
		all[i].FailureReason = references.ReasonNoSuchInstance
		if i < flat && len(studies) == 0 {
			all[i].FailureReason = references.ReasonProcessingFailure
		}
	}

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(searchesAtOnce)
	search := func(study, series, instance string, found func(series, instance string)) {
		group.Go(func() (err error) {
			defer func() { // a panic here would end the process; it is passed on to the request
				if p := recover(); p != nil {
					err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
				}
			}()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l.searches.Add(1)
			return l.store.List(ctx, study, series, instance, found)
		})
	}
	if flat > 0 {
		for _, study := range studies {
			search(study, "", "", func(series, instance string) {
				if !dicom.ValidUID(series) {
					return
				}
				l.commit(all[:flat], nil, instance)
				l.commit(all[flat:], &references.Series{StudyInstanceUID: study, SeriesInstanceUID: series}, instance)
			})
		}
	} else {
		for series := range references.BySeries(all) {
			of := *series[0].Series
			if dicom.ValidUID(of.StudyInstanceUID) && dicom.ValidUID(of.SeriesInstanceUID) {
				search(of.StudyInstanceUID, of.SeriesInstanceUID, commonPrefix(series), func(_, instance string) { l.commit(series, series[0].Series, instance) })
			}
		}
	}
	return all, group.Wait() //nolint:wrapcheck // List's own
}

// commit commits to the references of an instance that was found. Its arguments are from keys in the bucket; an
// invalid UID never equals a part of such a key.
func (l *look) commit(sorted []references.Reference, series *references.Series, instance string) {
	if !dicom.ValidUID(instance) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := references.Reference{Series: series, SOPInstanceUID: instance} // sorts before those that have a class
	i, _ := slices.BinarySearchFunc(sorted, wanted, references.ComparePlace)
	for ; i < len(sorted) && references.SamePlace(sorted[i], wanted); i++ {
		sorted[i].FailureReason = 0
	}
}

// commonPrefix is the common beginning of all requested UIDs of a series: for a single instance, only this one is listed. Invalid UIDs are
// not requested; if there are only such UIDs, the whole series is listed.
func commonPrefix(series []references.Reference) string {
	prefix := series[0].SOPInstanceUID
	for last := series[len(series)-1].SOPInstanceUID; !strings.HasPrefix(last, prefix); { // all UIDs between the first and the last begin in the same way
		prefix = prefix[:len(prefix)-1]
	}
	if strings.Trim(prefix, "0123456789.") != "" {
		return ""
	}
	return prefix
}

// describe says in a Warning header why instances are not committed (in the syntax of RFC 7234 §5.5, as for a Store answer).
func describe(header http.Header, all []references.Reference) {
	var failed, unnamed int
	for _, r := range all {
		if r.FailureReason != 0 {
			failed++
		}
		if r.FailureReason == references.ReasonProcessingFailure {
			unnamed++
		}
	}
	if failed > 0 {
		header.Add("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%d of %d not committed"`, failed, len(all)))
	}
	if unnamed > 0 {
		header.Add("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%s"`, stow.Quotable(fmt.Sprintf("%d are named without their study, by which instances are found here: "+
			"name them in a Referenced Study Sequence (0008,1110), or name their studies in one besides", unnamed))))
	}
}
