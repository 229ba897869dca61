package kubernetes

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// The pod passes the level "restricted" of the Pod Security Standards, checked with the code of the admission controller.
func TestPodIsRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	template := build(t, "base").deployments[0].Spec.Template
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec)); !result.Allowed {
		t.Errorf("refused: %s", result.ForbiddenDetail())
	}
	for _, c := range template.Spec.Containers {
		if !*c.SecurityContext.ReadOnlyRootFilesystem || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("container %s may write to its root, or has no limit of memory", c.Name)
		}
	}
	template.Spec.Containers[1].SecurityContext.Capabilities = nil
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec)).Allowed {
		t.Error("a pod with capabilities is taken, too: the check checks nothing")
	}
}

// environment is that of a container, from the config maps of the example.
func environment(t *testing.T, m manifests, container int) map[string]string {
	t.Helper()
	values := map[string]string{}
	c := m.deployments[0].Spec.Template.Spec.Containers[container]
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		i := slices.IndexFunc(m.configMaps, func(c core.ConfigMap) bool { return c.Name == from.ConfigMapRef.Name })
		if i < 0 {
			t.Fatalf("container %s refers to %s, which is not there", c.Name, from.ConfigMapRef.Name)
		}
		for name, value := range m.configMaps[i].Data {
			values[name] = value
		}
	}
	if len(values) == 0 || len(c.Env) != 0 {
		t.Fatalf("container %s has the variables %v and %v", c.Name, values, c.Env)
	}
	return values
}

// run builds the program of a module and runs it with only these variables. It returns the output and the exit status.
func run(t *testing.T, folder string, variables map[string]string, arguments ...string) (string, int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	compile := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	compile.Dir, compile.Env = folder, append(os.Environ(), "GOWORK=off")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Env = []string{"AWS_EC2_METADATA_DISABLED=true"}
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	out, _ := command.CombinedOutput()
	return string(out), command.ProcessState.ExitCode()
}

// The built service accepts the variables of the example, and knows each of them: a misspelt one would be ignored.
func TestVariablesOfTheService(t *testing.T) {
	variables := environment(t, build(t, "example"), 0)
	out, status := run(t, "../app", variables, "check")
	if status != 0 {
		t.Fatalf("stowrs check ends with %d:\n%s", status, out)
	}
	for name := range variables {
		if !strings.HasPrefix(name, "AWS_") && !regexp.MustCompile(`(?m)^`+name+` `).MatchString(out) {
			t.Errorf("the service knows no %s:\n%s", name, out)
		}
	}
}

// The base names no bucket, and the service says so instead of storing elsewhere.
func TestBaseNamesNoBucket(t *testing.T) {
	out, status := run(t, "../app", environment(t, build(t, "base"), 0), "check")
	if status != 2 || !strings.Contains(out, "BUCKETNAME") || strings.Count(out, "must") != 0 {
		t.Errorf("stowrs check ends with %d:\n%s", status, out)
	}
}

// The sidecar accepts its variables (any exit status except 2: here it ends because there is no nginx), and has a field for each.
func TestVariablesOfTheSidecar(t *testing.T) {
	source, err := os.ReadFile("../nginx/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	variables := environment(t, build(t, "example"), 1)
	for name := range variables {
		if !strings.Contains(string(source), `env:"`+name+`"`) {
			t.Errorf("the sidecar knows no %s", name)
		}
	}
	if variables["AUTH_MODE"] != "clientauth" || variables["CERT_MODE"] != "LOCAL" {
		t.Errorf("AUTH_MODE=%s, CERT_MODE=%s", variables["AUTH_MODE"], variables["CERT_MODE"])
	}
	variables["RUN_FOLDER"], variables["NGINX_PROGRAM"] = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "none")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	variables["HEALTH_ADDRESS"] = free.Addr().String()
	free.Close()
	out, status := run(t, "../nginx", variables)
	if status != 1 || strings.Contains(out, "the configuration cannot be used") {
		t.Errorf("certsync ends with %d:\n%s", status, out)
	}
}

// Sidecar and service communicate over the loopback interface, and the plain port cannot be reached from outside.
func TestServiceIsBehindTheSidecar(t *testing.T) {
	m := build(t, "example")
	app, sidecar := environment(t, m, 0), environment(t, m, 1)
	if app["LISTENADDRESS"] != "127.0.0.1:8080" || app["TRUSTEDPROXY"] != "127.0.0.1" || app["ADMINADDRESS"] != ":9090" {
		t.Errorf("LISTENADDRESS=%s, TRUSTEDPROXY=%s, ADMINADDRESS=%s", app["LISTENADDRESS"], app["TRUSTEDPROXY"], app["ADMINADDRESS"])
	}
	if sidecar["APP_ADDRESS"]+sidecar["APP_ADMIN_ADDRESS"] != "" { // its defaults are those of the service
		t.Errorf("the sidecar asks %s and %s", sidecar["APP_ADDRESS"], sidecar["APP_ADMIN_ADDRESS"])
	}
	spec := m.deployments[0].Spec.Template.Spec
	for _, c := range spec.Containers {
		for _, mount := range c.VolumeMounts {
			i := slices.IndexFunc(spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
			if i < 0 || mount.SubPath != "" { // a subPath is never updated
				t.Errorf("%s mounts %+v", c.Name, mount)
			}
		}
	}
	if certificates := spec.Volumes[0].Secret; certificates == nil || sidecar["CERT_FOLDER"] != spec.Containers[1].VolumeMounts[0].MountPath {
		t.Errorf("certificates come from %+v", spec.Volumes[0])
	}
}

// docs/design.md, promise 3: resident memory is at most MEMORYBUDGET + 128 MiB.
func TestMemoryLimitIsAboveTheBudget(t *testing.T) {
	m := build(t, "example")
	limit := m.deployments[0].Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	budget, err := resource.ParseQuantity(strings.TrimSuffix(environment(t, m, 0)["MEMORYBUDGET"], "B"))
	if err != nil || limit < budget.Value()+128<<20 {
		t.Errorf("the limit is %d bytes, MEMORYBUDGET is %d, error %v", limit, budget.Value(), err)
	}
}

// After SIGTERM, the service has STOPTIMEOUT and 8 s (docs/operations.md, systemd/stowrs.service), the sidecar STOP_TIMEOUT and 3 s; both begin after preStop.
func TestUploadsAreFinishedBeforeThePodIsKilled(t *testing.T) {
	m := build(t, "example")
	spec := m.deployments[0].Spec.Template.Spec
	for i, after := range []struct {
		variable string
		rest     time.Duration
	}{{"STOPTIMEOUT", 8 * time.Second}, {"STOP_TIMEOUT", 3 * time.Second}} {
		stop, err := time.ParseDuration(environment(t, m, i)[after.variable])
		if err != nil {
			t.Fatal(err)
		}
		preStop := time.Duration(spec.Containers[i].Lifecycle.PreStop.Sleep.Seconds) * time.Second
		if grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second; preStop < time.Second || grace < preStop+stop+after.rest {
			t.Errorf("%s: the pod is killed after %s, it needs %s for preStop, %s and %s", spec.Containers[i].Name, grace, preStop, stop, after.rest)
		}
	}
}

// The autoscaler uses a metric of the service.
func TestMetricOfTheAutoscaler(t *testing.T) {
	source, err := os.ReadFile("../app/server/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	if name := build(t, "example").scalers[0].Spec.Metrics[0].Pods.Metric.Name; !strings.Contains(string(source), `"`+name+`"`) {
		t.Errorf("the service has no metric %s", name)
	}
}
