package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofrs/flock"
)

// journal is the file of --journal: what was sent and what came of it, so that another run
// goes on where this one ends, even if it is killed. It is only appended to, a JSON object a
// line; an instance is called stored after the service has confirmed it. Lines are written
// at once, so that they outlive the process. (If the machine fails, the last ones may be
// lost: their instances are sent again, and nothing is taken for stored that is not.)
//
// In memory it takes 16 bytes for each instance that an earlier run has stored.
// A journal that is nil knows nothing and writes nothing. Safe for concurrent use.
type journal struct {
	file *os.File
	lock *flock.Flock // of that file itself, whatever name it was opened by; it goes with the process
	sums bool         // each line has a checksum: false in a journal that began before there were any

	mu     sync.Mutex
	stored []fingerprint            // by earlier runs, in order
	sent   map[fingerprint]struct{} // by earlier runs, without an outcome
	err    error                    // of the first write that failed: nothing is written after it
}

// fingerprint stands for a path, a size and a modification time. 128 bits: that two of 10^9
// are the same is not to be expected in the life of the universe.
type fingerprint [16]byte

func (f fingerprint) compare(g fingerprint) int { return bytes.Compare(f[:], g[:]) }

// record is a line of the journal.
type record struct {
	Path      string    `json:"path,omitempty"`       // absolute
	PathBytes []byte    `json:"path_bytes,omitempty"` // instead of Path where that is not UTF-8
	Offset    int64     `json:"offset,omitempty"`     // in its archive, where one name can be twice
	Size      int64     `json:"size"`                 // bytes
	Modified  time.Time `json:"modified"`
	Study     string    `json:"study"`
	Series    string    `json:"series"`
	Instance  string    `json:"instance"`
	CRC64NVME string    `json:"crc64nvme,omitempty"` // of the bytes sent, as S3 writes it; not of what has not been sent whole
	Outcome   string    `json:"outcome"`             // see below
	Reason    string    `json:"reason,omitempty"`    // of failed
	Time      time.Time `json:"time"`
}

// Outcomes of a record.
const (
	outcomeSending    = "sending" // on its way for the first time in a run
	outcomeStored     = "stored"
	outcomeUnverified = "unverified" // see Counts.Unverified
	outcomeFailed     = "failed"
	outcomeWalking    = "walking" // of a run, whose path is that of Options.inputs: it has begun
	outcomeWalked     = "walked"  // of such a run: everything that its walk has found has an outcome
)

// opening is the first line: it keeps another file from being taken for a journal, and
// what one service has stored from being left out at another.
type opening struct {
	Journal string `json:"journal"`
	URL     string `json:"url"`
	Sums    bool   `json:"sums,omitempty"` // each line has a checksum
}

const journalName = "stowrs send"

// openJournal reads a journal, or begins one; an empty name gives none. It drops a last
// line that was not written whole.
func openJournal(name string, target *url.URL) (*journal, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // documented: no journal
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // reading a pipe would wait for ever
		return nil, fmt.Errorf("--journal: %s is not a regular file", name)
	}
	j := &journal{
		lock: flock.New(lockedFile(name), flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(0o600)),
		sent: make(map[fingerprint]struct{}),
	}
	locked, err := j.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("--journal: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("--journal: another process is using %s", name)
	}
	j.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the user names the file
	if err == nil {
		err = j.read(urlOf(target))
	}
	if err != nil {
		_ = errors.Join(j.file.Close(), j.lock.Close()) // the other error says more
		return nil, fmt.Errorf("--journal: %s: %w", name, err)
	}
	return j, nil
}

// lockedFile is the journal itself, so that no link to it evades the lock; but where a lock keeps its holder from reading by another handle, a file beside it.
func lockedFile(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".lock"
	}
	return name
}

// urlOf is the service without what may be secret.
func urlOf(target *url.URL) string {
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path, RawPath: target.RawPath}).String()
}

// knows reports whether the file was stored by an earlier run and has not changed since.
func (j *journal) knows(c candidate) bool {
	if j == nil {
		return false
	}
	_, known := slices.BinarySearchFunc(j.stored, fingerprintOf(placed(absolute(c.path), c.place()), c.size, c.modified), fingerprint.compare)
	return known // stored and sent are only read since openJournal
}

// wasSending reports whether an earlier run has begun to send the file and has not learnt what came of it.
func (j *journal) wasSending(c candidate) bool {
	if j == nil {
		return false
	}
	_, known := j.sent[fingerprintOf(placed(absolute(c.path), c.place()), c.size, c.modified)]
	return known
}

// jsonPath is a path as JSON can say it: text, or bytes where it is not UTF-8.
func jsonPath(path string) (text string, raw []byte) {
	if utf8.ValidString(path) {
		return path, nil
	}
	return "", []byte(path)
}

// begin writes that instances are on their way.
func (j *journal) begin(instances []*instance) error {
	return j.write(instances, func(*instance) string { return outcomeSending })
}

// settle writes what has become of instances.
func (j *journal) settle(instances []*instance) error {
	return j.write(instances, func(i *instance) string {
		switch {
		case i.fate == failed:
			return outcomeFailed
		case i.unverified:
			return outcomeUnverified
		}
		return outcomeStored
	})
}

// tell writes how far a run of these inputs has come. Until it has come to its end, files may be missing of which no line tells.
func (j *journal) tell(inputs, outcome string) error {
	if j == nil {
		return nil
	}
	return j.append(appendLine(nil, record{Path: inputs, Outcome: outcome, Time: time.Now().UTC()}))
}

func (j *journal) write(instances []*instance, outcome func(*instance) string) error {
	if j == nil || len(instances) == 0 {
		return nil
	}
	var lines []byte
	now := time.Now().UTC()
	for _, i := range instances {
		r := record{
			Offset: i.place(), Size: i.size, Modified: time.Unix(0, i.modified).UTC(),
			Study: i.studyInstanceUID, Series: i.seriesInstanceUID, Instance: i.sopInstanceUID, Outcome: outcome(i), Time: now,
		}
		path := absolute(i.path)
		r.Path, r.PathBytes = jsonPath(path[:min(len(path), longestName)]) // what has a longer one has failed
		if i.sentWhole {
			r.CRC64NVME = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, i.crc64nvme))
		}
		if r.Outcome == outcomeFailed {
			r.Reason = outcomeOf(i).String()
		}
		lines = appendLine(lines, r)
	}
	return j.append(lines)
}

func (j *journal) append(lines []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		if _, err := j.file.Write(lines); err != nil {
			j.err = fmt.Errorf("--journal: %w", err)
		}
	}
	return j.err
}

// close makes the journal durable and lets others use it.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close(), j.lock.Close())
}

// placed is what a fingerprint takes for the path.
func placed(path string, offset int64) string {
	if offset == 0 {
		return path
	}
	return path + "\x00" + strconv.FormatInt(offset, 10)
}

func fingerprintOf(path string, size, modified int64) fingerprint {
	b := binary.BigEndian.AppendUint64([]byte(path+"\x00"), uint64(size))    //nolint:gosec // any bits will do
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(modified))) //nolint:gosec // the same
	return fingerprint(sum[:16])
}
