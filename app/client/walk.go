package client

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// candidate is a regular file that the walk has found and that may be an instance.
type candidate struct {
	path     string  // for a file in an archive: the path of the archive, followed by the path in it
	size     int64   // bytes
	modified int64   // nanoseconds since 1970; for a file in an archive, of the archive
	member   *member // nil: the file is not in an archive
}

// walk finds the files in the paths of the command line. It keeps nothing about a file after it
// has reported it, so its memory does not grow with the number of files.
//
// The paths come in the given order, the entries of a folder in lexical order. Symbolic
// links to files are followed, links to folders only if they are one of the paths, so
// a walk cannot loop. A file or folder that is reached by two of the paths is found only
// once, and a link to a file that the walk reaches anyway is skipped.
type walk struct {
	wanted filter
	found  func(ctx context.Context, c candidate) error // may block; its error ends the walk
	pass   func(path, why string)                       // reports what is skipped, because it is not an instance
	fail   func(path string, err error)                 // reports what could not be read, and may contain instances

	unpacker *unpacker // for tar.gz archives; nil: the walk makes one

	roots []root
	list  io.ReadCloser // further paths, one per line; nil: none
}

// root is one of the paths.
type root struct {
	path   string
	place  string // absolute, without symbolic links
	folder bool
	info   fs.FileInfo
}

// begin checks the paths before the walk, which may take long. A path that does not exist is an error.
func (w *walk) begin(paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("look for instances: %w", err)
		}
		if !info.IsDir() && archiveKind(path) == "" && !w.wanted.takes(path) {
			continue // not a root: a later path may lead to the same file by a name that the filter takes
		}
		w.roots = append(w.roots, root{path: path, place: realPath(path), folder: info.IsDir(), info: info})
	}
	return nil
}

// run walks the paths that begin has checked. The error is that of w.found, or the cause of ctx.
func (w *walk) run(ctx context.Context) error {
	for n, r := range w.roots {
		var err error
		switch {
		case w.listed(r.place, n):
			w.pass(r.path, "listed before")
		case r.folder:
			err = w.folder(ctx, r.path, r.place, n)
		default:
			err = w.file(ctx, r.path, r.info)
		}
		if err != nil {
			return err
		}
	}
	return w.listedPaths(ctx)
}

// listed reports whether one of the first n roots is, or contains, the place.
func (w *walk) listed(place string, n int) bool {
	return slices.ContainsFunc(w.roots[:n], func(r root) bool {
		return place == r.place || r.folder && strings.HasPrefix(place, strings.TrimSuffix(r.place, string(filepath.Separator))+string(filepath.Separator))
	})
}

// folder walks one folder. index is that of its root.
func (w *walk) folder(ctx context.Context, path, place string, index int) error {
	for after, more := "", true; more; {
		var entries []entry
		var err error
		entries, more, err = readFolder(path, after, folderWindow)
		if err != nil {
			w.fail(path, err) // the entries before the error are valid
		}
		for _, e := range entries {
			if err := w.entry(ctx, e, filepath.Join(path, e.name), filepath.Join(place, e.name), index); err != nil {
				return err
			}
			after = e.name
		}
	}
	return nil
}

func (w *walk) entry(ctx context.Context, e entry, path, place string, index int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(w.roots[:index], func(r root) bool { return r.place == place }) {
		w.pass(path, "listed before")
		return nil
	}
	if e.kind.IsDir() {
		if w.wanted.excludes(path) {
			return nil
		}
		return w.folder(ctx, path, place, index)
	}
	info, err := os.Stat(path) // the only Stat of this file in the walk
	switch link := e.kind&fs.ModeSymlink != 0; {
	case err != nil:
		w.fail(path, err)
		return nil
	case link && info.IsDir():
		w.pass(path, "a symbolic link to a folder")
		return nil
	case link && w.wanted.all() && w.listed(realPath(path), len(w.roots)): // with a filter, the file may be left out at its own place
		w.pass(path, "a symbolic link to a file that is sent from its own place")
		return nil
	}
	return w.file(ctx, path, info)
}

// This name is reserved for the index of a medium (PS3.10 §8.6), which must not be stored.
const (
	dicomdir    = "DICOMDIR"
	whyDICOMDIR = "an index of a DICOM medium"
)

func (w *walk) file(ctx context.Context, path string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular() && archiveKind(path) != "":
		if w.wanted.excludes(path) {
			return nil
		}
		return w.archive(ctx, path, info)
	case !w.wanted.takes(path):
		return nil
	case !info.Mode().IsRegular(): // opening a named pipe would wait for ever
		w.pass(path, "not a regular file")
		return nil
	case strings.EqualFold(filepath.Base(path), dicomdir):
		w.pass(path, whyDICOMDIR)
		return nil
	}
	return w.found(ctx, candidate{path: path, size: info.Size(), modified: info.ModTime().UnixNano()})
}

// realPath is absolute and without symbolic links, as far as they can be resolved.
func realPath(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}
