package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	dicomBucket = "dicom"
	accessKey   = "stowrs" // of the S3 server of module local
	secretKey   = "stowrs-local-secret"
)

// storage is the S3 server of module local.
type storage struct {
	*process
	address, folder string
	client          *s3.Client
}

// environment is that of a process that uses it.
func (s *storage) environment(more ...string) []string {
	return append([]string{"AWS_ENDPOINT_URL_S3=http://" + s.address, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey}, more...)
}

// newBucket makes a bucket for the certificates of one test.
func (s *storage) newBucket(t testing.TB) string {
	t.Helper()
	name := "certs-" + time.Now().Format("150405.000000000")
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *storage) put(t testing.TB, bucket, name, content string) {
	t.Helper()
	if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &name, Body: bytes.NewReader([]byte(content))}); err != nil {
		t.Fatal(err)
	}
}

func (s *storage) remove(t testing.TB, bucket, name string) {
	t.Helper()
	if _, err := s.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &name}); err != nil {
		t.Fatal(err)
	}
}

// wantStored checks that the bucket contains exactly the bytes of the instance, and removes it, because some are large.
func (s *storage) wantStored(t testing.TB, i instance) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.folder, "s3", dicomBucket, i.study, "*", i.uid))
	if err != nil || len(paths) != 1 {
		t.Fatalf("objects of %s: %v, error %v; want one", i.uid, paths, err)
	}
	object, err := os.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	if sum(t, object) != i.sum(t) {
		t.Errorf("%s is not what was sent", paths[0])
	}
	os.Remove(paths[0])
}

// wantNotStored checks that a refused request has left no object.
func (s *storage) wantNotStored(t testing.TB, i instance) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.folder, "s3", dicomBucket, i.study, "*"))
	if err != nil || len(paths) > 0 {
		t.Errorf("objects of a study that was refused: %v, error %v", paths, err)
	}
}

// app is a running `stowrs serve`.
type app struct {
	*process
	address, admin string
}

// variables are those of a sidecar in front of the app.
func (a *app) variables() []string {
	return []string{"APP_ADDRESS=" + a.address, "APP_ADMIN_ADDRESS=" + a.admin}
}

// transaction is the audit record of the request with this id.
func (a *app) transaction(t testing.TB, requestID string) map[string]any {
	t.Helper()
	return a.record(t, "store transaction", `"request_id":"`+requestID+`"`)
}

// startSystem starts the S3 server and an app, which the tests share.
func startSystem(t testing.TB) (*storage, *app) {
	t.Helper()
	b := build(t)
	theSystem.once.Do(func() {
		s := &storage{address: freeAddress(t), folder: filepath.Join(built.dir, "data")}
		s.process = launch(t, nil, nil, b.local, "--listen", freeAddress(t), "--admin-listen", freeAddress(t),
			"--s3-listen", s.address, "--console-listen", "", "--data", s.folder)
		shared = append(shared, s.process)
		s.client = s3.New(s3.Options{BaseEndpoint: aws.String("http://" + s.address), UsePathStyle: true, Region: "us-east-1",
			Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
		a := launchApp(t, s)
		shared = append(shared, a.process)
		a.wait(t)
		theSystem.s3, theSystem.app = s, a
	})
	if theSystem.app == nil {
		t.Fatal("the S3 server and the app were not started")
	}
	return theSystem.s3, theSystem.app
}

func launchApp(t testing.TB, s *storage, variables ...string) *app {
	t.Helper()
	a := &app{address: freeAddress(t), admin: freeAddress(t)}
	a.process = launch(t, nil, slices.Concat(s.environment("BUCKETNAME="+dicomBucket, "TRUSTEDPROXY=127.0.0.1", "LOGLEVEL=INFO",
		"LISTENADDRESS="+a.address, "ADMINADDRESS="+a.admin), variables), built.stowrs, "serve")
	return a
}

// startApp starts an app for one test.
func startApp(t testing.TB, s *storage, variables ...string) *app {
	t.Helper()
	a := launchApp(t, s, variables...)
	t.Cleanup(a.kill)
	a.wait(t)
	return a
}

func (a *app) wait(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, "the app is ready", func() bool {
		status, _, err := get(context.Background(), "http://"+a.admin+"/readyz")
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return status == http.StatusOK
	})
}
