package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// startStandIn starts the command faultys3: an S3 that verifies the checksums of what it receives, keeps only keys and sizes,
// and answers each request after the latency. With tls it is reached over HTTPS, like AWS.
func startStandIn(ctx context.Context, dir string, latency time.Duration, tls bool) (*store, error) {
	binary := filepath.Join(dir, "faultys3")
	if err := build(ctx, binary, "stowrs-to-s3/local/faultys3"); err != nil {
		return nil, err
	}
	arguments := []string{"--discard", "--bucket", bucketName, "--latency", latency.String()}
	if tls {
		arguments = append(arguments, "--tls", filepath.Join(dir, "ca.pem"))
	}
	command := exec.CommandContext(ctx, binary, arguments...) //nolint:gosec // built just now
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("stand-in for S3: %w", err)
	}
	p, err := start(ctx, command, func(context.Context) bool { return true })
	if err != nil {
		return nil, err
	}
	s := &store{process: p}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if control, is := strings.CutPrefix(lines.Text(), "CONTROL="); is { // the last line
			s.settle = standIn(control).settle
			return s, nil
		}
		s.environment = append(s.environment, lines.Text())
	}
	p.stop()
	return nil, fmt.Errorf("stand-in for S3: it does not say how to use it: %w", p.err)
}

// standIn is the URL of the control endpoint.
type standIn string

func (s standIn) settle(ctx context.Context, w workload) error {
	var objects []struct{ SizeBytes int64 }
	text, err := s.ask(ctx, http.MethodGet)
	if err == nil {
		err = json.Unmarshal(text, &objects)
	}
	if err != nil {
		return fmt.Errorf("list the stand-in's objects: %w", err)
	}
	bytes := int64(0)
	for _, o := range objects {
		bytes += o.SizeBytes
	}
	if err := w.check(len(objects), bytes); err != nil {
		return err
	}
	_, err = s.ask(ctx, http.MethodDelete)
	return err
}

func (s standIn) ask(ctx context.Context, method string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, string(s)+"/objects", nil)
	if err != nil {
		return nil, fmt.Errorf("control of the stand-in: %w", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("control of the stand-in: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: %s", answer.Status, text) //nolint:err113 // only printed
	}
	return text, err
}
