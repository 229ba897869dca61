package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"

	"stowrs-to-s3/app/storeresponse"
)

// post is the process that sends a workload to the service.
type post struct {
	Workload string `required:""`
	URL      string `required:"" help:"Of the studies resource; over TLS whatever certificate it has."`
	Blindly  bool   `help:"Do not look for the instances in the answer."`
}

const (
	boundary   = "bench-6f1d0c6a94e34f7b"
	partHeader = "--" + boundary + "\r\nContent-Type: application/dicom\r\n\r\n"
	bodyEnd    = "--" + boundary + "--\r\n"
)

// Run sends; it fails unless every instance is reported as stored.
func (p post) Run(ctx context.Context) error {
	w, err := findWorkload(p.Workload)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: w.clients, WriteBufferSize: 64 << 10,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the sidecar's own, made for this run
	return timed(w, w.clients, w.perRequest, func(batch []instance) error {
		return p.request(ctx, client, batch)
	})
}

func (p post) request(ctx context.Context, client *http.Client, batch []instance) error {
	body, length := multipartRelated(batch)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=`+boundary)
	r.Header.Set("Accept", storeresponse.MediaTypeJSON)
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("store: %s: %s", response.Status, answer)
	}
	if p.Blindly {
		return nil
	}
	return allStored(batch, response.Header.Get("Content-Type"), answer)
}

// multipartRelated is the body of a Store request (PS3.18 §10.5.1) and its length.
func multipartRelated(batch []instance) (io.Reader, int64) {
	var readers []io.Reader
	length := int64(len(bodyEnd))
	for _, i := range batch {
		readers = append(readers, strings.NewReader(partHeader), i.section(0, i.sizeBytes), strings.NewReader("\r\n"))
		length += int64(len(partHeader)) + i.sizeBytes + 2
	}
	return io.MultiReader(append(readers, strings.NewReader(bodyEnd))...), length
}

// allStored tells whether the answer references each instance of the request.
func allStored(batch []instance, mediaType string, answer []byte) error {
	module, err := storeresponse.ParseResponse(mediaType, answer)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	stored := map[string]bool{}
	for _, r := range module.Referenced {
		stored[r.SOPInstanceUID] = true
	}
	for _, i := range batch {
		if !stored[i.sopInstanceUID] {
			return fmt.Errorf("instance %s is not reported as stored", i.sopInstanceUID)
		}
	}
	return nil
}
