package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFileBytes bounds each file: some 500 client certificates.
const maxFileBytes = 1 << 20

// errAbsent: the source answers, and has no such file.
var errAbsent = errors.New("no such file")

// source has the certificates: a bucket or a folder.
type source interface {
	// read returns the content of a file; errAbsent when it is not there, else a
	// problem that names the remedy.
	read(ctx context.Context, name string) ([]byte, error)
	// place is where people put the files.
	place() string
}

// folder is the source of CERT_MODE=LOCAL.
type folder string

func (f folder) place() string { return "the folder " + string(f) }

func (f folder) read(_ context.Context, name string) ([]byte, error) {
	path := filepath.Join(string(f), name)
	file, err := os.Open(path) //nolint:gosec // the folder is configured, the name is one of ours
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(string(f)); errors.Is(err, fs.ErrNotExist) {
			return nil, problem{string(f), "the folder does not exist", "mount the folder with the certificates there, or correct CERT_FOLDER"}
		}
		return nil, errAbsent
	case errors.Is(err, fs.ErrPermission):
		return nil, problem{path, "it cannot be read: permission denied", fmt.Sprintf("let user %d of the container read it (chown or chmod), or give the container the file's owner as its user", os.Getuid())}
	case err != nil:
		return nil, problem{path, "it cannot be read: " + err.Error(), "check the mount"}
	}
	defer file.Close()
	content, err := readAll(file, path)
	if err != nil {
		return nil, err
	}
	return content, nil
}

func readAll(r io.Reader, path string) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, problem{path, "it cannot be read: " + err.Error(), "check that it is a file in PEM, and the way to it"}
	}
	if len(content) > maxFileBytes {
		return nil, problem{path, "it has more than 1 MiB", "put certificates in PEM there, and only those that are needed"}
	}
	return content, nil
}
