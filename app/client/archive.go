package client

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Limits that protect against malicious archives.
const (
	// directoryBytes limits the index of a zip, which is in memory while the archive is walked: with 100 bytes per file, 160,000 files.
	directoryBytes = 16 << 20
	// mostExpansion is the highest ratio of deflate: 258 bytes from 2 bits (RFC 1951).
	// A zip that declares more uses the same bytes for several files.
	mostExpansion = 1032
	// longestName limits the path of a file in an archive, in bytes: a tar can contain names of a MiB, but a line of the journal has room only for a path of this length, escaped.
	longestName = 8 << 10
)

var (
	errDirectory = fmt.Errorf("its index is longer than %d MiB; unpack it, or make several of it", directoryBytes>>20)
	errExpansion = errors.New("it says that it holds more than can be packed into it, so it is damaged; copy it again, or leave it out by --exclude")
	errEncrypted = errors.New("it is encrypted; unpack it, or leave it out by --exclude")
	errSparse    = errors.New("it is a sparse file, which is not read; unpack it")
	errCut       = errors.New("the archive ends before it does; copy the archive again")
	errNested    = errors.New("an archive in an archive is not read: unpack the outer one, or leave this one out by --exclude")
	errUnread    = errors.New("an archive of this kind is not read: unpack it, or leave it out by --exclude")
	errType      = errors.New("it is of a type that is not known; unpack it")
	errBehind    = errors.New("something follows its end, as where two archives are joined; unpack it")
	errLongName  = fmt.Errorf("its path is longer than %d KiB; unpack it", longestName>>10)
)

// archiveKind recognises an archive by its name; empty: the file is not an archive.
func archiveKind(name string) string {
	name = strings.ToLower(name)
	for _, kind := range []string{".zip", ".tar", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(name, kind) {
			return kind
		}
	}
	return ""
}

// unreadKinds matches the names of archives that may contain instances, but that send cannot read.
var unreadKinds = regexp.MustCompile(`(?i)\.(gz|bz2|tbz2?|xz|txz|zst|7z|rar)$`)

// Why parts of an archive are skipped.
const (
	whyLink  = "a link in an archive, to what is sent from its own place if it is in there"
	whyEmpty = "an archive with nothing in it"
)

// archive walks the files in an archive like those of a folder, in the order of the archive. If the archive cannot be
// read to its end, it is reported as failed; the files before the error are still sent.
func (w *walk) archive(ctx context.Context, name string, info fs.FileInfo) error {
	if w.unpacker == nil {
		w.unpacker = new(unpacker)
	}
	var err error
	switch archiveKind(name) {
	case ".zip":
		err = w.zip(ctx, name, info)
	case ".tar":
		err = w.tar(ctx, name, info)
	default:
		err = w.tarGzip(ctx, name, info)
	}
	var stopped *stoppedError
	if errors.As(err, &stopped) {
		return stopped.error
	}
	if err != nil {
		w.fail(name, fmt.Errorf("the archive cannot be read to its end: %w", err))
	}
	return nil
}

// stoppedError marks an error that ends the walk, and is not a fault of the archive.
type stoppedError struct{ error }

// indexed limits how much of a zip is read before its files: the index and the local headers.
type indexed struct {
	*os.File
	left int64
}

// ReadAt implements io.ReaderAt.
func (i *indexed) ReadAt(p []byte, offset int64) (int, error) {
	if i.left -= int64(len(p)); i.left < 0 {
		return 0, errDirectory
	}
	return i.File.ReadAt(p, offset)
}

func (w *walk) zip(ctx context.Context, name string, info fs.FileInfo) error {
	file, err := os.Open(name) //nolint:gosec // the user names what is read
	if err != nil {
		return err
	}
	defer file.Close()
	source := &indexed{file, directoryBytes}
	reader, err := zip.NewReader(source, info.Size())
	if err != nil {
		return err
	}
	if len(reader.File) == 0 {
		w.pass(name, whyEmpty)
	}
	total := uint64(info.Size()) * mostExpansion //nolint:gosec // a size
	for _, f := range reader.File {
		if f.UncompressedSize64 > total {
			return errExpansion
		}
		total -= f.UncompressedSize64
		source.left = directoryBytes // for the local header
		switch mode := f.Mode(); {
		case mode&fs.ModeSymlink != 0:
			w.pass(filepath.Join(name, inArchive(f.Name)), whyLink)
			continue
		case mode.IsDir() && f.UncompressedSize64 == 0:
			continue
		}
		offset, err := f.DataOffset()
		packed, size := int64(f.CompressedSize64), int64(f.UncompressedSize64) //nolint:gosec // the first is compared, the second is bounded above
		switch {
		case err != nil:
		case f.Flags&1 != 0:
			err = errEncrypted
		case f.Method != zip.Store && f.Method != zip.Deflate:
			err = describeMethod(f.Method)
		case packed < 0 || packed > info.Size()-offset || f.Method == zip.Store && packed != size:
			err = errCut
		}
		place := &member{archive: name, size: info.Size(), offset: offset, packed: packed, method: f.Method, crc32: f.CRC32, checked: true}
		if err := w.member(ctx, f.Name, candidate{size: size, modified: info.ModTime().UnixNano(), member: place}, err); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) tar(ctx context.Context, name string, info fs.FileInfo) error {
	file, err := os.Open(name) //nolint:gosec // the user names what is read
	if err != nil {
		return err
	}
	defer file.Close()
	return w.headers(ctx, name, file, func(h *tar.Header) (*member, error) {
		offset, err := file.Seek(0, io.SeekCurrent) // a tar.Reader reads no further than it must
		if err == nil && h.Size > info.Size()-offset {
			err = errCut
		}
		return &member{archive: name, size: info.Size(), offset: offset, packed: h.Size, method: zip.Store}, err
	}, info)
}

func (w *walk) tarGzip(ctx context.Context, name string, info fs.FileInfo) error {
	reading, err := w.unpacker.begin(name)
	if err != nil {
		return err
	}
	defer reading.file.Close()
	err = w.headers(ctx, name, reading, func(*tar.Header) (*member, error) {
		return &member{archive: name, size: info.Size(), offset: reading.at, unpacker: w.unpacker}, nil
	}, info) // this reads to the end, so gzip has checked its checksum
	if stopped := context.Cause(ctx); stopped != nil {
		return &stoppedError{stopped}
	}
	return err
}

// headers walks a tar. It reads one header at a time, and finally checks what follows the end of the tar.
func (w *walk) headers(ctx context.Context, name string, from io.Reader, place func(*tar.Header) (*member, error), info fs.FileInfo) error {
	reader := tar.NewReader(from)
	for n := 0; ; n++ {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				w.pass(name, whyEmpty)
			}
			return zeros(from)
		}
		if err != nil {
			return err
		}
		at, err := place(h)
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont:
			if isSparse(h) {
				err = errSparse
			}
		case tar.TypeGNUSparse:
			err = errSparse
		case tar.TypeLink, tar.TypeSymlink:
			w.pass(filepath.Join(name, inArchive(h.Name)), whyLink)
			continue
		case tar.TypeDir, dumpDir, tar.TypeXGlobalHeader, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
			continue
		default:
			if h.Size == 0 { // the label of a volume
				continue
			}
			err = errType
		}
		if err := w.member(ctx, h.Name, candidate{size: h.Size, modified: info.ModTime().UnixNano(), member: at}, err); err != nil {
			return err
		}
	}
}

// dumpDir is the type of a folder, with a list of its entries, in an incremental archive of GNU tar.
const dumpDir = 'D'

// zeros reads to the end. It fails if it finds anything but the zeros that pad a tar, such as a damaged header or a second tar.
func zeros(from io.Reader) error {
	for buffer := make([]byte, 64<<10); ; {
		n, err := from.Read(buffer)
		if len(bytes.Trim(buffer[:n], "\x00")) > 0 {
			return errBehind
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// inArchive is the path of a file from the root of its archive: it begins with a slash, and has no "..".
func inArchive(name string) string { return path.Clean("/" + strings.ReplaceAll(name, `\`, "/")) }

// member handles one file in an archive. If the file cannot be sent, why is the reason; otherwise it is nil.
func (w *walk) member(ctx context.Context, name string, c candidate, why error) error {
	if err := context.Cause(ctx); err != nil {
		return &stoppedError{err}
	}
	inside := inArchive(name)
	c.path = filepath.Join(c.member.archive, inside)
	for folder := path.Dir(inside); folder != "/"; folder = path.Dir(folder) {
		if w.wanted.excludes(filepath.Join(c.member.archive, folder)) {
			return nil
		}
	}
	switch {
	case !w.wanted.takes(c.path):
	case strings.EqualFold(path.Base(inside), dicomdir):
		w.pass(c.path, whyDICOMDIR)
	case archiveKind(inside) != "":
		w.fail(c.path, errNested)
	case len(c.path) > longestName:
		w.fail(c.path, errLongName)
	case why != nil:
		w.fail(c.path, why)
	default:
		if err := w.found(ctx, c); err != nil {
			return &stoppedError{err}
		}
	}
	return nil
}
