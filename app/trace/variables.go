package trace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	baseEndpoint   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	samplerName    = "OTEL_TRACES_SAMPLER"
	samplerRatio   = "OTEL_TRACES_SAMPLER_ARG"
	maxQueueSize   = "OTEL_BSP_MAX_QUEUE_SIZE"

	// mostQueueSize keeps the process within its memory limit: a span that waits needs 1 KiB, and up to 3 KiB with all its events.
	mostQueueSize = 8192
)

// exporterVariables have a form for all signals, OTEL_EXPORTER_OTLP_…, and one for traces, OTEL_EXPORTER_OTLP_TRACES_….
var exporterVariables = []string{"ENDPOINT", "HEADERS", "PROTOCOL", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"}

// Variables returns the names of all variables that are read, by this package or by the SDK.
func Variables() []string {
	names := []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"}
	for _, name := range exporterVariables {
		names = append(names, "OTEL_EXPORTER_OTLP_"+name, "OTEL_EXPORTER_OTLP_TRACES_"+name)
	}
	return append(names, "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", samplerName, samplerRatio,
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", maxQueueSize, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
}

// wanted says whether the environment asks for traces. By the specification they would be on by default, and sent to localhost; here a
// variable must switch them on.
func wanted(environment map[string]string) bool {
	exporter := value(environment, "OTEL_TRACES_EXPORTER")
	named := value(environment, baseEndpoint) != "" || value(environment, tracesEndpoint) != ""
	return !strings.EqualFold(value(environment, "OTEL_SDK_DISABLED"), "true") && exporter != "none" && (exporter != "" || named)
}

func value(environment map[string]string, name string) string {
	return strings.TrimSpace(environment[name])
}

// Check reports all variables with invalid values, joined in one error, if the environment asks for traces. The error contains no secret.
func Check(environment map[string]string) error {
	if !wanted(environment) {
		return nil
	}
	var violations []error
	rule := func(name string, valid func(string) bool, must string) {
		if v := value(environment, name); v != "" && !valid(v) {
			violations = append(violations, fmt.Errorf("%s=%q: %s", name, shown(name, v), must))
		}
	}
	oneOf := func(values ...string) func(string) bool {
		return func(v string) bool { return slices.Contains(values, v) }
	}
	number := func(least, most float64) func(string) bool {
		return func(v string) bool {
			n, err := strconv.ParseFloat(v, 64)
			return err == nil && least <= n && n <= most
		}
	}
	rule("OTEL_TRACES_EXPORTER", oneOf("otlp"), "must be otlp or none")
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		rule(prefix+"ENDPOINT", isURL, "must be an http or https URL such as http://collector:4318")
		rule(prefix+"HEADERS", arePairs, "must be name=value, separated by commas, with values percent-encoded")
		rule(prefix+"PROTOCOL", oneOf("http/protobuf", "http/json"), "must be http/protobuf or http/json, for which collectors listen on port 4318; there is no gRPC")
		rule(prefix+"TIMEOUT", isCount(1<<31), "must be a number of milliseconds")
		rule(prefix+"COMPRESSION", oneOf("gzip", "none"), "must be gzip or none")
	}
	rule(samplerName, func(v string) bool { return slices.Contains(samplers, strings.TrimPrefix(v, parentBased)) },
		"must be always_on, always_off or traceidratio, with or without parentbased_ in front")
	rule(samplerRatio, number(0, 1), "must be a number from 0 to 1")
	rule("OTEL_RESOURCE_ATTRIBUTES", arePairs, "must be name=value, separated by commas, with values percent-encoded")
	for _, name := range []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"} { // with a delay of 0, the SDK would keep a processor core busy
		rule(name, isCount(1<<31), "must be a number of milliseconds, at least 1")
	}
	rule("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", isCount(1<<31), "must be a number of spans, at least 1") // a negative number makes the SDK panic
	rule(maxQueueSize, isCount(mostQueueSize), fmt.Sprintf("must be a number of spans from 1 to %d", mostQueueSize))
	return errors.Join(violations...)
}

func isCount(most int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && 1 <= n && n <= most
	}
}

func isURL(v string) bool {
	u, err := url.Parse(v)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func arePairs(v string) bool {
	for pair := range strings.SplitSeq(v, ",") {
		name, content, found := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(content); !found || err != nil || strings.TrimSpace(name) == "" {
			return false
		}
	}
	return true
}

// shown is the value of a variable for output, with secrets masked.
func shown(name, v string) string {
	switch {
	case strings.HasSuffix(name, "HEADERS"):
		return "****"
	case strings.HasSuffix(name, "ENDPOINT"):
		u, err := url.Parse(v)
		if err != nil {
			return "****"
		}
		return u.Redacted()
	}
	return v
}

// Print writes the variables that are set, with secrets masked.
func Print(w io.Writer, environment map[string]string) {
	for _, name := range Variables() {
		if v := value(environment, name); v != "" {
			fmt.Fprintf(w, "%-21s %s\n", name, shown(name, v))
		}
	}
}

// secrets returns what must not be in a log record: the values of headers, and the passwords of URLs.
func secrets(environment map[string]string) []string {
	var all []string
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		for pair := range strings.SplitSeq(value(environment, prefix+"HEADERS"), ",") {
			_, content, _ := strings.Cut(pair, "=")
			decoded, _ := url.PathUnescape(content)
			all = append(all, strings.TrimSpace(content), strings.TrimSpace(decoded))
		}
		if u, err := url.Parse(value(environment, prefix+"ENDPOINT")); err == nil {
			password, _ := u.User.Password()
			all = append(all, password)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// endpoint sets the specification's default, which is without TLS; the exporter's own default is with TLS.
func endpoint(environment map[string]string) []otlptracehttp.Option {
	if value(environment, baseEndpoint) != "" || value(environment, tracesEndpoint) != "" {
		return nil
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL("http://localhost:4318/v1/traces")}
}

func queueSize(environment map[string]string) int {
	if n, err := strconv.Atoi(value(environment, maxQueueSize)); err == nil {
		return n
	}
	return sdktrace.DefaultMaxQueueSize
}

const parentBased = "parentbased_"

var samplers = []string{"always_on", "always_off", "traceidratio"}

// sampler is the sampler of OTEL_TRACES_SAMPLER. It decides about each request, and the spans below follow this decision. So
// parentbased_ makes no difference: the only parent in another process is that of a client, and a client must not be able to
// have all its requests sampled.
func sampler(environment map[string]string) sdktrace.Sampler {
	own := sdktrace.AlwaysSample()
	switch strings.TrimPrefix(value(environment, samplerName), parentBased) {
	case "always_off":
		own = sdktrace.NeverSample()
	case "traceidratio":
		ratio, err := strconv.ParseFloat(value(environment, samplerRatio), 64)
		if err != nil {
			ratio = 1
		}
		own = sdktrace.TraceIDRatioBased(ratio)
	}
	return sdktrace.ParentBased(own, sdktrace.WithRemoteParentSampled(unasked{own}), sdktrace.WithRemoteParentNotSampled(unasked{own}))
}

// unasked samples as if the client had sent no traceparent: it ignores the flag, and also the trace id, because a client could choose an id that is always sampled.
type unasked struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (u unasked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	p.ParentContext = context.Background()
	_, _ = rand.Read(p.TraceID[:]) // it never fails
	return u.Sampler.ShouldSample(p)
}
