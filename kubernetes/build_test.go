package kubernetes

import (
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are the objects that kustomize makes from a folder.
type manifests struct {
	accounts    []core.ServiceAccount
	configMaps  []core.ConfigMap
	services    []core.Service
	deployments []apps.Deployment
	budgets     []policy.PodDisruptionBudget
	policies    []networking.NetworkPolicy
	scalers     []autoscaling.HorizontalPodAutoscaler
	monitors    []monitoring.ServiceMonitor
}

// build runs kustomize, like kubectl apply -k, and decodes each object strictly into the type of its API: an unknown
// field, a field that occurs twice, or a value of another type is an error.
func build(t *testing.T, folder string) manifests {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.add(resource.GetApiVersion()+" "+resource.GetKind(), text); err != nil {
			t.Errorf("%s: %s %s: %v", folder, resource.GetKind(), resource.GetName(), err)
		}
	}
	return m
}

func (m *manifests) add(kind string, text []byte) error {
	switch kind {
	case "v1 ServiceAccount":
		return decode(text, &m.accounts)
	case "v1 ConfigMap":
		return decode(text, &m.configMaps)
	case "v1 Service":
		return decode(text, &m.services)
	case "apps/v1 Deployment":
		return decode(text, &m.deployments)
	case "policy/v1 PodDisruptionBudget":
		return decode(text, &m.budgets)
	case "networking.k8s.io/v1 NetworkPolicy":
		return decode(text, &m.policies)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return decode(text, &m.scalers)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return decode(text, &m.monitors)
	}
	return errUnknown(kind)
}

type errUnknown string

func (e errUnknown) Error() string { return "the tests know no " + string(e) }

func decode[T any](text []byte, list *[]T) error {
	var object T
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}

// A field that is misspelt, or in the wrong place, must be an error.
func TestStrictDecoding(t *testing.T) {
	for _, text := range []string{
		"spec: {replica: 2}", "spec: {template: {spec: {containers: [{name: app, limits: {memory: 1Gi}}]}}}", `spec: {replicas: "two"}`, "spec: {replicas: 1, replicas: 2}",
	} {
		var m manifests
		if err := m.add("apps/v1 Deployment", []byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// The base runs without the Prometheus Operator; the component adds what needs it, and leaves the number of pods to the autoscaler.
func TestObjects(t *testing.T) {
	base, example := build(t, "base"), build(t, "example")
	for _, m := range []manifests{base, example} {
		if len(m.accounts) != 1 || len(m.configMaps) != 2 || len(m.services) != 2 || len(m.deployments) != 1 || len(m.budgets) != 1 || len(m.policies) != 1 {
			t.Fatalf("an object is missing, or there is one too many: %+v", m)
		}
	}
	if len(base.scalers)+len(base.monitors) != 0 || base.deployments[0].Spec.Replicas == nil || *base.deployments[0].Spec.Replicas < 2 {
		t.Error("the base is not what runs without the component")
	}
	if len(example.scalers) != 1 || len(example.monitors) != 1 || example.deployments[0].Spec.Replicas != nil {
		t.Error("the component is not in the example, or two decide about the number of pods")
	}
}

// Every selector selects exactly the pods: an empty one would select all pods of the namespace.
func TestSelectors(t *testing.T) {
	m := build(t, "example")
	pod := m.deployments[0].Spec.Template.Labels
	chosen := map[string]map[string]string{
		"Deployment": m.deployments[0].Spec.Selector.MatchLabels, "NetworkPolicy": m.policies[0].Spec.PodSelector.MatchLabels,
		"PodDisruptionBudget": m.budgets[0].Spec.Selector.MatchLabels, "Service": m.services[0].Spec.Selector, "Service for metrics": m.services[1].Spec.Selector,
		"topologySpreadConstraints": m.deployments[0].Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	}
	for what, selector := range chosen {
		if len(selector) == 0 || !within(selector, pod) {
			t.Errorf("%s selects %v, pods have %v", what, selector, pod)
		}
	}
	monitored := m.monitors[0].Spec.Selector.MatchLabels
	var services []string
	for _, service := range m.services {
		if within(monitored, service.Labels) {
			services = append(services, service.Name)
		}
	}
	if !slices.Equal(services, []string{"stowrs-metrics"}) {
		t.Errorf("Prometheus asks the services %q", services)
	}
	scaled := m.scalers[0].Spec.ScaleTargetRef
	if scaled.Kind != "Deployment" || scaled.Name != m.deployments[0].Name {
		t.Errorf("the autoscaler scales %+v", scaled)
	}
}

func within(few, many map[string]string) bool {
	for name, value := range few {
		if many[name] != value {
			return false
		}
	}
	return true
}

// Ports are referred to by name, and each name is that of a port of the pod.
func TestPorts(t *testing.T) {
	m := build(t, "example")
	var names []string
	used := map[string]string{}
	for _, c := range m.deployments[0].Spec.Template.Spec.Containers {
		for _, port := range c.Ports {
			names = append(names, port.Name)
		}
		for _, probe := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if probe != nil {
				used[c.Name+" is probed"] = probe.HTTPGet.Port.String()
			}
		}
	}
	served := map[string]bool{}
	for _, service := range m.services {
		for _, port := range service.Spec.Ports {
			used[service.Name+" "+port.Name] = port.TargetPort.String()
			served[port.Name] = true
		}
	}
	for _, rule := range m.policies[0].Spec.Ingress {
		for _, port := range rule.Ports {
			used["let in: "+port.Port.String()] = port.Port.String()
		}
	}
	for _, endpoint := range m.monitors[0].Spec.Endpoints {
		if !served[endpoint.Port] {
			t.Errorf("Prometheus asks the port %s, which no service has", endpoint.Port)
		}
	}
	for what, port := range used {
		if !slices.Contains(names, port) {
			t.Errorf("%s: the port %s, pods have %s", what, port, strings.Join(names, " "))
		}
	}
	for _, name := range names {
		if used["let in: "+name] == "" {
			t.Errorf("the network policy lets nobody to the port %s", name)
		}
	}
}
