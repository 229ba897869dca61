package client

import (
	"maps"
	"slices"
	"sync"

	"stowrs-to-s3/app/storeresponse"
)

// Counts are the counters of a run. Each file that the walk has found is counted by its outcome
// as soon as this is known.
type Counts struct {
	Found, FoundBytes   int64 // files to read, and their bytes
	Walked              bool  // the walk has ended, so Found is the total
	Stored, StoredBytes int64 // instances that the service has confirmed, in this run
	Unverified          int64 // of Stored: duplicates after a request without an answer
	Warned              int64 // of Stored: with a warning of the service
	Failed              int64 // instances that were not stored, and paths that could not be read
	Skipped             int64 // files that are not instances
	Ready, ReadyBytes   int64 // of a dry run: instances that would be sent
	Studies             int64 // of Ready
	Same, Different     int64 // of Ready: with the UIDs of another instance, and with the same or different bytes
	Before, BeforeBytes int64 // instances that are stored according to the journal; not part of Found
}

// Limits of what a terminal shows individually; the report contains everything.
const (
	mostTold   = 20
	mostGroups = 50
)

// tally counts the outcomes of the files, in bounded memory. Safe for concurrent use.
type tally struct {
	report *report

	mu       sync.Mutex
	counts   Counts
	failures map[string]*group // by reason in words
	warnings map[string]*group
	told     int // examples in both maps
}

// group is the instances that failed, or got a warning, for the same reason.
type group struct {
	reason   string
	remedy   string
	count    int64
	examples []string
}

func newTally(r *report) *tally {
	return &tally{report: r, failures: make(map[string]*group), warnings: make(map[string]*group)}
}

// snapshot is a copy of the present counts.
func (t *tally) snapshot() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

func (t *tally) count(change func(c *Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.counts)
}

// settle counts an instance whose fate is known.
func (t *tally) settle(i *instance) {
	outcome := outcomeOf(i)
	t.mu.Lock()
	if i.fate == failed {
		t.counts.Failed++
		t.add(t.failures, outcome)
	} else {
		t.counts.Stored++
		t.counts.StoredBytes += i.size
		if i.unverified {
			t.counts.Unverified++
		}
		if i.warning != 0 {
			t.counts.Warned++
			t.add(t.warnings, outcome)
		}
	}
	t.mu.Unlock()
	if i.fate == failed || i.warning != 0 || i.unverified {
		t.report.write(outcome)
	}
}

func (t *tally) add(groups map[string]*group, o Outcome) {
	reason := o.String()
	if groups[reason] == nil && len(groups) >= mostGroups {
		reason = "other reasons"
	}
	if groups[reason] == nil {
		groups[reason] = &group{reason: reason, remedy: o.remedy()}
	}
	g := groups[reason]
	g.count++
	if t.told < mostTold {
		t.told++
		g.examples = append(g.examples, o.named())
	}
}

// skip counts a file that is not an instance. tell: it is among the first mostTold; last: it is the last of these.
func (t *tally) skip(path, why string) (tell bool, last bool) {
	t.mu.Lock()
	t.counts.Skipped++
	n := t.counts.Skipped
	t.mu.Unlock()
	t.report.write(Outcome{Path: path, Outcome: "skipped", Detail: why})
	return n <= mostTold, n == mostTold
}

// groups returns the groups of failures and of warnings, the largest first.
func (t *tally) groups() (failures, warnings []*group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sorted(t.failures), sorted(t.warnings)
}

func sorted(groups map[string]*group) []*group {
	return slices.SortedFunc(maps.Values(groups), func(a, b *group) int {
		if a.count != b.count {
			return int(b.count - a.count)
		}
		return slices.Compare([]string{a.reason}, []string{b.reason})
	})
}

// Outcome is the outcome of one file, and a line of --report.
type Outcome struct {
	Path           string `json:"path,omitempty"`
	PathBytes      []byte `json:"path_bytes,omitempty"` // instead of Path if the path is not UTF-8
	SOPInstanceUID string `json:"instance,omitempty"`   // empty if it could not be read
	Outcome        string `json:"outcome"`              // failed, warning, unverified, skipped, duplicate

	Reason   storeresponse.Reason `json:"-"`                // zero if the service gave none; then Detail says why
	Status   string               `json:"status,omitempty"` // Reason as the standard writes it, in hexadecimal
	Detail   string               `json:"reason,omitempty"` // in words
	Attempts int                  `json:"attempts,omitempty"`
}

func outcomeOf(i *instance) Outcome {
	o := Outcome{Path: i.path, SOPInstanceUID: i.sopInstanceUID, Reason: i.reason, Detail: i.detail, Attempts: i.attempts}
	switch {
	case i.fate == failed:
		o.Outcome = outcomeFailed
	case i.unverified:
		o.Outcome, o.Detail = outcomeUnverified, "already stored, not verified"
	case i.warning != 0:
		o.Outcome, o.Reason = "warning", i.warning
	}
	if o.Reason != 0 {
		o.Status = o.Reason.Hex()
	}
	return o
}
