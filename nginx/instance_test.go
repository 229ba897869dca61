package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// UIDs of ../dcm-samples/slice-1.dcm.
const (
	sampleStudyUID    = "2.25.289846586119708389785202274281271797771"
	sampleInstanceUID = "2.25.204323656306592224556198627257499024338"
)

var serial atomic.Int64

// instance is a sample with its own Study and SOP Instance UID, and with Data Set
// Trailing Padding (PS3.10 §7.2) up to its size.
type instance struct {
	head      []byte
	study     string
	uid       string
	sizeBytes int64
}

func newInstance(t testing.TB, sizeBytes int64) instance {
	t.Helper()
	sample, err := os.ReadFile("../dcm-samples/slice-1.dcm")
	if err != nil {
		t.Fatal(err)
	}
	number := fmt.Sprintf("%09d", serial.Add(1))
	i := instance{study: sampleStudyUID[:len(sampleStudyUID)-9] + number, uid: sampleInstanceUID[:len(sampleInstanceUID)-9] + number}
	for uid, own := range map[string]string{sampleStudyUID: i.study, sampleInstanceUID: i.uid} {
		if !bytes.Contains(sample, []byte(uid)) {
			t.Fatalf("the sample has no UID %s", uid)
		}
		sample = bytes.ReplaceAll(sample, []byte(uid), []byte(own))
	}
	i.head, i.sizeBytes = sample, int64(len(sample))
	if paddingBytes := sizeBytes - i.sizeBytes - 12; paddingBytes > 0 {
		paddingBytes += paddingBytes % 2
		i.head = append(i.head, 0xFC, 0xFF, 0xFC, 0xFF, 'O', 'B', 0, 0)
		i.head = binary.LittleEndian.AppendUint32(i.head, uint32(paddingBytes))
		i.sizeBytes = int64(len(i.head)) + paddingBytes
	}
	return i
}

// reader streams the instance.
func (i instance) reader() io.Reader {
	return io.MultiReader(bytes.NewReader(i.head), io.LimitReader(&pattern{}, i.sizeBytes-int64(len(i.head))))
}

func (i instance) sum(t testing.TB) [sha256.Size]byte {
	t.Helper()
	return sum(t, i.reader())
}

func sum(t testing.TB, r io.Reader) [sha256.Size]byte {
	t.Helper()
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// pattern is an endless reader. Its bytes do not depend on the sizes of the reads.
type pattern struct{ offset int }

var patternBytes = bytes.Repeat([]byte("stowrs-to-s3 "), 4096)

// Read implements io.Reader.
func (r *pattern) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		copied := copy(p[n:], patternBytes[r.offset:])
		n += copied
		r.offset = (r.offset + copied) % len(patternBytes)
	}
	return len(p), nil
}

// gate lets the first half of a body pass, and the second half after it is opened.
type gate struct {
	first, second io.Reader
	passed        chan struct{} // closed when the first half has been read
	open          chan struct{}
	firstEnded    bool
}

func newGate(i instance) *gate {
	r, half := i.reader(), i.sizeBytes/2
	return &gate{first: io.LimitReader(r, half), second: r, passed: make(chan struct{}), open: make(chan struct{})}
}

// Read implements io.Reader.
func (g *gate) Read(p []byte) (int, error) {
	if !g.firstEnded {
		n, err := g.first.Read(p)
		if err != io.EOF {
			return n, err
		}
		g.firstEnded = true
		close(g.passed)
		if n > 0 {
			return n, nil
		}
	}
	<-g.open
	return g.second.Read(p)
}
