package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The possible problems of a mount, each with its remedy.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, keyFile), 0o700); err != nil { // Docker makes a folder if the mounted file does not exist
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, truststoreFile), make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newFolder(dir).read(t.Context(), certificateFile); !errors.Is(err, errAbsent) {
		t.Errorf("error %v, want errAbsent", err)
	}
	for name, words := range map[string][]string{keyFile: {"it cannot be read", "directory"}, truststoreFile: {"more than 1 MiB"}} {
		_, err := newFolder(dir).read(t.Context(), name)
		wantProblemWords(t, err, words)
	}
	// A mount that is missing must not look like a folder without revocation lists.
	if err := os.Symlink(filepath.Join(dir, "unmounted"), filepath.Join(dir, crlFile)); err != nil {
		t.Fatal(err)
	}
	_, err := newFolder(dir).read(t.Context(), crlFile)
	wantProblemWords(t, err, []string{"symbolic link", "check the mount"})
	_, err = newFolder(filepath.Join(dir, "none")).read(t.Context(), keyFile)
	wantProblemWords(t, err, []string{"the folder does not exist", "mount the folder"})
}

// If a file is replaced by a pipe while it is read, the reader must not hang; otherwise the file would never be read again.
func TestFileIsSwappedForAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, crlFile)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for ctx.Err() == nil {
			if err := os.WriteFile(path+".file", []byte("a list"), 0o600); err != nil {
				t.Error(err)
			}
			if err := syscall.Mkfifo(path+".pipe", 0o600); err != nil {
				t.Error(err)
			}
			os.Rename(path+".file", path)
			os.Rename(path+".pipe", path)
		}
	})
	f := newFolder(dir)
	for range 5000 {
		patience, end := context.WithTimeout(ctx, 5*time.Second)
		_, err := f.read(patience, crlFile)
		end()
		if err != nil && strings.Contains(err.Error(), "does not answer") {
			t.Fatal(err)
		}
	}
	cancel()
	swapping.Wait()
}
