package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// maxFileBytes limits each file, to about 500 client certificates.
const maxFileBytes = 1 << 20

// errAbsent reports that the source answers, but has no such file.
var errAbsent = errors.New("no such file")

// source has the certificates: a bucket or a folder.
type source interface {
	// read returns the content of a file. The error is errAbsent if there is no such file, otherwise a
	// problem with its remedy.
	read(ctx context.Context, name string) ([]byte, error)
	// place describes the source for people.
	place() string
}

// folder is the source of CERT_MODE=LOCAL. Its file system may hang, for example if it is on a file server that is down.
type folder struct {
	path string

	mu      sync.Mutex
	hanging map[string]bool // files that are being read
}

func newFolder(path string) *folder { return &folder{path: path, hanging: map[string]bool{}} }

func (f *folder) place() string { return "the folder " + f.path }

func (f *folder) read(ctx context.Context, name string) ([]byte, error) {
	path := filepath.Join(f.path, name)
	if !f.begin(name) {
		return nil, hangs(path)
	}
	type outcome struct {
		content []byte
		err     error
	}
	read := make(chan outcome, 1)
	go func() { // a context does not end a system call that hangs
		content, err := f.readFile(path)
		f.end(name) // before the result is sent, so that the next look does not find it still being read
		read <- outcome{content, err}
	}()
	select {
	case o := <-read:
		return o.content, o.err
	case <-ctx.Done():
		return nil, hangs(path)
	}
}

func hangs(path string) problem {
	return problem{path, "it cannot be read: the file system does not answer", "check the mount, and the file server behind it"}
}

func (f *folder) begin(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hanging[name] {
		return false
	}
	f.hanging[name] = true
	return true
}

func (f *folder) end(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hanging, name)
}

func (f *folder) readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the folder is configured, the name is one of ours; a pipe without a writer would hang
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
			return nil, problem{f.path, "the folder does not exist", "mount the folder with the certificates there, or correct CERT_FOLDER"}
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, problem{path, "it cannot be read: it is a symbolic link to what is not there", "check the mount that it points into, or remove it"}
		}
		return nil, errAbsent
	case errors.Is(err, fs.ErrPermission):
		return nil, problem{path, "it cannot be read: permission denied", fmt.Sprintf("let user %d of the container read it (chown or chmod), or give the container the file's owner as its user", os.Getuid())}
	case err != nil:
		return nil, problem{path, "it cannot be read: " + err.Error(), "check the mount"}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, problem{path, "it cannot be read: " + err.Error(), "check the mount"}
	}
	if !info.Mode().IsRegular() {
		return nil, problem{path, "it cannot be read: it is " + kindOf(info.Mode()), "put a file in PEM there"}
	}
	return readAll(file, path)
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

func kindOf(mode fs.FileMode) string {
	if mode.IsDir() {
		return "a directory"
	}
	return "no file, but " + mode.Type().String()
}
