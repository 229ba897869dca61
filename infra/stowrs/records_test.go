package stowrs

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/infra/config"
)

// records are JSON lines.
func records(t *testing.T, log string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(log) {
		record := map[string]any{}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("not a record: %v\n%s", err, line)
		}
		list = append(list, record)
	}
	return list
}

// matches evaluates a filter pattern like CloudWatch Logs, as far as our patterns need it.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func matches(t *testing.T, pattern string, record map[string]any) bool {
	t.Helper()
	inner, ok := strings.CutSuffix(strings.TrimPrefix(pattern, "{ "), " }")
	if !ok {
		t.Fatalf("no JSON pattern: %s", pattern)
	}
	for term := range strings.SplitSeq(inner, " && ") {
		parts := regexp.MustCompile(`^\$\.(\w+) (=|>=) ("[^"]*"|[0-9]+)$`).FindStringSubmatch(term)
		if parts == nil {
			t.Fatalf("unknown term %q in %s", term, pattern)
		}
		value, there := record[parts[1]]
		if !there {
			return false
		}
		if words, quoted := strings.CutPrefix(parts[3], `"`); quoted {
			if value != strings.TrimSuffix(words, `"`) {
				return false
			}
			continue
		}
		want, err := strconv.ParseFloat(parts[3], 64)
		number, is := value.(float64)
		if err != nil || !is || parts[2] == ">=" && number < want || parts[2] == "=" && number != want {
			return false
		}
	}
	return true
}

// takes is the value that a metric gets from the records: the sum over all records that match.
func takes(t *testing.T, m recordMetric, list []map[string]any) []float64 {
	t.Helper()
	numbers := []float64{}
	for _, record := range list {
		if !matches(t, m.Pattern, record) {
			continue
		}
		field, isField := strings.CutPrefix(m.Value, "$.")
		if !isField {
			constant, err := strconv.ParseFloat(m.Value, 64)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, constant)
			continue
		}
		if number, is := record[field].(float64); is {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// The filters match the app's own audit records, with the least verbose log level: one instance that cannot be stored,
// because there is no S3, and one request that is refused.
func TestFiltersMatchTheApp(t *testing.T) {
	address, admin := freeAddress(t), freeAddress(t)
	app := exec.CommandContext(t.Context(), buildApp(t))
	app.Env = []string{
		"BUCKETNAME=dicom", "LOGLEVEL=CRITICAL", "LISTENADDRESS=" + address, "ADMINADDRESS=" + admin, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1",
		"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "RETRYTIME=1s", "AWS_EC2_METADATA_DISABLED=true",
	}
	var log strings.Builder
	app.Stderr = &log
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile("../../dcm-samples/slice-1.dcm")
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, address, "application/dicom", string(sample)); status != http.StatusServiceUnavailable {
		t.Errorf("without S3: got %d, want 503", status)
	}
	if status := post(t, address, "text/plain", "x"); status != http.StatusUnsupportedMediaType {
		t.Errorf("text: got %d, want 415", status)
	}
	if err := app.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := app.Wait(); err != nil {
		t.Fatal(err)
	}
	list := records(t, log.String())
	for _, m := range appMetrics() {
		got := takes(t, m, list)
		want := map[string][]float64{instancesStored: {0, 0}, instancesFailed: {1, 0}, bytesReceived: {float64(len(sample)), 0}, storesRefused: {1}}[m.Name]
		if m.Name == requestDuration {
			if len(got) != 2 || got[0] < 0 {
				t.Errorf("%s: got %v, want a duration for each request", m.Name, got)
			}
		} else if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v\n%s", m.Name, got, want, log.String())
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// post waits until the app listens.
func post(t *testing.T, address, contentType, body string) int {
	t.Helper()
	for {
		response, err := http.Post("http://"+address+"/studies", contentType, strings.NewReader(body))
		if err == nil {
			response.Body.Close()
			return response.StatusCode
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// nginxFolder is that of the sidecar; its files show the form of its records.
const nginxFolder = "../../nginx"

// nginx' access record, in the format of nginx.conf, counts as a server error from 500 on; 000 does not.
func TestFiltersMatchNginx(t *testing.T) {
	conf, err := os.ReadFile(filepath.Join(nginxFolder, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	format := regexp.MustCompile(`(?s)log_format \w+ escape=json(.*?);\n`).FindSubmatch(conf)
	if format == nil {
		t.Fatal("nginx.conf has no JSON log_format")
	}
	var line strings.Builder
	for _, part := range regexp.MustCompile(`'([^']*)'`).FindAllStringSubmatch(string(format[1]), -1) {
		line.WriteString(part[1])
	}
	write := func(status string) string {
		text := regexp.MustCompile(`\$(status|code)\b`).ReplaceAllString(line.String(), status)
		return regexp.MustCompile(`\$\w+`).ReplaceAllString(text, "1") + "\n"
	}
	list := records(t, write("200")+write("499")+write("502")+write("503")+write("0"))
	if got := takes(t, nginxMetrics(config.CertificateConfig{})[0], list); len(got) != 2 {
		t.Errorf("of 200, 499, 502, 503 and 0 %d are server errors\n%s", len(got), line.String())
	}
}

// certsync's record of the status has the fields that the filters read.
func TestFiltersMatchCertsync(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(nginxFolder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of certsync: %v", err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	for _, m := range nginxMetrics(clientAuth())[1:] {
		for _, word := range []string{"certificate status", strings.TrimPrefix(m.Value, "$.")} {
			if !strings.Contains(source.String(), strconv.Quote(word)) {
				t.Errorf("%s: certsync has no %q", m.Name, word)
			}
		}
		if m.Pattern != certificateStatus {
			t.Errorf("%s reads %s", m.Name, m.Pattern)
		}
	}
}
