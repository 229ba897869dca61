package client

import (
	"cmp"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"sync"
)

// mostUnpacking is how many gzip streams are kept open, to be continued where they are.
const mostUnpacking = 8

// unpacker reads members of tar.gz archives. A gzip stream can only be read from the front,
// so it stays open after one member and is continued for the next. Safe for concurrent use.
type unpacker struct {
	stopped func() error // ends every reading; nil: nothing does

	mu   sync.Mutex
	idle []*unpacking // the one that has been idle longest is first
}

// unpacking is one open gzip stream.
type unpacking struct {
	archive string
	stopped func() error
	file    *os.File
	gzip    *gzip.Reader
	at      int64 // offset in the unpacked stream
}

// Read implements io.Reader.
func (u *unpacking) Read(p []byte) (int, error) {
	if u.stopped != nil && u.stopped() != nil {
		return 0, u.stopped()
	}
	n, err := u.gzip.Read(p)
	u.at += int64(n)
	return n, err
}

func (u *unpacker) begin(archive string) (*unpacking, error) {
	file, err := os.Open(archive) //nolint:gosec // the user names what is read
	if err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &unpacking{archive: archive, stopped: u.stopped, file: file, gzip: reader}, nil
}

func (u *unpacker) open(c candidate) (*content, error) {
	from := u.take(c)
	if from == nil {
		var err error
		if from, err = u.begin(c.member.archive); err != nil {
			return nil, err
		}
	}
	if _, err := io.CopyN(io.Discard, from, c.member.offset-from.at); err != nil {
		_ = from.file.Close()
		return nil, unexpected(err)
	}
	return &content{Reader: io.LimitReader(from, c.size), file: from.file, closer: giveBack{u, from}}, nil
}

// take returns the idle stream that is nearest before the member; nil: there is none.
func (u *unpacker) take(c candidate) *unpacking {
	u.mu.Lock()
	defer u.mu.Unlock()
	best := -1
	for n, one := range u.idle {
		if one.archive == c.member.archive && one.at <= c.member.offset && (best < 0 || one.at > u.idle[best].at) {
			best = n
		}
	}
	if best < 0 {
		return nil
	}
	one := u.idle[best]
	u.idle = slices.Delete(u.idle, best, best+1)
	if info, err := os.Stat(one.archive); err != nil || !sameFile(one.file, info) {
		_ = one.file.Close()
		return nil
	}
	return one
}

func sameFile(file *os.File, info os.FileInfo) bool {
	opened, err := file.Stat()
	return err == nil && os.SameFile(opened, info)
}

// giveBack makes a stream idle again after a member was read.
type giveBack struct {
	unpacker *unpacker
	reading  *unpacking
}

// Close implements io.Closer.
func (g giveBack) Close() error {
	g.unpacker.mu.Lock()
	defer g.unpacker.mu.Unlock()
	g.unpacker.idle = append(g.unpacker.idle, g.reading)
	if len(g.unpacker.idle) <= mostUnpacking {
		return nil
	}
	oldest := g.unpacker.idle[0]
	g.unpacker.idle = slices.Delete(g.unpacker.idle, 0, 1)
	return oldest.file.Close()
}

// close closes the idle streams.
func (u *unpacker) close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var err error
	for _, one := range u.idle {
		err = cmp.Or(err, one.file.Close())
	}
	u.idle = nil
	return err
}
