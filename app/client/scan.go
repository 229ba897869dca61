package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/storeresponse"
)

// headWindow is how many bytes of a file are looked at, at least, to find its UIDs:
// the default HEADWINDOW of the service. Longer files are looked at whole if need be,
// because other services may look further.
const headWindow = 32 << 20

// scan is a walk over the paths of the command line.
type scan struct {
	skip func(path, why string)

	skipped   int
	instances []*instance     // in the order of the walk; some have failed already
	seen      map[string]bool // paths without symbolic links
}

// scanPaths lists the DICOM instances in files and folders: the paths in the order
// given, each folder in lexical order. Symbolic links are followed to files, and to
// folders only where the link is one of the paths, so a walk cannot loop. A file that
// is reached twice is listed once. What is no instance is counted and told to skip.
// What cannot be read, or is an instance without the UIDs that name it, is listed as
// failed. A path that does not exist is an error.
func scanPaths(ctx context.Context, paths []string, skip func(path, why string)) (*scan, error) {
	s := &scan{skip: skip, seen: make(map[string]bool)}
	infos := make([]fs.FileInfo, len(paths))
	for n, path := range paths { // all, before a long walk
		var err error
		if infos[n], err = os.Stat(path); err != nil {
			return nil, fmt.Errorf("look for instances: %w", err)
		}
	}
	for n, path := range paths {
		var err error
		if info := infos[n]; info.IsDir() {
			err = s.folder(ctx, path)
		} else {
			err = s.file(ctx, path, info)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// folder walks path. The error is that of a cancelled context only.
func (s *scan) folder(ctx context.Context, path string) error {
	entries, err := os.ReadDir(path) // sorted; what was read before an error is good
	if err != nil {
		s.unreadable(path, err)
	}
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		info, err := os.Stat(name)
		switch {
		case err != nil:
			s.unreadable(name, err)
		case info.IsDir() && entry.Type()&fs.ModeSymlink != 0:
			s.pass(name, "a symbolic link to a folder")
		case info.IsDir():
			if err := s.folder(ctx, name); err != nil {
				return err
			}
		default:
			if err := s.file(ctx, name, info); err != nil {
				return err
			}
		}
	}
	return nil
}

// file identifies one file. The error is that of a cancelled context only.
func (s *scan) file(ctx context.Context, path string, info fs.FileInfo) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for ever
		s.pass(path, "not a regular file")
		return nil
	}
	if strings.EqualFold(filepath.Base(path), "DICOMDIR") {
		// The name is reserved for the index of a medium (PS3.10 §8.6), which is no instance to store.
		s.pass(path, "an index of a DICOM medium")
		return nil
	}
	if s.again(path) {
		s.pass(path, "listed before")
		return nil
	}
	i := &instance{path: path, size: info.Size(), modified: info.ModTime()}
	if err := s.identify(i); errors.Is(err, dicom.ErrNotDICOM) {
		s.pass(path, "not DICOM")
		return nil
	}
	s.instances = append(s.instances, i)
	return nil
}

// identify fills in the SOP Instance UID, or fails the instance. The error is ErrNotDICOM
// only for a file that does not claim to be DICOM: a damaged instance must not pass for
// something that there was no need to send.
func (s *scan) identify(i *instance) error {
	file, err := os.Open(i.path)
	if err != nil {
		i.fail(0, describeFileError(err))
		return nil
	}
	defer file.Close()

	const prefixOffset, prefix = 128, "DICM" // PS3.10 §7.1
	head := make([]byte, len(prefix))
	_, err = file.ReadAt(head, prefixOffset)
	claimsDICOM := err == nil && string(head) == prefix

	identity, err := dicom.Identify(io.NewSectionReader(file, 0, i.size), max(headWindow, i.size+1))
	i.sopInstanceUID = identity.SOPInstanceUID
	var missing *dicom.UIDError
	switch {
	case err == nil:
	case errors.As(err, &missing) && missing.Empty:
		i.fail(storeresponse.ReasonMissingAttributeValue, err.Error())
	case errors.As(err, &missing):
		i.fail(storeresponse.ReasonMissingAttribute, err.Error())
	case errors.Is(err, dicom.ErrNotDICOM) && !claimsDICOM:
		return dicom.ErrNotDICOM
	case errors.Is(err, dicom.ErrNotDICOM):
		i.fail(storeresponse.ReasonCannotUnderstand, err.Error())
	default:
		i.fail(0, describeFileError(err))
	}
	return nil
}

// again reports whether path leads to a file that was seen before.
func (s *scan) again(path string) bool {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if s.seen[path] {
		return true
	}
	s.seen[path] = true
	return false
}

func (s *scan) pass(path, why string) {
	s.skipped++
	s.skip(path, why)
}

// unreadable lists a path that may hide instances as failed.
func (s *scan) unreadable(path string, err error) {
	i := &instance{path: path}
	i.fail(0, describeFileError(err))
	s.instances = append(s.instances, i)
}
