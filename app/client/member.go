package client

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// member says where in an archive the bytes of a candidate are, so that they can be read
// as often as necessary. Nothing is unpacked to disk.
type member struct {
	archive  string    // path
	size     int64     // of the archive, in bytes
	offset   int64     // of the first byte: in the archive, or, with an unpacker, in the unpacked stream
	packed   int64     // bytes at offset; unused with an unpacker
	method   uint16    // zip.Store or zip.Deflate; unused with an unpacker
	crc32    uint32    // of the file, if checked
	checked  bool      // crc32 is known: the archive is a zip
	unpacker *unpacker // of a tar.gz; otherwise nil
}

var (
	errLonger   = errors.New("the archive is damaged: the file in it is longer than the archive says; copy the archive again")
	errChecksum = errors.New("the archive is damaged: the file in it does not have the checksum that the archive says; copy the archive again")
)

// content is an open candidate. Read at most the size of the candidate; an io.EOF before that is a fault of the file.
type content struct {
	io.Reader
	file   *os.File // the file itself, or the archive
	closer io.Closer
	check  func() error // call it after the last byte; nil: nothing to check
}

// Close ends reading.
func (c *content) Close() error { return c.closer.Close() }

// open opens a candidate for reading from its beginning. The caller closes it.
func (c candidate) open() (*content, error) {
	if c.member != nil && c.member.unpacker != nil {
		return c.member.unpacker.open(c)
	}
	path := c.path
	if c.member != nil {
		path = c.member.archive
	}
	file, err := os.Open(path) //nolint:gosec // the user names what is read
	if err != nil {
		return nil, err
	}
	if c.member == nil {
		return &content{Reader: file, file: file, closer: file}, nil
	}
	packed := io.NewSectionReader(file, c.member.offset, c.member.packed)
	opened := &content{Reader: packed, file: file, closer: file}
	if c.member.method == zip.Deflate {
		opened.Reader = flate.NewReader(packed)
	}
	if c.member.checked {
		opened.verify(c.member.crc32)
	}
	return opened, nil
}

// verify makes check compare length and checksum with those that the zip declares.
func (c *content) verify(want uint32) {
	sum, all := crc32.NewIEEE(), c.Reader
	c.Reader = io.TeeReader(all, sum)
	c.check = func() error {
		if n, err := io.ReadFull(all, make([]byte, 1)); n > 0 {
			return errLonger
		} else if !errors.Is(err, io.EOF) {
			return err
		}
		if sum.Sum32() != want {
			return errChecksum
		}
		return nil
	}
}

// stat is that of the file, or of the archive that contains the candidate.
func (c candidate) stat() (os.FileInfo, error) {
	if c.member != nil {
		return os.Stat(c.member.archive)
	}
	return os.Stat(c.path)
}

// unchanged reports whether the result of stat is still that of the walk.
func (c candidate) unchanged(info os.FileInfo) bool {
	size := c.size
	if c.member != nil {
		size = c.member.size
	}
	return info.Mode().IsRegular() && info.Size() == size && info.ModTime().UnixNano() == c.modified
}

// place distinguishes files with the same name in one archive. The journal uses it.
func (c candidate) place() int64 {
	if c.member == nil {
		return 0
	}
	return c.member.offset
}

// keptBytes is how many bytes of a member are kept in memory while it is identified.
const keptBytes = 256 << 10

// random gives random access to a member. To read before the bytes that it keeps, it begins again at the front.
type random struct {
	candidate
	opened *content
	kept   []byte // the latest bytes: at most keptBytes, or what one ReadAt needs
	start  int64  // offset of kept in the stream
}

// ReadAt implements io.ReaderAt; not for concurrent use.
func (r *random) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.size {
		return 0, io.EOF
	}
	if offset < r.start || r.opened == nil {
		if err := r.begin(); err != nil {
			return 0, err
		}
	}
	want := min(int64(len(p)), r.size-offset)
	if end := r.start + int64(len(r.kept)); offset > end+keptBytes {
		if _, err := io.CopyN(io.Discard, r.opened, offset-end); err != nil {
			return 0, unexpected(err)
		}
		r.kept, r.start = r.kept[:0], offset
	}
	if more := offset + want - r.start - int64(len(r.kept)); more > 0 {
		if drop := int64(len(r.kept)) + more - keptBytes; drop > 0 {
			drop = min(drop, int64(len(r.kept)), offset-r.start)
			r.kept, r.start = append(r.kept[:0], r.kept[drop:]...), r.start+drop
		}
		had := len(r.kept)
		r.kept = append(r.kept, make([]byte, more)...)
		n, err := io.ReadFull(r.opened, r.kept[had:])
		r.kept = r.kept[:had+n]
		if err != nil {
			return 0, unexpected(err)
		}
	}
	n := copy(p, r.kept[offset-r.start:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *random) begin() (err error) {
	_ = r.Close()
	r.kept, r.start = r.kept[:0], 0
	r.opened, err = r.open()
	return err
}

// Close ends reading. It may be called more than once.
func (r *random) Close() error {
	if r.opened == nil {
		return nil
	}
	err := r.opened.Close()
	r.opened = nil
	return err
}

// readable opens a candidate for reading at any place. The caller closes it.
func (c candidate) readable() (interface {
	io.ReaderAt
	io.Closer
}, error,
) {
	if c.member != nil {
		r := &random{candidate: c}
		return r, r.begin()
	}
	return os.Open(c.path)
}

func describeMethod(method uint16) error {
	return fmt.Errorf("it is packed by method %d, which is not read; unpack it", method)
}
