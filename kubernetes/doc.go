// Package kubernetes has the manifests for Kubernetes, and the tests that compare them with the service. It has no code: overlays are built
// on base, prometheus is a component for clusters with the Prometheus Operator, and example is an overlay. docs/kubernetes.md explains them.
package kubernetes
