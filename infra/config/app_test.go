package config

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The app and Validate refuse the same values: the test runs `stowrs check` with the environment
// of the container.
func TestValidateAgreesWithTheApp(t *testing.T) {
	stowrs := buildApp(t)
	for name, row := range map[string]struct {
		edit func(*AppEnv)
		want []string // fields that both refuse
	}{
		"shipped":                    {func(*AppEnv) {}, nil},
		"prefix with slashes":        {func(e *AppEnv) { e.Prefix = "/in/box/" }, nil},
		"prefix in spaces":           {func(e *AppEnv) { e.Prefix = " in-box_1.x " }, nil},
		"prefix, empty folder":       {func(e *AppEnv) { e.Prefix = "a//b" }, []string{"Prefix"}},
		"prefix, space":              {func(e *AppEnv) { e.Prefix = "in box" }, []string{"Prefix"}},
		"suffix":                     {func(e *AppEnv) { e.ObjectSuffix = ".dcm" }, nil},
		"suffix with a folder":       {func(e *AppEnv) { e.ObjectSuffix = "/x" }, []string{"ObjectSuffix"}},
		"URL":                        {func(e *AppEnv) { e.WADOURL = "https://pacs.example.org:8443/dicomweb/" }, nil},
		"URL without scheme":         {func(e *AppEnv) { e.WADOURL = "pacs.example.org" }, []string{"WADOURL"}},
		"URL with a query":           {func(e *AppEnv) { e.WADOURL = "https://pacs.example.org/?a=b" }, []string{"WADOURL"}},
		"URL of a file":              {func(e *AppEnv) { e.WADOURL = "ftp://pacs.example.org" }, []string{"WADOURL"}},
		"level":                      {func(e *AppEnv) { e.LogLevel = Critical }, nil},
		"level misspelt":             {func(e *AppEnv) { e.LogLevel = "warning" }, []string{"LogLevel"}},
		"delay":                      {func(e *AppEnv) { e.ResponseDelay = 1500 * time.Millisecond }, nil},
		"longest delay":              {func(e *AppEnv) { e.ResponseDelay = tcpIdleTimeout - time.Second }, nil},
		"delay below zero":           {func(e *AppEnv) { e.ResponseDelay = -time.Second }, []string{"ResponseDelay"}},
		"delay too long":             {func(e *AppEnv) { e.ResponseDelay = 3601 * time.Second }, []string{"ResponseDelay"}},
		"threads":                    {func(e *AppEnv) { e.ThreadCount = 1024 }, nil},
		"no thread":                  {func(e *AppEnv) { e.ThreadCount = -1 }, []string{"ThreadCount"}},
		"too many threads":           {func(e *AppEnv) { e.ThreadCount = 1025 }, []string{"ThreadCount"}},
		"threads of the budget":      {func(e *AppEnv) { e.ThreadCount, e.MemoryBudget = 512, 128*MiB }, nil},
		"threads beyond the budget":  {func(e *AppEnv) { e.ThreadCount, e.MemoryBudget = 512, 128*MiB-1 }, []string{"ThreadCount"}},
		"tried for an hour":          {func(e *AppEnv) { e.RetryTime = time.Hour }, nil},
		"tried for longer":           {func(e *AppEnv) { e.RetryTime = time.Hour + 1 }, []string{"RetryTime"}},
		"not tried":                  {func(e *AppEnv) { e.RetryTime = 0 }, []string{"RetryTime"}},
		"longest keys":               {func(e *AppEnv) { e.Prefix, e.ObjectSuffix = strings.Repeat("x", 825), ".dcm" }, nil},
		"keys too long":              {func(e *AppEnv) { e.Prefix, e.ObjectSuffix = strings.Repeat("x", 826), ".dcm" }, []string{"Prefix"}},
		"no request":                 {func(e *AppEnv) { e.MaxRequests = 0 }, []string{"MaxRequests"}},
		"many requests":              {func(e *AppEnv) { e.MaxRequests = 1024 }, nil},
		"too many requests":          {func(e *AppEnv) { e.MaxRequests = 1025 }, []string{"MaxRequests"}},
		"requests beyond the budget": {func(e *AppEnv) { e.MaxRequests, e.MemoryBudget = 1024, 128*MiB-1 }, []string{"MaxRequests"}},
		"least budget": {func(e *AppEnv) {
			e.MemoryBudget, e.HeadWindow, e.MetadataLimit, e.MaxRequests = 32*MiB, 64*KiB, 4*MiB, 256
		}, nil},
		"budget too small":         {func(e *AppEnv) { e.MemoryBudget = 32*MiB - 1 }, []string{"MemoryBudget"}},
		"budget below zero":        {func(e *AppEnv) { e.MemoryBudget = -1 }, []string{"MemoryBudget"}},
		"budget beyond counting":   {func(e *AppEnv) { e.MemoryBudget = maxByteSize + 1<<53 }, []string{"MemoryBudget"}},
		"most that is reserved":    {func(e *AppEnv) { e.HeadWindow = 992 * MiB }, nil},
		"more reserved":            {func(e *AppEnv) { e.HeadWindow = 992*MiB + 1 }, []string{"MemoryBudget"}},
		"more than can be counted": {func(e *AppEnv) { e.HeadWindow, e.MetadataLimit = maxByteSize, maxByteSize }, []string{"MemoryBudget"}},
		"window too small":         {func(e *AppEnv) { e.HeadWindow = 64*KiB - 1 }, []string{"HeadWindow"}},
		"limit too small":          {func(e *AppEnv) { e.MetadataLimit = 64*KiB - 1 }, []string{"MetadataLimit"}},
		"no least rate":            {func(e *AppEnv) { e.MinRate = 0 }, nil},
		"highest least rate":       {func(e *AppEnv) { e.MinRate = 100 * MiB }, nil},
		"least rate too high":      {func(e *AppEnv) { e.MinRate = 100*MiB + 1 }, []string{"MinRate"}},
		"rate below zero":          {func(e *AppEnv) { e.MinRate = -1 }, []string{"MinRate"}},
		"limits":                   {func(e *AppEnv) { e.MaxInstanceSize, e.MaxRequestSize = 100*GiB, 200*GiB }, nil},
		"limits below zero":        {func(e *AppEnv) { e.MaxInstanceSize, e.MaxRequestSize = -1, -1 }, []string{"MaxInstanceSize", "MaxRequestSize"}},
		"duplicates refused":       {func(e *AppEnv) { e.OnDuplicate = Reject }, nil},
		"no commitment":            {func(e *AppEnv) { e.Commitment = Off }, nil},
		"duplicates perhaps":       {func(e *AppEnv) { e.OnDuplicate = "maybe" }, []string{"OnDuplicate"}},
		"key":                      {func(e *AppEnv) { e.KMSKeyID = "arn:aws:kms:us-east-1:123456789012:key/0123-ab" }, nil},
		"class misspelt":           {func(e *AppEnv) { e.StorageClass = "CHEAP" }, []string{"StorageClass"}},
		"strict, profiles":         {func(e *AppEnv) { e.StrictAccept, e.PProf = true, true }, nil},
		"origins":                  {func(e *AppEnv) { e.CORSOrigins = []string{"*", " https://viewer.example.org"} }, nil},
		"origin without scheme":    {func(e *AppEnv) { e.CORSOrigins = []string{"viewer.example.org"} }, []string{"CORSOrigins"}},
		"stopped quickly":          {func(e *AppEnv) { e.StopTimeout = time.Second }, nil},
		"stopped at once":          {func(e *AppEnv) { e.StopTimeout = 0 }, []string{"StopTimeout"}},
		"swept hourly":             {func(e *AppEnv) { e.SweepAge = time.Hour }, nil},
		"swept before it started":  {func(e *AppEnv) { e.SweepAge = -time.Hour }, []string{"SweepAge"}},
		"all wrong at once": {func(e *AppEnv) {
			*e = AppEnv{ThreadCount: -1, Prefix: "?", LogLevel: "?", OnDuplicate: "?", Commitment: "?", HeadWindow: MiB, MetadataLimit: MiB, MemoryBudget: MiB, StorageClass: "?"}
		}, []string{"Commitment", "LogLevel", "MaxRequests", "MemoryBudget", "OnDuplicate", "Prefix", "RetryTime", "StopTimeout", "StorageClass", "SweepAge", "ThreadCount"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			c.Certificate = clientAuth() // for the longer of the two delays
			row.edit(&c.Service.App.Env)
			_, violations := Validate(c)
			var infra []string
			for _, path := range fields(violations) {
				field, isEnv := strings.CutPrefix(path, envField)
				if !isEnv {
					t.Fatalf("got a violation of %s", path)
				}
				field, _, _ = strings.Cut(field, "[")
				infra = append(infra, field)
			}
			slices.Sort(infra)
			if diff := cmp.Diff(row.want, infra); diff != "" {
				t.Errorf("Validate differs (-want +got):\n%s%v", diff, violations)
			}
			if diff := cmp.Diff(row.want, refusedByApp(t, stowrs, c.Service.App.Env)); diff != "" {
				t.Errorf("stowrs check differs (-want +got):\n%s", diff)
			}
		})
	}
}

// ThreadCount 0 means the app's default, and scaling calculates with this number.
func TestThreadsAreTheApps(t *testing.T) {
	stowrs := buildApp(t)
	for _, env := range []AppEnv{{MemoryBudget: 64 * MiB}, {MemoryBudget: 256 * MiB}, {MemoryBudget: 1 * GiB}, {MemoryBudget: 1 * GiB, ThreadCount: 7}} {
		check := exec.CommandContext(t.Context(), stowrs, "check")
		check.Env = []string{"BUCKETNAME=dicom", "MAXREQUESTS=64", "HEADWINDOW=1MiB", "MEMORYBUDGET=" + env.MemoryBudget.String(), "THREADCOUNT=" + env.Variables()["THREADCOUNT"]}
		output, err := check.CombinedOutput()
		if want := regexp.MustCompile(fmt.Sprintf(`(?m)^THREADCOUNT +%d$`, env.Threads())); err != nil || !want.Match(output) {
			t.Errorf("%v, ThreadCount %d: want %d threads, got %v\n%s", env.MemoryBudget, env.ThreadCount, env.Threads(), err, output)
		}
	}
}

// Every storage class that Validate knows is one of the app's.
func TestStorageClassesAreTheApps(t *testing.T) {
	stowrs := buildApp(t)
	for class := range strings.FieldsSeq(storageClasses()) {
		env := valid(t).Service.App.Env
		env.StorageClass = class
		if refused := refusedByApp(t, stowrs, env); len(refused) > 0 {
			t.Errorf("%s: the app refuses %q", class, refused)
		}
	}
}

// buildApp builds the service as its image does, without the workspace.
func buildApp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stowrs")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "../../app"
	build.Env = append(build.Environ(), "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build ../../app: %v\n%s", err, output)
	}
	return path
}

// refusedByApp are the fields whose variables `stowrs check` refuses.
func refusedByApp(t *testing.T, stowrs string, env AppEnv) []string {
	t.Helper()
	variables := map[string]string{"BUCKETNAME": "dicom", "LISTENADDRESS": "127.0.0.1:8080", "ADMINADDRESS": "127.0.0.1:9090", "TRUSTEDPROXY": "127.0.0.1"}
	maps.Copy(variables, env.Variables())
	check := exec.CommandContext(t.Context(), stowrs, "check")
	check.Env = []string{}
	for name, value := range variables {
		check.Env = append(check.Env, name+"="+value)
	}
	var messages strings.Builder
	check.Stderr = &messages
	if err := check.Run(); err == nil {
		return nil
	}
	names := map[string]string{}
	for field := range reflect.TypeFor[AppEnv]().Fields() {
		names[field.Tag.Get("env")] = field.Name
	}
	refused := map[string]bool{}
	for line := range strings.Lines(messages.String()) {
		variable, _, _ := strings.Cut(line, "=")
		if name, known := names[variable]; known {
			refused[name] = true
		}
	}
	if len(refused) == 0 {
		t.Fatalf("stowrs check failed without naming a variable:\n%s", messages.String())
	}
	return slices.Sorted(maps.Keys(refused))
}
