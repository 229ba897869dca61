package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// longestPath limits a line of --files-from, in bytes; no operating system has longer paths.
const longestPath = 64 << 10

var errLongPath = fmt.Errorf("the line is longer than %d KiB, which no path is", longestPath>>10)

// openList opens the file of --files-from; - is standard input, an empty name is none.
func (w *walk) openList(name string) error {
	switch name {
	case "":
		return nil
	case "-":
		w.list = os.Stdin
		return nil
	}
	file, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("--files-from: %w", err)
	}
	w.list = file
	return nil
}

// listedPaths walks the paths of the list independently: a file that two of them reach is
// found twice. A path that does not exist is a failure and not a usage error, because sending has already begun.
func (w *walk) listedPaths(ctx context.Context) error {
	if w.list == nil {
		return nil
	}
	defer w.list.Close()
	reader, writer := io.Pipe()
	go func() { // ends with the list. If the list is a pipe that stays open, a stopped run does not wait for this goroutine.
		_, err := io.Copy(writer, w.list)
		_ = writer.CloseWithError(err)
	}()
	defer context.AfterFunc(ctx, func() { _ = writer.CloseWithError(context.Cause(ctx)) })()
	lines := bufio.NewReaderSize(reader, longestPath)
	for n := 1; ctx.Err() == nil; n++ {
		path, err := readPath(lines)
		if path != "" {
			if err := w.listedPath(ctx, path); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && ctx.Err() == nil {
			w.fail(fmt.Sprintf("--files-from, line %d", n), err)
			if !errors.Is(err, errLongPath) {
				break
			}
		}
	}
	return context.Cause(ctx)
}

func (w *walk) listedPath(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		w.fail(path, err)
		return nil
	case info.IsDir():
		return w.folder(ctx, path, realPath(path), 0)
	}
	return w.file(ctx, path, info)
}

// readPath reads a line. For a line that is too long it returns only errLongPath. The last
// line may come with io.EOF.
func readPath(lines *bufio.Reader) (string, error) {
	line, err := lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = lines.ReadSlice('\n')
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errLongPath
	}
	return "", err
}
