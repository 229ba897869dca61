package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// S3 sends a file again only if its ETag has changed.
func TestBucketAsksByETag(t *testing.T) {
	content, etag, sent, asked := "first", `"1"`, 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent++
		fmt.Fprint(w, content)
	}))
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"} {
		t.Setenv(name, value)
	}
	b, err := newBucket(t.Context(), "certificates")
	if err != nil {
		t.Fatal(err)
	}
	want := func(text string, times int) {
		t.Helper()
		got, err := b.read(t.Context(), certificateFile)
		if err != nil || string(got) != text || sent != times {
			t.Errorf("got %q, error %v, sent %d times; want %q, sent %d times", got, err, sent, text, times)
		}
	}
	want("first", 1)
	want("first", 1)
	content, etag = "second", `"2"`
	want("second", 2)
	want("second", 2)
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
}

// A file that comes back after it was removed is read again.
func TestBucketForgetsWhatIsGone(t *testing.T) {
	s3, _ := startSystem(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": "http://" + s3.address, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey} {
		t.Setenv(name, value)
	}
	name := s3.newBucket(t)
	b, err := newBucket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s3.put(t, name, keyFile, "key")
		for range 2 {
			if got, err := b.read(context.Background(), keyFile); err != nil || string(got) != "key" {
				t.Errorf("got %q, error %v", got, err)
			}
		}
		s3.remove(t, name, keyFile)
		if _, err := b.read(context.Background(), keyFile); !errors.Is(err, errAbsent) {
			t.Errorf("error %v, want errAbsent", err)
		}
	}
}
