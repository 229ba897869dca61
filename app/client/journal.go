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

// journal is the file of --journal. It records what was sent and with which outcome, so that another run
// continues where this one ends, even if it is killed. Lines are only appended, one JSON object
// per line; an instance is recorded as stored after the service has confirmed it. Lines are written
// immediately, so they survive the end of the process. (If the machine fails, the last lines may be
// lost: their instances are sent again, and no instance counts as stored that is not.)
//
// It needs 16 bytes of memory for each instance that an earlier run has stored.
// A nil journal knows nothing and writes nothing. Safe for concurrent use.
type journal struct {
	file *os.File
	lock *flock.Flock // on the file itself, so that links to it are locked as well; ends with the process
	sums bool         // each line has a checksum; false for a journal of an old version

	mu     sync.Mutex
	stored []fingerprint            // by earlier runs, in order
	sent   map[fingerprint]struct{} // by earlier runs, without an outcome
	err    error                    // of the first write that failed; nothing is written after it
}

// fingerprint is a hash of a path, a size and a modification time. With 128 bits, a collision
// among 10^9 files has a probability of about 10^-21.
type fingerprint [16]byte

func (f fingerprint) compare(g fingerprint) int { return bytes.Compare(f[:], g[:]) }

// record is a line of the journal.
type record struct {
	Path      string    `json:"path,omitempty"`       // absolute
	PathBytes []byte    `json:"path_bytes,omitempty"` // instead of Path if the path is not UTF-8
	Offset    int64     `json:"offset,omitempty"`     // bytes, in its archive, which can contain a name twice
	Size      int64     `json:"size"`                 // bytes
	Modified  time.Time `json:"modified"`
	Study     string    `json:"study"`
	Series    string    `json:"series"`
	Instance  string    `json:"instance"`
	CRC64NVME string    `json:"crc64nvme,omitempty"` // of the bytes sent, as S3 writes it; empty if not all were sent
	Outcome   string    `json:"outcome"`             // see below
	Reason    string    `json:"reason,omitempty"`    // of the outcome "failed"
	Time      time.Time `json:"time"`
}

// Outcomes of a record.
const (
	outcomeSending    = "sending" // this run begins to send it
	outcomeStored     = "stored"
	outcomeUnverified = "unverified" // see Counts.Unverified
	outcomeFailed     = "failed"
	outcomeWalking    = "walking" // a run has begun; the path is Options.inputs
	outcomeWalked     = "walked"  // such a run has ended: everything that its walk found has an outcome
)

// opening is the first line. It shows that a file is a journal, and of which service: what one service
// has stored must not be skipped for another.
type opening struct {
	Journal string `json:"journal"`
	URL     string `json:"url"`
	Sums    bool   `json:"sums,omitempty"` // each line has a checksum
}

const journalName = "stowrs send"

// openJournal reads a journal, or begins one; an empty name gives nil. It removes an
// incomplete last line.
func openJournal(name string, target *url.URL) (*journal, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // documented: no journal
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // reading a pipe would wait for ever
		return nil, fmt.Errorf("--journal: %s is not a regular file; give the path of one, which is made if there is none", name)
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
		return nil, fmt.Errorf("--journal: another process is using %s; wait for its end, or give this run another journal", name)
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

// lockedFile is the file to lock: the journal itself, so that a link to it is locked as well. On Windows a lock would also stop
// its holder from reading by another handle, so a file beside the journal is locked.
func lockedFile(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".lock"
	}
	return name
}

// urlOf is the URL of the service without user, password and query, which may be secret.
func urlOf(target *url.URL) string {
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path, RawPath: target.RawPath}).String()
}

// knows reports whether the file was stored by an earlier run and has not changed since.
func (j *journal) knows(c candidate) bool {
	if j == nil {
		return false
	}
	_, known := slices.BinarySearchFunc(j.stored, fingerprintOf(placed(absolute(c.path), c.place()), c.size, c.modified), fingerprint.compare)
	return known // needs no lock: stored and sent do not change after openJournal
}

// wasSending reports whether an earlier run began to send the file, and recorded no outcome.
func (j *journal) wasSending(c candidate) bool {
	if j == nil {
		return false
	}
	_, known := j.sent[fingerprintOf(placed(absolute(c.path), c.place()), c.size, c.modified)]
	return known
}

// jsonPath is a path in a form that JSON can represent: text, or bytes if it is not UTF-8.
func jsonPath(path string) (text string, raw []byte) {
	if utf8.ValidString(path) {
		return path, nil
	}
	return "", []byte(path)
}

// begin records that sending of these instances begins.
func (j *journal) begin(instances []*instance) error {
	return j.write(instances, func(*instance) string { return outcomeSending })
}

// settle records the outcomes of instances.
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

// tell records that a run with these inputs has begun, or has ended. If it has not ended, there may be files without any line.
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
		r.Path, r.PathBytes = jsonPath(path[:min(len(path), longestName)]) // a file with a longer path has failed
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

// placed is the path in a fingerprint, with the offset in its archive.
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
