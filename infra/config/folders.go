package config

import (
	"os"
	"path/filepath"
)

// Folder resolves a SourceDirectory of the configuration, which is relative to
// the folder infra, whether the cdk CLI runs there or at the root of the repository.
func Folder(sourceDirectory string) string {
	if filepath.IsAbs(sourceDirectory) {
		return filepath.Clean(sourceDirectory)
	}
	if _, err := os.Stat(filepath.Join("infra", "config.go")); err == nil {
		return filepath.Join("infra", sourceDirectory)
	}
	return filepath.Clean(sourceDirectory)
}
