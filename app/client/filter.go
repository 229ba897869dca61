package client

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// filter is --include and --exclude. A pattern without a slash is compared with the name of a
// file or folder, a pattern with a slash with the whole path as the walk reports it.
type filter struct {
	include, exclude []string
}

func (f filter) validate() error {
	var violations []error
	for _, pattern := range slices.Concat(f.include, f.exclude) {
		if _, err := filepath.Match(pattern, ""); err != nil {
			violations = append(violations, fmt.Errorf("%q is not a pattern of --include or --exclude: %w", pattern, err))
		}
	}
	return errors.Join(violations...)
}

// all reports whether nothing is left out.
func (f filter) all() bool { return len(f.include)+len(f.exclude) == 0 }

// excludes reports whether a file, or a folder with everything in it, is left out.
func (f filter) excludes(path string) bool { return matches(f.exclude, path) }

// takes reports whether a file is read.
func (f filter) takes(path string) bool {
	return !f.excludes(path) && (len(f.include) == 0 || matches(f.include, path))
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		name := path
		if !strings.ContainsRune(pattern, filepath.Separator) {
			name = filepath.Base(path)
		}
		match, _ := filepath.Match(pattern, name) // validate has checked the pattern
		return match
	})
}
